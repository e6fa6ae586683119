"""On what a correction falls once a recording was heard or its note written anew, and how that reads then."""

import datetime as dt
from itertools import pairwise

import pytest

from diary_pipeline.catalogue.overlay import corrected_note, corrected_transcript, on_items, on_segments
from diary_pipeline.core.correction import Correction
from diary_pipeline.core.note import ItemKind, NoteItem
from diary_pipeline.core.transcript import Segment
from diary_pipeline_tests.builders import make_transcript
from diary_pipeline_tests.note_builders import make_note

AT = dt.datetime(2026, 11, 27, tzinfo=dt.UTC)
HEARD, MEANT = "I met Brea at the harbour.", "I met Priya at the harbour."


def of_segment(machine: str = HEARD, text: str = MEANT, start_s: float = 10.0, end_s: float = 14.0) -> Correction:
    """Correct a segment."""
    return Correction("segment", text, machine, AT, "me", start_s, end_s)


def of_item(
    machine: str, text: str = "Priya", start_s: float = 10.0, kind: ItemKind = "person", *, removed: bool = False
) -> Correction:
    """Correct or strike an item."""
    target = "removed_item" if removed else "item"
    return Correction(target, "" if removed else text, machine, AT, "me", start_s, start_s + 1, kind)


def item(text: str, start_s: float = 10.0, kind: ItemKind = "person", number: int = 0) -> NoteItem:
    """Return a claim."""
    return NoteItem(number, kind, text, 0, start_s, start_s + 1, text)


@pytest.mark.parametrize(
    ("segments", "reads"),
    [
        ([(10, 14, HEARD)], {0: MEANT}),
        ([(9.2, 14.8, HEARD)], {0: MEANT}),
        ([(0, 9, "Then."), (9, 15, "i met brea at the harbour")], {1: MEANT}),
        ([(10, 14, "I met Breya at the harbour.")], {0: MEANT}),
        ([(10, 14, MEANT)], {0: MEANT}),
        ([(5, 20, f"It rained. {HEARD} We ate.")], {0: f"It rained. {MEANT} We ate."}),
        ([(5, 20, f"It rained. {MEANT} We ate.")], {0: f"It rained. {MEANT} We ate."}),
        ([(10, 18, f"{HEARD.replace('Brea', 'Breya')} We ate.")], {}),
        ([(10, 14, "The tide was out and gulls were loud.")], {}),
        ([(10, 12, "I met Brea"), (12, 14, "at the harbour.")], {}),
        ([(20, 24, HEARD)], {}),
        ([], {}),
    ],
    ids=[
        "the same", "cut a little elsewhere", "other case and points", "another mishearing", "heard right now",
        "joined with its neighbours",
        "joined and heard right", "joined and misheard otherwise",
        "something else", "cut in two", "elsewhere in time", "nothing heard",
    ],
)  # fmt: skip
def test_a_segments_correction_falls_where_its_words_stand_at_its_time(
    segments: list[tuple[float, float, str]], reads: dict[int, str]
) -> None:
    heard = [Segment(n, start, end, "speech", text) for n, (start, end, text) in enumerate(segments)]
    assert {p.number: p.text for p in on_segments(heard, [of_segment()])} == reads


def test_two_corrections_in_a_segment_that_was_joined_both_hold() -> None:
    other = of_segment("It reigned.", "It rained.", 14.0, 16.0)
    joined = [Segment(0, 10.0, 16.0, "speech", f"{HEARD} It reigned.")]
    assert on_segments(joined, [other, of_segment()])[-1].text == f"{MEANT} It rained."


@pytest.mark.parametrize(
    ("kind", "text", "falls"), [("inaudible", "", True), ("speech", "Thanks for watching.", False)]
)
def test_what_was_inaudible_is_filled_only_while_nothing_else_is_heard(kind: str, text: str, falls: bool) -> None:
    heard = [Segment(0, 10.0, 14.0, "inaudible" if kind == "inaudible" else "speech", text)]
    assert bool(on_segments(heard, [of_segment(machine="")])) is falls


def test_a_sentence_that_was_added_is_not_added_twice() -> None:
    added = of_segment(HEARD, f"{HEARD} Really.")
    for heard in (HEARD, f"{HEARD} Really."):
        assert [p.text for p in on_segments([Segment(0, 10.0, 14.0, "speech", heard)], [added])] == [added.text]
    joined = [Segment(0, 10.0, 18.0, "speech", f"{HEARD} Really. We ate.")]
    assert [p.text for p in on_segments(joined, [added])] == [f"{HEARD} Really. We ate."]


def test_what_was_shortened_is_short() -> None:
    [placed] = on_segments([Segment(0, 10.0, 14.0, "speech", HEARD)], [of_segment(HEARD, "I met Brea")])
    assert placed.text == "I met Brea"


def test_an_invented_sentence_can_be_emptied() -> None:
    transcript = make_transcript(["Thanks for watching.", "I walked home."])
    first = transcript.segments[0]
    gone = of_segment(first.text, "", first.start_s, first.end_s)
    assert corrected_transcript(transcript, [gone]).text == "I walked home."


def test_words_keep_their_times_and_new_ones_share_those_of_what_they_replace() -> None:
    transcript = make_transcript([HEARD])
    heard = transcript.segments[0]
    text = "Today I met Priya Sharma at the old harbour."
    after = corrected_transcript(transcript, [of_segment(heard.text, text, heard.start_s, heard.end_s)])
    words = after.segments[0].words
    assert " ".join(w.text for w in words) == text
    before = {w.text: (w.start_s, w.end_s) for w in heard.words}
    assert {w.text: (w.start_s, w.end_s) for w in words if w.text in before and w.text != "I"}.items() <= before.items()
    replaced = [w for w in words if w.text in ("Priya", "Sharma")]
    assert (replaced[0].start_s, replaced[1].end_s) == before["Brea"]
    assert all(w.probability is None for w in replaced)
    assert all(a.start_s <= b.start_s for a, b in pairwise(words))
    assert all(heard.start_s <= w.start_s < w.end_s <= heard.end_s for w in words)


def test_the_version_tells_what_was_corrected_and_nothing_else() -> None:
    transcript = make_transcript([HEARD])
    first = transcript.segments[0]
    mine = of_segment(first.text, MEANT, first.start_s, first.end_s)
    after = corrected_transcript(transcript, [mine])
    assert after.heard_version == transcript.version == transcript.heard_version
    assert after.version.startswith(f"{transcript.version}+")
    title = Correction("title", "By the river", "Walk", AT, "me")
    assert corrected_transcript(transcript, [mine, title]).version == after.version
    assert corrected_transcript(transcript, [title]) is transcript
    assert corrected_transcript(transcript, []) is transcript


@pytest.mark.parametrize(
    ("items", "correction", "falls"),
    [
        ([item("Brea")], of_item("Brea"), 0),
        ([item("Brea", 40.0)], of_item("Brea"), 0),
        ([item("Priya")], of_item("Brea"), 0),
        ([item("Brea", kind="place")], of_item("Brea"), None),
        ([item("Anton")], of_item("Brea"), None),
        ([item("Anton", number=0), item("Brea", number=1)], of_item("Brea"), 1),
        ([item("Bought bread", 11.0, "event")], of_item("Bought bred", "Bought bread", kind="event"), 0),
        ([item("Bought bred", 40.0, "event")], of_item("Bought bred", "Bought bread", kind="event"), None),
        ([item("Bought bread", 11.5, "event")], of_item("Bought bread.", removed=True, kind="event"), 0),
    ],
    ids=[
        "the same", "a name said first elsewhere", "written right now", "another kind", "another name", "of two",
        "the same seconds", "the same words at another time", "struck",
    ],
)  # fmt: skip
def test_an_items_correction_falls_on_its_kind_at_its_time(
    items: list[NoteItem], correction: Correction, falls: int | None
) -> None:
    placed = on_items(items, [correction])
    assert [p.number for p in placed] == ([] if falls is None else [falls])


def test_a_note_reads_as_its_owner_wants_it() -> None:
    note = make_note(make_transcript([HEARD, "It rained.", "We ate."]))
    first, second, _ = note.items
    made = [
        Correction("title", "By the sea", note.title, AT, "me"),
        Correction("note_date", "2026-03-05", note.note_date.isoformat(), AT, "me"),
        Correction("item", "Met Priya", first.text, AT, "me", first.start_s, first.end_s, "event"),
        Correction("removed_item", "", second.text, AT, "me", second.start_s, second.end_s, "event"),
    ]
    after = corrected_note(note, made)
    assert (after.title, after.note_date) == ("By the sea", dt.date(2026, 3, 5))
    assert [(i.id, i.text, i.quote) for i in after.items] == [(0, "Met Priya", HEARD), (2, "We ate.", "We ate.")]
    assert corrected_note(note, []) is note


def test_one_place_has_one_id_and_striking_an_item_is_of_the_same_place() -> None:
    assert of_item("Brea").id == of_item("Brea", "Prija").id == of_item("Brea", removed=True).id
    assert len({of_item("Brea").id, of_item("Anton").id, of_item("Brea", start_s=4.0).id, of_segment().id}) == 4
