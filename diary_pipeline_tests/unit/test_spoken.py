"""The language of a recording is that of most of its speech, whichever window came first."""

import pytest

from diary_pipeline.core.errors import UsageError
from diary_pipeline.transcription.heard import HeardWindow, PlacedWord
from diary_pipeline.transcription.span import Span
from diary_pipeline.transcription.spoken import how_sure, may_come, spoken_language
from diary_pipeline.transcription.transcriber import Hints


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


@pytest.mark.parametrize(
    ("hints", "known", "may"),
    [
        (Hints(), ("en", "de"), ("en", "de")),
        (Hints(), (), ()),
        (Hints(), ("en",), ("en",)),
        (Hints("de", ("en",)), ("en", "de"), ("de",)),
        (Hints(languages=("en",)), ("en", "de"), ("en",)),
        (Hints(languages=("en",)), (), ("en",)),
        (Hints(languages=("de", "en")), (), ("de", "en")),
        (Hints(languages=("de", "en")), ("en",), ("en",)),
    ],
)
def test_a_language_may_come_when_the_owner_speaks_it_and_the_weights_know_it(
    hints: Hints, known: tuple[str, ...], may: tuple[str, ...]
) -> None:
    assert may_come(hints, known, "base") == may


@pytest.mark.parametrize("hints", [Hints("de"), Hints(languages=("de", "fr")), Hints("de", ("en",))])
def test_weights_that_know_none_of_the_wanted_languages_are_refused(hints: Hints) -> None:
    with pytest.raises(UsageError, match=r"base.en does not understand de.*without `.en`") as refused:
        may_come(hints, ("en",), "base.en")
    assert refused.value.code == "language_not_supported"


@pytest.mark.parametrize(
    ("owned", "sure"),
    [
        ((), {"en": 0.5, "cy": 0.3, "de": 0.2}),
        (("en",), {"en": 1.0}),
        (("en", "cy"), {"en": 0.625, "cy": 0.375}),
        (("xx",), {"en": 0.5, "cy": 0.3, "de": 0.2}),
    ],
)
def test_a_language_is_as_sure_as_it_is_among_those_of_the_owner(
    owned: tuple[str, ...], sure: dict[str, float]
) -> None:
    assert how_sure({"en": 0.5, "cy": 0.3, "de": 0.2}, owned) == pytest.approx(sure)
