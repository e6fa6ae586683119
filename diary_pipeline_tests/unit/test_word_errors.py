"""Spelling is folded, hearing is not."""

import pytest

from diary_pipeline_tests.word_errors import Wer, folded, word_errors


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Three hundred messages.", "300 messages"),
        ("twenty lengths, six more", "20 lengths 6 more"),
        ("sixty pounds", "£60"),
        ("forty-two", "42"),
        ("eleven hundred and forty", "1,140"),
        ("two thousand and twenty six", "2026"),
        ("the fifteenth of March", "The 15th of March"),
        ("before nine", "before 9"),
        ("I cannot go", "I can not go!"),
        ("five or six", "5 or 6"),
        ("eight, nine, ten", "8 9 10"),
        ("a hundred and one", "a 101"),
    ],
)
def test_what_sounds_the_same_is_the_same(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@pytest.mark.parametrize(
    ("said", "written", "errors", "words"),
    [
        ("a b c", "a b c", 0, 3),
        ("a b c", "a x c", 1, 3),
        ("a b c", "a c", 1, 3),
        ("a b c", "a b b c", 1, 3),
        ("a b c", "", 3, 3),
        ("", "thank you", 2, 0),
        ("steaks", "stakes", 1, 1),
    ],
)
def test_errors_are_counted(said: str, written: str, errors: int, words: int) -> None:
    assert word_errors(said, written) == Wer(errors, words)


def test_rates_add_up_by_words() -> None:
    assert (Wer(1, 10) + Wer(0, 30)).rate == pytest.approx(1 / 40)
