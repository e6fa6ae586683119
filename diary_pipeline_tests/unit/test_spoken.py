"""The language of a recording is that of most of its speech, whichever window came first."""

import pytest

from diary_pipeline.transcription.heard import HeardWindow, PlacedWord
from diary_pipeline.transcription.span import Span
from diary_pipeline.transcription.spoken import spoken_language


def window(
    seconds: int, language: str | None, sure: float | None = 0.9, *, said: bool = True, refused: str | None = None
) -> HeardWindow:
    span = Span(0, seconds * 16_000)
    words = (PlacedWord(" Ja.", span, None),) if said else ()
    return HeardWindow((span,), words, language, sure, refused=refused)


@pytest.mark.parametrize(
    ("heard", "forced", "language", "sure"),
    [
        ([window(10, "en", 0.9), window(30, "fr", 0.95), window(10, "fr", 0.75)], None, "fr", 0.9),
        ([window(30, "de", 1.0), window(10, "de", 0.6)], None, "de", 0.9),
        ([window(30, "de", 0.8), window(20, "de", None)], None, "de", 0.8),
        ([window(30, "de", None), window(10, "en", 0.9)], None, "de", None),
        ([window(10, "en", 0.9), window(30, None, None)], None, "en", 0.9),
        ([window(30, None, None)], None, None, None),
        ([window(10, "en", 0.9), window(30, "ja", 0.99, refused="phantom_phrase")], None, "en", 0.9),
        ([window(10, "en", 0.9), window(30, "ja", 0.99, said=False)], None, "en", 0.9),
        ([window(10, "en", 0.9), window(30, "fr", 0.95)], "en", "en", 1.0),
        ([window(30, "fr", 0.95, refused="loop")], "en", None, 0.0),
        ([], "en", None, 0.0),
        ([], None, None, 0.0),
    ],
)
def test_it_is_decided_by_seconds_of_believed_speech(
    heard: list[HeardWindow], forced: str | None, language: str | None, sure: float | None
) -> None:
    found, probability = spoken_language(heard, forced)
    assert found == language
    assert probability == (None if sure is None else pytest.approx(sure))
