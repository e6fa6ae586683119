"""What a transcription server's answer says about a window; whatever it leaves out stays unknown.

Pure: decoded JSON in, a HeardWindow out. Asking is connection.py's business.

What surprises: little of an answer can be relied on. OpenAI's words lack punctuation, whisper.cpp's are tokens inside
the segments, vLLM fills in -1 for scores it does not have, LocalAI has counted in nanoseconds, and the newest models
give text alone. So times outside the window and scores that cannot be are taken for missing, never for facts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from diary_pipeline.core.languages import UNSPACED, language_code
from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.placing import Timed, aligned, laid, placed
from diary_pipeline.transcription.segments import compression_ratio
from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.speech.windows import Window

Answer = Mapping[str, object]
SLACK_S = 1.0
"""A last word may end this long after the window: models count in steps and round up."""


@dataclass(frozen=True)
class Asked:
    """The language that the server was told."""

    language: str | None = None
    """None: it was to find out."""
    probability: float | None = None
    """1.0: forced; None: we guessed."""


def understood(answer: Answer, window: Window, asked: Asked) -> HeardWindow:
    """Read an answer that has a text.

    Words lie where the server says; where it times only segments they share those evenly, and without any times the
    whole window. `avg_logprob` is the mean of its segments by length, `no_speech_prob` the highest of them,
    `compression_ratio` our own measure of the text. The weights are unknown.
    """
    text = " ".join(str(answer["text"]).split())
    reported = language_code(answer.get("language")) or language_code(answer.get("detected_language"))
    language = asked.language or reported
    sure = asked.probability if asked.language else _share(answer.get("detected_language_probability"))
    segments = _dicts(answer.get("segments"))
    avg_logprob, no_speech_prob = _scores(segments)
    return HeardWindow(
        spans=window.spans,
        words=placed(window, _timed(text, answer, segments, window, spaced=language not in UNSPACED)),
        language=language,
        language_probability=sure if language else None,
        avg_logprob=avg_logprob,
        no_speech_prob=no_speech_prob,
        compression_ratio=compression_ratio(text) if text else None,
        rung="server",
    )


def _timed(text: str, answer: Answer, segments: Sequence[Answer], window: Window, *, spaced: bool) -> list[Timed]:
    inside = [word for segment in segments for word in _dicts(segment.get("words"))]
    for words in (_dicts(answer.get("words")), inside):
        if (found := _parts(words, "word", window)) and (timed := aligned(text, found, spaced=spaced)):
            return timed
    if (found := _parts(segments, "text", window)) and (timed := aligned(text, found)):
        return [word for part in timed for word in laid(part.text, part.start, part.end, spaced=spaced)]
    return laid(text, 0, window.length, spaced=spaced)


def _parts(said: Sequence[Answer], name: str, window: Window) -> list[Timed]:
    # One time that cannot be makes the others worthless too: they are in another unit, or of another recording.
    latest = window.length / RATE + SLACK_S
    parts: list[Timed] = []
    for part in said:
        text, start, end = part.get(name), _number(part.get("start")), _number(part.get("end"))
        if not isinstance(text, str) or start is None or end is None or not 0 <= start <= end <= latest:
            return []
        parts.append(Timed(text, round(start * RATE), round(end * RATE), _share(part.get("probability"))))
    return parts


def _scores(segments: Sequence[Answer]) -> tuple[float | None, float | None]:
    logprobs = [_logprob(segment) for segment in segments]
    letters = [len(str(segment.get("text", ""))) for segment in segments]
    known = [score for score in logprobs if score is not None]
    if not sum(letters) or len(known) < len(segments):
        return None, None
    silent = [share for segment in segments if (share := _share(segment.get("no_speech_prob"))) is not None]
    mean = sum(score * weight for score, weight in zip(known, letters, strict=True)) / sum(letters)
    return mean, max(silent) if len(silent) == len(segments) else None


def _logprob(segment: Answer) -> float | None:
    # Nothing is certain to the last digit, and no text compresses to less than nothing: these are fillers.
    score, ratio = _number(segment.get("avg_logprob")), _number(segment.get("compression_ratio"))
    return score if score is not None and score < 0 and (ratio is None or ratio > 0) else None


def _share(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= 1 else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # JSON has integers of any length
        return None
    return number if math.isfinite(number) else None


def _dicts(value: object) -> list[Answer]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
