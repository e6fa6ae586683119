"""The single checks of a transcript: claims that can be false, each with numbers and codes, never with what was said.

Pure. The limits were calibrated on 61 clean windows of synthetic speech and tightened on 19 planted bad ones, so
expect more alarms on real speech. What to do about a bad stretch is not decided here.

What surprises: risk is judged by window, because a model scores windows, and short sentences have no typical speed.
The segments of one window are known by sharing its scores.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from diary_pipeline.core.batch import Check
from diary_pipeline.core.transcript import Segment, Transcript
from diary_pipeline.transcription.spans import RATE


@dataclass(frozen=True)
class Limits:
    """Beyond these a window is risky. Clean windows lay at -0.32..-0.06, 0.82..1.70 and 12..18 characters a second."""

    avg_logprob: float = -0.4
    compression_ratio: float = 2.4
    min_chars_per_s: float = 6.0
    max_chars_per_s: float = 25.0
    min_speech_s: float = 1.5
    """The speed of anything shorter says nothing."""
    language_probability: float = 0.7
    inaudible_share: float = 0.5
    """Of all sound that is not silence."""


LIMITS = Limits()


def audio_is_complete(measured_s: float, declared_s: float | None, damaged_packets: int) -> Check:
    """Claim that the audio decoded without damage; gross truncation was refused before anybody transcribed."""
    declared = "unknown" if declared_s is None else f"{declared_s:.1f}"
    detail = f"measured_s={measured_s:.1f} declared_s={declared} damaged_packets={damaged_packets}"
    return Check("audio_is_complete", damaged_packets == 0, "WARN", detail)


def transcript_covers_audio(transcript: Transcript, limits: Limits = LIMITS) -> Check:
    """Claim that the segments partition the audio (ERROR when not) and that most of its sound was understood (WARN)."""
    edges = [(round(s.start_s * RATE), round(s.end_s * RATE)) for s in transcript.segments]
    samples = round(transcript.duration_s * RATE)
    starts, ends = [0, *(end for _, end in edges)], [*(start for start, _ in edges), samples]
    gaps = sum(start != end for start, end in zip(starts, ends, strict=True))
    lasted = {kind: _seconds(s for s in transcript.segments if s.kind == kind) for kind in ("speech", "inaudible")}
    sound_s = sum(lasted.values())
    inaudible = lasted["inaudible"] / sound_s if sound_s else 0.0
    detail = f"gaps={gaps} speech_s={lasted['speech']:.1f} inaudible_share={inaudible:.2f}"
    if gaps:
        return Check("transcript_covers_audio", False, "ERROR", detail)
    return Check("transcript_covers_audio", inaudible <= limits.inaudible_share, "WARN", detail)


def transcript_is_plausible(transcript: Transcript, limits: Limits = LIMITS) -> Check:
    """Claim that no window looks invented: WARN for some, ERROR when they hold most of the speech."""
    found: list[str] = []
    risky_s = 0.0
    for window in _windows(transcript):
        if codes := risks(window, limits):
            found += codes
            risky_s += _seconds(window)
    speech_s = _seconds(transcript.speech)
    share = risky_s / speech_s if speech_s else 0.0
    counted = " ".join(f"{code}={found.count(code)}" for code in dict.fromkeys(found))
    detail = f"risky_share={share:.2f} {counted}".strip()
    return Check("transcript_is_plausible", not found, "ERROR" if share > 0.5 else "WARN", detail)


def language_is_certain(transcript: Transcript, limits: Limits = LIMITS) -> Check:
    """Claim that the language was recognised, forced, or not needed because nothing was said.

    An engine that names a language and no probability is believed; one that names none is not.
    """
    named, sure = transcript.language is not None, transcript.language_probability
    certain = named if sure is None else not named or sure >= limits.language_probability
    said = "unknown" if sure is None else f"{sure:.2f}"
    detail = f"language={transcript.language or 'none'} probability={said}"
    return Check("language_is_certain", certain, "WARN", detail)


def risks(window: Sequence[Segment], limits: Limits = LIMITS) -> list[str]:
    """Name what is suspicious about the segments of one window; empty when they are trusted or carry no scores."""
    first = window[0]
    speech_s = _seconds(window)
    letters = sum(len(s.text) for s in window)
    found = []
    if first.avg_logprob is not None and first.avg_logprob < limits.avg_logprob:
        found.append("avg_logprob")
    if first.compression_ratio is not None and first.compression_ratio > limits.compression_ratio:
        found.append("compression_ratio")
    if first.avg_logprob is not None and speech_s >= limits.min_speech_s:
        if letters / speech_s > limits.max_chars_per_s:
            found.append("too_fast")
        if letters / speech_s < limits.min_chars_per_s:
            found.append("too_little_text")
    return found


def _windows(transcript: Transcript) -> list[list[Segment]]:
    scores = itertools.groupby(transcript.speech, lambda s: (s.avg_logprob, s.no_speech_prob, s.compression_ratio))
    return [list(segments) for _, segments in scores]


def _seconds(segments: Iterable[Segment]) -> float:
    return sum(s.end_s - s.start_s for s in segments)
