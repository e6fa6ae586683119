"""The single checks of a transcript: claims that can be false, each with numbers and codes, never with what was said.

Pure. What is suspicious about a window, and the limits, are risk.py's business; what was done about it is ladder.py's.
These checks only add up what those two left in the segments.

What surprises: a refused stretch does not fail the claim of being understood by itself, because the transcript says
itself that it is inaudible. It fails the claim of being plausible, so that somebody looks. Sound in which nobody was
found to speak does neither, for music beside a diary is no fault of it; but where that is all there is, speech may have
been missed, and a reader is told.
"""

from collections import Counter
from collections.abc import Iterable

from diary_pipeline.core.batch import Check
from diary_pipeline.core.transcript import Segment, Transcript
from diary_pipeline.transcription.repair.risk import HARMLESS, LIMITS, Limits
from diary_pipeline.transcription.segments import NOTHING_HEARD
from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.speech.unheard import SOUND_WITHOUT_WORDS

NO_TEXT = (None, NOTHING_HEARD, SOUND_WITHOUT_WORDS)
"""Reasons that refuse nothing: no text was there."""


def audio_is_complete(measured_s: float, declared_s: float | None, damaged_packets: int) -> Check:
    """Claim that the audio decoded without damage; gross truncation was refused before anybody transcribed."""
    declared = "unknown" if declared_s is None else f"{declared_s:.1f}"
    detail = f"measured_s={measured_s:.1f} declared_s={declared} damaged_packets={damaged_packets}"
    return Check("audio_is_complete", damaged_packets == 0, "WARN", detail)


def transcript_covers_audio(transcript: Transcript, limits: Limits = LIMITS) -> Check:
    """Claim that segments partition the audio (ERROR when not) and that most of its speech was understood (WARN)."""
    edges = [(round(s.start_s * RATE), round(s.end_s * RATE)) for s in transcript.segments]
    samples = round(transcript.duration_s * RATE)
    starts, ends = [0, *(end for _, end in edges)], [*(start for start, _ in edges), samples]
    gaps = sum(start != end for start, end in zip(starts, ends, strict=True))
    sound = _like_speech(transcript)
    speech_s = _seconds(s for s in sound if s.kind == "speech")
    wordless_s = _seconds(s for s in transcript.segments if s.reason == SOUND_WITHOUT_WORDS)
    inaudible = _seconds(s for s in sound if s.kind != "speech") / (_seconds(sound) or 1.0)
    detail = (
        f"gaps={gaps} speech_s={speech_s:.1f} inaudible_share={inaudible:.2f} sound_without_words_s={wordless_s:.1f}"
    )
    if gaps:
        return Check("transcript_covers_audio", False, "ERROR", detail)
    return Check("transcript_covers_audio", inaudible <= limits.inaudible_share, "WARN", detail)


def transcript_is_plausible(transcript: Transcript, limits: Limits = LIMITS) -> Check:
    """Claim that nothing was refused or kept with doubts: WARN for some of the speech, ERROR for most of it."""
    refused = [s for s in transcript.segments if s.kind == "inaudible" and s.reason not in NO_TEXT]
    doubted = [s for s in transcript.speech if set(s.risks) - HARMLESS]
    sound_s = _seconds(_like_speech(transcript)) or 1.0
    refused_share, doubted_share = _seconds(refused) / sound_s, _seconds(doubted) / sound_s
    codes = Counter(s.reason for s in refused) + Counter(code for s in doubted for code in s.risks)
    counted = " ".join(f"{code}={count}" for code, count in codes.most_common())
    detail = f"refused_share={refused_share:.2f} doubted_share={doubted_share:.2f} {counted}".strip()
    mostly = refused_share + doubted_share > limits.inaudible_share
    return Check("transcript_is_plausible", not (refused or doubted), "ERROR" if mostly else "WARN", detail)


def language_is_certain(transcript: Transcript, limits: Limits = LIMITS) -> Check:
    """Claim that the language was recognised, forced, or not needed because nothing was said.

    An engine that names a language and no probability is believed; one that names none is not.
    """
    named, sure = transcript.language is not None, transcript.language_probability
    certain = named if sure is None else not named or sure >= limits.language_probability
    said = "unknown" if sure is None else f"{sure:.2f}"
    detail = f"language={transcript.language or 'none'} probability={said}"
    return Check("language_is_certain", certain, "WARN", detail)


def _like_speech(transcript: Transcript) -> list[Segment]:
    # Everything that may be speech: all that is loud, where nobody was found to speak at all.
    sound = [s for s in transcript.segments if s.kind != "silence"]
    return [s for s in sound if s.reason != SOUND_WITHOUT_WORDS] or sound


def _seconds(segments: Iterable[Segment]) -> float:
    return sum(s.end_s - s.start_s for s in segments)
