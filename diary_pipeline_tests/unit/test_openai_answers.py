"""What each kind of server says about a window, and what stays unknown."""

from typing import Any

import numpy as np
import pytest

from diary_pipeline.core.languages import language_code
from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.server.answers import Asked, understood
from diary_pipeline.transcription.span import RATE, Span
from diary_pipeline.transcription.speech.windows import Window

TEXT = "Hello, world. It is late."
WINDOW = Window(np.zeros(4 * RATE, np.float32), (Span(10 * RATE, 12 * RATE), Span(20 * RATE, 22 * RATE)), 0)
SEGMENTS = [
    {"start": 0.0, "end": 1.5, "text": " Hello, world.", "avg_logprob": -0.1, "no_speech_prob": 0.02},
    {"start": 2.0, "end": 3.5, "text": " It is late.", "avg_logprob": -0.4, "no_speech_prob": 0.3},
]
TIMES = [(0.0, 0.5), (0.5, 1.0), (2.0, 2.2), (2.2, 2.4), (2.4, 3.0)]


def worded(words: str = "Hello world It is late", **more: Any) -> list[dict[str, Any]]:
    return [{"word": word, "start": a, "end": b, **more} for word, (a, b) in zip(words.split(), TIMES, strict=True)]


NOTHING = Asked()
WORDS = [(10.0, 10.5), (10.5, 11.0), (20.0, 20.2), (20.2, 20.4), (20.4, 21.0)]
BY_SEGMENT = [(10.0, 10.75), (10.75, 11.5), (20.0, 20.333), (20.333, 20.667), (20.667, 21.5)]
BY_LETTERS = [(10.0, 11.143), (11.143, 12.0), (20.286, 20.667), (20.667, 21.048), (21.048, 22.0)]


def heard(asked: Asked = NOTHING, **answer: Any) -> HeardWindow:
    return understood({"text": TEXT, **answer}, WINDOW, asked)


def times(window: HeardWindow) -> list[tuple[float, float]]:
    return [(round(w.at.start / RATE, 3), round(w.at.end / RATE, 3)) for w in window.words]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"words": worded(), "segments": SEGMENTS}, WORDS),
        ({"words": worded("Hello, world. It is late."), "segments": []}, WORDS),
        ({"segments": [{**SEGMENTS[0], "words": worded()[:2]}, {**SEGMENTS[1], "words": worded()[2:]}]}, WORDS),
        ({"words": None, "segments": SEGMENTS}, BY_SEGMENT),
        ({"words": worded("Hello word It is late"), "segments": SEGMENTS}, BY_SEGMENT),
        ({"words": worded(start="soon"), "segments": SEGMENTS}, BY_SEGMENT),
        ({"words": worded(end=10**400), "segments": SEGMENTS}, BY_SEGMENT),
        ({"words": worded(start=-1.0), "segments": SEGMENTS}, BY_SEGMENT),
    ],
    ids=["openai", "speaches", "inside segments", "segments only", "other words", "no number", "too large", "negative"],
)
def test_words_lie_where_the_server_says(answer: dict[str, Any], found: list[tuple[float, float]]) -> None:
    window = heard(**answer)
    assert times(window) == found
    assert window.text == TEXT
    assert {word.probability for word in window.words} == {None}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"words": [], "segments": None},
        {"segments": "none"},
        {"segments": [{**s, "start": s["start"] * 1e9, "end": s["end"] * 1e9} for s in SEGMENTS]},
        {"segments": SEGMENTS[:1]},
        {"segments": [{"text": TEXT}]},
    ],
    ids=["text only", "empty", "no list", "nanoseconds", "half the text", "no times"],
)
def test_without_times_that_can_be_words_share_the_window(answer: dict[str, Any]) -> None:
    window = heard(**answer)
    assert window.text == TEXT
    assert all(10 <= a <= b <= 12 or 20 <= a <= b <= 22 for a, b in times(window))
    assert times(window)[0][0] == 10
    assert times(window)[-1][1] == 22
    assert {word.probability for word in window.words} == {None}


def test_a_probability_that_is_given_is_kept() -> None:
    assert {word.probability for word in heard(words=worded(probability=0.75)).words} == {0.75}
    assert {word.probability for word in heard(words=worded(probability=7)).words} == {None}


@pytest.mark.parametrize(
    ("changes", "logprob", "no_speech"),
    [
        ({}, -0.238, 0.3),
        ({"avg_logprob": None}, None, None),
        ({"no_speech_prob": None}, -0.238, None),
        ({"no_speech_prob": -1.0}, -0.238, None),
        ({"avg_logprob": -1.0, "compression_ratio": -1.0, "no_speech_prob": 0.0}, None, None),  # vLLM's fillers
        ({"avg_logprob": 0.0}, None, None),
        ({"avg_logprob": float("nan")}, None, None),
        ({"avg_logprob": True}, None, None),
    ],
)
def test_scores_are_the_windows_and_fillers_are_none(
    changes: dict[str, Any], logprob: float | None, no_speech: float | None
) -> None:
    second = {**SEGMENTS[1], **changes}
    window = heard(segments=[SEGMENTS[0], second])
    assert window.avg_logprob == (logprob and pytest.approx(logprob, abs=0.001))
    assert window.no_speech_prob == no_speech
    assert window.compression_ratio is not None  # our own measure of the text


def test_what_nobody_says_is_unknown() -> None:
    window = heard()
    assert (window.language, window.language_probability) == (None, None)
    assert (window.avg_logprob, window.no_speech_prob, window.model_sha256) == (None, None, None)


@pytest.mark.parametrize(
    ("answer", "asked", "language"),
    [
        ({"language": "english"}, Asked(), ("en", None)),
        ({"language": "de"}, Asked(), ("de", None)),
        ({"language": "klingon"}, Asked(), (None, None)),
        ({"detected_language": "german", "detected_language_probability": 0.9}, Asked(), ("de", 0.9)),
        ({"language": "english", "detected_language_probability": -1}, Asked(), ("en", None)),
        ({"language": "english"}, Asked("de", 1.0), ("de", 1.0)),
        ({"detected_language_probability": 0.9}, Asked("de"), ("de", None)),
    ],
)
def test_the_language_is_the_one_asked_for_or_else_the_one_reported(
    answer: dict[str, Any], asked: Asked, language: tuple[str | None, float | None]
) -> None:
    window = heard(asked, **answer)
    assert (window.language, window.language_probability) == language


def test_an_empty_text_is_no_words() -> None:
    window = understood({"text": " \n", "segments": []}, WINDOW, Asked())
    assert (window.words, window.compression_ratio) == ((), None)


@pytest.mark.parametrize(
    ("said", "code"),
    [("English", "en"), ("haitian creole", "ht"), ("en-US", "en"), ("yue", "yue"), ("", None), (None, None), (7, None)],
)
def test_languages_become_codes(said: object, code: str | None) -> None:
    assert language_code(said) == code
