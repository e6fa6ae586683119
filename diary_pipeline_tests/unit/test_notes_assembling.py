"""A draft becomes a note of ours: quotes are found, days are counted by us, and what nobody said is lost and named."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diary_pipeline.core.recording import RecordedAt
from diary_pipeline.core.transcript import Transcript
from diary_pipeline.notes.drafts.assembling import (
    NAME_NOT_SAID,
    NOT_OPEN,
    QUOTE_NOT_SAID,
    UNSUPPORTED,
    Assembled,
    Lost,
    Place,
    assemble_draft,
)
from diary_pipeline.notes.drafts.assignment import Assignment
from diary_pipeline.notes.drafts.schema import Claim, NoteDraft
from diary_pipeline.notes.drafts.spoken import Spoken
from diary_pipeline.notes.evidence.checks import check_note, dates_supported, quotes_verbatim
from diary_pipeline_tests.builders import make_transcript

DAY = dt.date(2026, 3, 4)
RECORDED = RecordedAt(dt.datetime(2026, 3, 4, 20, 14, tzinfo=dt.UTC), "Europe/Berlin", "file_name", 0.9, DAY)
SAID = (
    "Today I met Priya Patel for lunch in Lisbon, and the soup at the harbour was wonderful.",
    "We talked for two hours about the old flat, and I felt calm for the first time in weeks.",
    "I need to call Tom by Friday. I also have to book the train on Monday.",
    "No, on Tuesday. Priya laughed.",
)
TRANSCRIPT = make_transcript(SAID)
GOOD: dict[str, Any] = {
    "events": (Claim(text="I had lunch with Priya.", quote="I met Priya Patel for lunch", segment=0),),
    "reflections": (Claim(text="I felt calm.", quote="I felt calm for the first time", segment=2),),
    "actions": (Claim(text="Call Tom.", quote="I need to call Tom", segment=4),),
    "people": ("Priya Patel", "Tom"),
    "places": ("Lisbon",),
    "topics": ("old flat",),
    "quotes": ("the soup at the harbour was wonderful",),
    "said_date": None,
    "mood": "positive",
    "summary": "I met Priya Patel for lunch in Lisbon. We talked for two hours about the old flat, and I felt calm.",
    "title": "Lunch with Priya",
}


def assembled(transcript: Transcript = TRANSCRIPT, recorded: RecordedAt = RECORDED, **changes: Any) -> Assembled:
    """Assemble a good draft with some fields changed."""
    assignment = Assignment(transcript, recorded, "note-1", "0" * 16)
    return assemble_draft(NoteDraft(**{**GOOD, **changes}), assignment, Spoken(transcript, recorded))


def action(quote: str, segment: int = 4) -> tuple[Claim, ...]:
    """Return one thing to do."""
    return (Claim(text="To do.", quote=quote, segment=segment),)


def test_a_good_draft_becomes_a_note_that_passes_every_check() -> None:
    made = assembled()
    assert made.lost == ()
    assert [c.name for c in check_note(made.note, TRANSCRIPT, DAY) if not c.passed] == []
    assert [(i.kind, i.text, i.segment_id, i.quote, i.due_date) for i in made.note.items] == [
        ("event", "I had lunch with Priya.", 0, "I met Priya Patel for lunch", None),
        ("reflection", "I felt calm.", 2, "I felt calm for the first time", None),
        ("action", "Call Tom.", 4, "I need to call Tom", dt.date(2026, 3, 6)),
        ("person", "Priya Patel", 0, SAID[0], None),
        ("person", "Tom", 4, "I need to call Tom by Friday.", None),
        ("place", "Lisbon", 0, SAID[0], None),
        ("topic", "old flat", 2, SAID[1], None),
        ("quote", "the soup at the harbour was wonderful", 0, "the soup at the harbour was wonderful", None),
    ]
    assert made.places[2] == Place("actions", 0)
    assert (made.note.writer, made.note.note_date, made.quotes_offered, made.quotes_dropped) == ("llm", DAY, 4, 0)


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"actions": action("I must sell my car at once")}, Lost(Place("actions", 0), QUOTE_NOT_SAID)),
        ({"quotes": ("Life is a journey, not a goal",)}, Lost(Place("quotes", 0), QUOTE_NOT_SAID)),
        ({"people": ("Priya Patel", "Dave")}, Lost(Place("people", 1), NAME_NOT_SAID)),
        ({"people": ("Priya Weber",)}, Lost(Place("people", 0), NAME_NOT_SAID)),
        ({"places": ("Porto",)}, Lost(Place("places", 0), NAME_NOT_SAID)),
        ({"topics": ("quantum physics",)}, Lost(Place("topics", 0), UNSUPPORTED)),
    ],
)
def test_what_nobody_said_becomes_no_item_and_is_named(changes: dict[str, Any], lost: Lost) -> None:
    made = assembled(**changes)
    assert made.lost == (lost,)
    assert quotes_verbatim(made.note, TRANSCRIPT).passed
    assert made.quotes_dropped == (lost.code == QUOTE_NOT_SAID)


@pytest.mark.parametrize(
    ("quote", "due", "why"),
    [
        ("I need to call Tom", "2026-03-06", "the day stands in its sentence, not in its quote"),
        ("I need to call Tom by Friday", "2026-03-06", "or in both"),
        ("I also have to book the train", None, "the next sentence puts the day right"),
        ("We talked for two hours", None, "no to-do of ours"),
        ("I need to call Tom by Friday. I also have to book the train on Monday", None, "two days are none"),
    ],
)
def test_a_due_date_comes_from_the_words_of_its_own_sentence(quote: str, due: str | None, why: str) -> None:
    transcript = make_transcript(
        (*SAID[:2], "I need to call Tom by Friday. I also have to book the train on Monday.", SAID[3])
    )
    made = assembled(transcript, actions=action(quote))
    (item,) = made.note.of("action")
    assert item.due_date == (dt.date.fromisoformat(due) if due else None), why
    assert dates_supported(made.note, transcript, DAY).passed


def test_a_to_do_that_is_taken_back_is_none() -> None:
    transcript = make_transcript((*SAID[:2], "I need to call Tom by Friday.", "I probably won't.", "Priya laughed."))
    made = assembled(transcript)
    assert made.note.of("action") == ()
    assert made.lost == (Lost(Place("actions", 0), NOT_OPEN),)


def test_a_guessed_day_dates_no_to_do() -> None:
    guessed = RecordedAt(RECORDED.at, RECORDED.zone, "file_time", 0.2, DAY)
    (item,) = assembled(recorded=guessed).note.of("action")
    assert item.due_date is None


@pytest.mark.parametrize(
    ("opening", "understood", "day"),
    [
        ("I slept well.", None, "2026-03-04"),
        ("I slept well.", "2026-03-01", "2026-03-04"),
        ("Today is the third of March.", None, "2026-03-03"),
        ("Today is the third of March.", "2026-02-01", "2026-03-03"),
    ],
)
def test_a_note_is_dated_by_its_recording_or_by_a_day_that_was_said(
    opening: str, understood: str | None, day: str
) -> None:
    transcript = make_transcript((opening, *SAID))
    made = assembled(transcript, said_date=dt.date.fromisoformat(understood) if understood else None)
    assert made.note.note_date == dt.date.fromisoformat(day)
    assert dates_supported(made.note, transcript, DAY).passed


def test_a_day_said_later_counts_when_the_model_heard_it_too() -> None:
    transcript = make_transcript((*SAID, "By the way, today is the third of March."))
    assert assembled(transcript).note.note_date == DAY
    assert assembled(transcript, said_date=dt.date(2026, 3, 3)).note.note_date == dt.date(2026, 3, 3)


def test_what_is_claimed_twice_stands_once() -> None:
    twice = (
        Claim(text="I had lunch with Priya.", quote="I met Priya Patel for lunch", segment=0),
        Claim(text="Lunch with Priya I had", quote="I met Priya Patel", segment=0),
        Claim(text="I did not have lunch with Priya.", quote="I met Priya Patel", segment=0),
    )
    made = assembled(events=twice, people=("Priya", "Priya Patel", "priya patel"))
    assert [i.text for i in made.note.of("event")] == [twice[0].text, twice[2].text]
    assert [i.text for i in made.note.of("person")] == ["Priya Patel"]


def test_a_longer_name_that_nobody_said_takes_the_said_one_not_away() -> None:
    made = assembled(people=("Priya", "Priya Weber"))
    assert [i.text for i in made.note.of("person")] == ["Priya"]
    assert made.lost == (Lost(Place("people", 1), NAME_NOT_SAID),)


def test_items_stand_in_order_of_time_whatever_the_model_wrote_first() -> None:
    claims = tuple(Claim(text=f"Thing {n}: {SAID[n]}"[:300], quote=SAID[n][:60], segment=0) for n in (2, 0, 1))
    made = assembled(events=claims)
    assert [i.segment_id for i in made.note.of("event")] == [0, 2, 4]
    assert [made.places[i.id].index for i in made.note.of("event")] == [1, 2, 0]


def test_the_title_that_an_owner_gave_stands() -> None:
    assignment = Assignment(TRANSCRIPT, RECORDED, "note-1", "0" * 16, title="  My  day ")
    made = assemble_draft(NoteDraft(**GOOD), assignment, Spoken(TRANSCRIPT, RECORDED))
    assert made.note.title == "My day"


def test_quotes_stay_in_the_spoken_language_when_the_note_is_in_another() -> None:
    assignment = Assignment(TRANSCRIPT, RECORDED, "note-1", "0" * 16, note_language="de")
    draft = NoteDraft(
        **{
            **GOOD,
            "title": "Mittagessen mit Priya",
            "events": (Claim(text="Ich traf Priya.", quote="I met Priya Patel", segment=0),),
        }
    )
    note = assemble_draft(draft, assignment, Spoken(TRANSCRIPT, RECORDED)).note
    assert note.language == "de"
    assert [(i.text, i.quote) for i in note.of("event")] == [("Ich traf Priya.", "I met Priya Patel")]


_CLAIMS = st.lists(
    st.builds(
        Claim,
        text=st.sampled_from(("I met Priya.", "I called Tom.", "The soup was good.", "the soup was GOOD")),
        quote=st.sampled_from((*SAID, *(s[5:40] for s in SAID), "Nobody ever said this sentence here")),
        segment=st.integers(0, 12),
    ),
    max_size=8,
).map(tuple)


@given(_CLAIMS, _CLAIMS)
def test_every_entry_ends_as_an_item_with_evidence_or_lost_or_a_repeat(
    events: tuple[Claim, ...], actions: tuple[Claim, ...]
) -> None:
    made = assembled(events=events, actions=actions)
    assert quotes_verbatim(made.note, TRANSCRIPT).passed
    assert dates_supported(made.note, TRANSCRIPT, DAY).passed
    assert [i.id for i in made.note.items] == list(range(len(made.note.items)))
    kept, lost = set(made.places.values()), {lost.place for lost in made.lost}
    assert not kept & lost
    assert {p.index for p in kept | lost if p.field == "events"} <= set(range(len(events)))
    for kind in ("event", "action"):
        times = [i.start_s for i in made.note.of(kind)]
        assert times == sorted(times)


def test_the_number_of_a_line_that_a_model_copied_into_its_quote_is_no_word_of_it() -> None:
    claim = Claim(text="I had lunch with Priya.", quote="[0] Today I met Priya Patel for lunch", segment=1)
    made = assembled(events=(claim,), quotes=("[0] the soup at the harbour was wonderful",))
    assert made.lost == ()
    assert made.note.of("event")[0].quote == "Today I met Priya Patel for lunch"
    assert made.note.of("quote")[0].quote == "the soup at the harbour was wonderful"
