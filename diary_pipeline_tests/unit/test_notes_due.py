"""A day goes to the to-do it was said with, and to no other in the same sentence."""

import datetime as dt

import pytest

from diary_pipeline.notes.drafts.due import due_of

WEDNESDAY = dt.date(2026, 3, 4)
TWO = "I have to write the abstract by Sunday and ask the archive once more."
BOTH = "I need to call Tom by Friday and pay the rent on Monday."


@pytest.mark.parametrize(
    ("sentence", "quote", "due", "why"),
    [
        (TWO, "write the abstract", "2026-03-08", "its own"),
        (TWO, "ask the archive once more", None, "another's"),
        (TWO, TWO, "2026-03-08", "the whole sentence has one"),
        (BOTH, "call Tom", "2026-03-06", "the first of two"),
        (BOTH, "pay the rent", "2026-03-09", "the second, whose cue is the first one's"),
        ("On Monday, I have to see the vet.", "see the vet", "2026-03-09", "a day may open a sentence"),
        ("I have to see the vet, on Monday.", "see the vet", "2026-03-09", "or follow a comma"),
        ("I have to call Tom on Friday, buy milk.", "buy milk", None, "but not that of the one before"),
        ("I need insoles, and I have to bring a photo on Monday.", "I need insoles", None, "nor of the one behind"),
        ("I must tell Ann, because I leave tomorrow.", "tell Ann", None, "nor of a reason"),
        ("I saw Ann on Monday.", "saw Ann", None, "what is no to-do has no day"),
        (
            "I have to call Tom about the letter that came on Friday.",
            "call Tom",
            None,
            "nor has it the day of something else",
        ),
    ],
)
def test_a_day_belongs_to_the_words_around_a_quote(sentence: str, quote: str, due: str | None, why: str) -> None:
    start = sentence.index(quote)
    found = due_of(sentence, start, start + len(quote), WEDNESDAY)
    assert found == (dt.date.fromisoformat(due) if due else None), why
