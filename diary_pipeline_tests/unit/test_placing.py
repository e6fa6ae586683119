"""Texts are cut at the times that are known; where none are, words share the speech by their letters."""

import numpy as np
import pytest

from diary_pipeline.transcription.placing import Timed, aligned, laid, placed
from diary_pipeline.transcription.span import Span
from diary_pipeline.transcription.speech.windows import Window


def parts(*texts: str) -> list[Timed]:
    return [Timed(text, 10 * i, 10 * i + 8) for i, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("text", "words", "spaced", "pieces"),
    [
        ("Hello, world.", ("Hello", "world"), True, [" Hello,", " world."]),  # OpenAI: no punctuation
        ("Hello, world.", (" Hello,", " world."), True, [" Hello,", " world."]),  # faster-whisper behind a server
        ("In the playground.", (" In", " the", " play", "ground", "."), True, [" In", " the", " playground."]),
        ('He said "no" twice', ("He", "said", "no", "twice"), True, [" He", " said", ' "no"', " twice"]),
        ("I don't know", ("I", "dont", "KNOW"), True, [" I", " don't", " know"]),
        ("It cost $1,140.50 then", ("It", "cost", "1140", "50", "then"), True, [" It", " cost", " $1,140.50", " then"]),
        ("- so it is", ("so", "it", "is"), True, [" - so", " it", " is"]),
        ("Grüße an Zoë", ("grüße", "an", "zoë"), True, [" Grüße", " an", " Zoë"]),
        ("今日は。晴れ", ("今日", "は", "晴れ"), False, ["今日", "は。", "晴れ"]),
        ("", (), True, []),
    ],
)
def test_a_text_is_cut_at_its_words(text: str, words: tuple[str, ...], spaced: bool, pieces: list[str]) -> None:
    found = aligned(text, parts(*words), spaced=spaced)
    assert [piece.text for piece in found or []] == pieces
    assert "".join(pieces).split() == text.split()


@pytest.mark.parametrize(
    "words", [("Hello",), ("Hello", "word"), ("world", "Hello"), ("Hello", "world", "again"), ()], ids=str
)
def test_words_that_do_not_spell_the_text_are_not_used(words: tuple[str, ...]) -> None:
    assert aligned("Hello, world.", parts(*words)) is None


def test_pieces_of_a_word_give_it_their_times_and_their_mean_probability() -> None:
    pieces = [Timed(" play", 0, 5, 0.5), Timed("ground", 5, 9, 1.0), Timed(" too", 9, 12, None)]
    assert aligned("playground too", pieces) == [Timed(" playground", 0, 9, 0.75), Timed(" too", 9, 12, None)]


@pytest.mark.parametrize(
    ("text", "spaced", "found"),
    [
        ("ab abcd", True, [Timed(" ab", 10, 30), Timed(" abcd", 30, 70)]),
        ("今日。", False, [Timed("今", 10, 30), Timed("日", 30, 50), Timed("。", 50, 70)]),
        ("", True, []),
    ],
)
def test_without_times_words_share_a_stretch_by_their_letters(text: str, spaced: bool, found: list[Timed]) -> None:
    assert laid(text, 10, 70, spaced=spaced) == found


def test_placed_words_lie_in_one_span_each_and_do_not_overlap() -> None:
    window = Window(np.zeros(100, np.float32), (Span(1000, 1050), Span(2000, 2050)), 0)
    words = placed(window, [Timed(" a", 0, 30), Timed(" b", 20, 60, 0.5), Timed(" c", 60, 400)])
    assert [word.at for word in words] == [Span(1000, 1030), Span(1030, 1050), Span(2010, 2050)]
    assert [word.probability for word in words] == [None, 0.5, None]
