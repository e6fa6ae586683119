"""Words that the model aligned with a window's audio, put right and put onto the recording's clock.

Aligning is decoding.py's business, keeping words inside their span is placing.py's.

What surprises: faster-whisper puts badly aligned words right by looking back at where speech ended before, so windows
are placed in their order. It looks back on a clock that counts speech only.
"""

from collections.abc import Iterable
from typing import Any, cast

from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.placing import Timed, placed
from diary_pipeline.transcription.repair.risk import LANGUAGE_SWITCH
from diary_pipeline.transcription.segments import compression_ratio
from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.speech.windows import Window
from diary_pipeline.transcription.whisper.decoding import Decoded

PREPEND, APPEND = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"  # faster-whisper's own defaults
FRAMES_PER_SECOND = 100
"""Of Whisper's log-mel spectrogram: a hop of 160 samples."""


def heard_window(window: Window, decoded: Decoded, last_speech: int, model_sha256: str) -> HeardWindow:
    """Say what was understood; `last_speech` is where the word before it ended, in samples of speech."""
    return HeardWindow(
        spans=window.spans,
        words=placed(window, _put_right(window, decoded, last_speech)),
        language=decoded.language.code,
        language_probability=decoded.language.probability,
        avg_logprob=decoded.avg_logprob,
        no_speech_prob=decoded.no_speech_prob,
        compression_ratio=compression_ratio(decoded.text) if decoded.text else None,
        risks=(LANGUAGE_SWITCH,) if decoded.may_hold_two_languages else (),
        model_sha256=model_sha256,
        tokens=decoded.tokens,
    )


def last_speech_of(window: Window, heard: Iterable[HeardWindow], before: int) -> int:
    """Say where the last word of a window ended, in samples of speech; `before` when there is none."""
    ends = [part.words[-1].at.end for part in heard if part.words]
    return window.offset + window.clock(max(ends)) if ends else before


def timed_word(text: str, start_s: float, end_s: float, probability: float) -> Timed:
    """Take a word of faster-whisper's; its times are seconds of the window's clock."""
    # numpy floats become Python's here: they are not JSON.
    return Timed(text, round(float(start_s) * RATE), round(float(end_s) * RATE), float(probability))


class _Aligned:
    # All that add_word_timestamps asks of a model: the alignment, which was made for the whole batch.
    frames_per_second = FRAMES_PER_SECOND

    def __init__(self, decoded: Decoded) -> None:
        self._words = [
            {"word": w.text, "tokens": list(w.tokens), "start": w.start_s, "end": w.end_s, "probability": w.probability}
            for w in decoded.words
        ]

    def find_alignment(self, *_: object) -> list[list[dict[str, Any]]]:
        return [self._words]


class _EndOfText:
    # All that add_word_timestamps asks of a tokenizer: the text has no token at or above this one.
    eot = float("inf")


def _put_right(window: Window, decoded: Decoded, last_speech: int) -> list[Timed]:
    from faster_whisper import WhisperModel

    seek = int(window.offset / RATE * FRAMES_PER_SECOND)
    line: dict[str, Any] = {
        "tokens": [token for word in decoded.words for token in word.tokens],
        "start": window.offset / RATE,
        "end": (window.offset + window.length) / RATE,
        "seek": seek,
    }
    WhisperModel.add_word_timestamps(
        cast("WhisperModel", _Aligned(decoded)),
        cast("Any", [[line]]),
        cast("Any", _EndOfText),
        cast("Any", None),
        cast("Any", [0]),
        PREPEND,
        APPEND,
        last_speech / RATE,
    )
    starts = seek / FRAMES_PER_SECOND
    return [timed_word(w["word"], w["start"] - starts, w["end"] - starts, w["probability"]) for w in line["words"]]
