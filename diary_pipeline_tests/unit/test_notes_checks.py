"""Every check passes on a note that was said, and fails on one that was not."""

import dataclasses
import datetime as dt
from collections.abc import Callable

import pytest

from diary_pipeline.core.note import DiaryNote
from diary_pipeline.core.recording import RecordedAt
from diary_pipeline.notes.evidence.checks import NOTE_IS_FIT, NOTE_IS_SUPPORTED, check_note
from diary_pipeline.notes.evidence.grounding import Said, names_in
from diary_pipeline.notes.evidence.numbers import hinted, numbers
from diary_pipeline.notes.offline.writer import OfflineWriter
from diary_pipeline_tests.builders import make_transcript

DAY = dt.date(2026, 3, 4)
RECORDED = RecordedAt(dt.datetime(2026, 3, 4, 20, 14, tzinfo=dt.UTC), "UTC", "file_name", 0.9, DAY)
SAID = (
    "I met Priya for lunch in Lisbon, and we talked for two hours about her exhibition.",
    "The gallery sold twenty five paintings in one week.",
    "On the way home I lost my umbrella somewhere between the harbour and the tram.",
    "I feel calm tonight, and grateful for old friends.",
    "I need to send her the contract by Friday.",
    "Patel's brother wrote twice about the leaking roof and the cellar.",
)
TRANSCRIPT = make_transcript(SAID)
NOTE = OfflineWriter().write(TRANSCRIPT, RECORDED, None)

Turn = Callable[[DiaryNote], DiaryNote]


def with_item(**changes: object) -> Turn:
    """Change the to-do of the note."""

    def turn(note: DiaryNote) -> DiaryNote:
        items = (dataclasses.replace(i, **changes) if i.kind == "action" else i for i in note.items)  # type: ignore[arg-type]
        return dataclasses.replace(note, items=tuple(items))

    return turn


def with_note(**changes: object) -> Turn:
    """Change the note itself."""
    return lambda note: dataclasses.replace(note, **changes)  # type: ignore[arg-type]


def failures(note: DiaryNote, **values: object) -> dict[str, str]:
    """Return failed checks with their severity."""
    checks = check_note(note, TRANSCRIPT, DAY, **values)  # type: ignore[arg-type]
    return {c.name: c.severity for c in checks if not c.passed}


def test_a_note_that_was_said_passes_every_check_once() -> None:
    checks = check_note(NOTE, TRANSCRIPT, DAY)
    assert tuple(c.name for c in checks) == tuple(n for n in NOTE_IS_SUPPORTED + NOTE_IS_FIT if n != "faithful")
    assert [c for c in checks if not c.passed] == []


@pytest.mark.parametrize(
    ("turn", "name", "severity"),
    [
        (with_item(quote="I need to send her the contact by Friday."), "quotes_verbatim", "ERROR"),
        (with_item(quote=" "), "quotes_verbatim", "ERROR"),
        (with_item(segment_id=99), "quotes_verbatim", "ERROR"),
        (with_item(end_s=9999.0), "quotes_verbatim", "ERROR"),
        (with_item(end_s=0.0), "quotes_verbatim", "ERROR"),
        (with_item(text="I need to send Marcus the contract."), "names_supported", "ERROR"),
        (with_item(text="Send thirty seven contracts."), "numbers_supported", "ERROR"),
        (with_item(text="Send 37 contracts."), "numbers_supported", "ERROR"),
        (with_item(due_date=dt.date(2026, 3, 9)), "dates_supported", "ERROR"),
        (with_note(note_date=dt.date(2026, 3, 9)), "dates_supported", "ERROR"),
        (with_note(summary="We bought a horse and a castle in the mountains."), "summary_supported", "ERROR"),
        (with_note(title="Lunch <b>today</b>"), "plain_text", "ERROR"),
        (with_note(title="See https://evil.example"), "plain_text", "ERROR"),
        (with_item(text="[contract](http://evil.example)"), "plain_text", "ERROR"),
        (with_note(title="As an AI I cannot say"), "plain_text", "ERROR"),
        (with_note(title="The transcript says lunch"), "plain_text", "ERROR"),
        (with_note(title=""), "note_complete", "ERROR"),
        (with_note(title="x" * 91), "note_complete", "ERROR"),
        (with_note(summary="I met Priya."), "note_complete", "ERROR"),
        (with_note(mood="sunny"), "note_complete", "ERROR"),
        (with_note(language="de"), "note_complete", "ERROR"),
        (with_note(items=(), title="Nice", summary="It was so nice that we went there."), "coverage", "WARN"),
        (with_note(summary=" ".join(SAID)), "compression", "WARN"),
        (with_note(degraded=True), "not_degraded", "WARN"),
        (with_note(cost_usd=1.0), "cost_in_budget", "WARN"),
        (with_note(cost_usd=None), "cost_in_budget", "WARN"),
    ],
)
def test_a_note_that_was_not_said_fails(turn: Turn, name: str, severity: str) -> None:
    assert failures(turn(NOTE)).get(name) == severity


def test_one_strange_name_among_many_is_a_warning() -> None:
    people = "Priya met Lisbon and then Patel and Friday, Priya, and Bartholomew."
    extra = [dataclasses.replace(NOTE.items[0], kind="person", text=n) for n in ("Lisbon", "Patel", "Gallery", "Tram")]
    note = dataclasses.replace(NOTE, summary=f"{NOTE.summary} {people}", items=(*NOTE.items, *extra))
    assert failures(note)["names_supported"] == "WARN"


def test_a_weak_sentence_in_a_good_summary_is_a_warning() -> None:
    note = dataclasses.replace(NOTE, summary=f"{' '.join(SAID[:5])} We bought a horse and a castle.")
    assert failures(note)["summary_supported"] == "WARN"


def test_cost_is_measured_by_the_hour_of_audio() -> None:
    hour = dataclasses.replace(TRANSCRIPT, duration_s=7200.0)
    paid = dataclasses.replace(NOTE, cost_usd=0.02)
    checks = {c.name: c for c in check_note(paid, hour, DAY, usd_per_audio_hour=0.01)}
    assert checks["cost_in_budget"].passed
    assert "cost_in_budget" in failures(paid, usd_per_audio_hour=0.01)


def test_a_long_note_must_draw_on_more_than_the_beginning() -> None:
    long = dataclasses.replace(TRANSCRIPT, duration_s=3600.0)
    assert "coverage" in {c.name for c in check_note(NOTE, long, DAY) if not c.passed}


def test_a_title_that_its_owner_gave_needs_no_support() -> None:
    note = dataclasses.replace(NOTE, title="Marcus & Bartholomew <3 https://x.example 99")
    assert failures(note, given_title=note.title) == {}
    assert "names_supported" in failures(note)


def test_markup_that_was_said_is_no_stain() -> None:
    said = make_transcript(["Look it up on www.example.com please.", "I did."])
    note = OfflineWriter().write(said, RECORDED, None)
    note = dataclasses.replace(note, summary="Look it up on www.example.com please.")
    assert all(c.passed for c in check_note(note, said, DAY) if c.name == "plain_text")


def test_no_detail_holds_diary_text() -> None:
    broken = with_item(text="Send Marcus 37 <b>horses</b>", due_date=DAY)(NOTE)
    details = " ".join(c.detail for c in check_note(broken, TRANSCRIPT, DAY))
    assert not any(word in details for word in ("Marcus", "37", "horses", "Priya"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("twenty five and 3.5 and 1,000", {25, 3.5, 1000}),
        ("two hundred and six", {206}),
        ("three thousand two hundred", {3200}),
        ("twenty-five", {25}),
        ("no number", set()),
        ("one and only", {1}),
        ("a hundred and ten", {110}),
        ("the twenty third of May", {23}),
        ("three forty", {3, 40, 340}),
        ("nineteen eighty eight", {19, 88, 1988}),
        ("twenty twenty six", {20, 26, 2026}),
    ],
)
def test_numbers_are_read_as_they_are_spoken(text: str, found: set[float]) -> None:
    assert numbers(text) == found


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("half past four", 30),
        ("a dozen eggs", 12),
        ("one hour and twenty minutes", 80),
        ("two hours five minutes", 125),
    ],
)
def test_some_words_stand_for_numbers(text: str, meant: float) -> None:
    assert meant in hinted(text)


def test_names_are_capitals_inside_a_sentence() -> None:
    told = "Then Anna came. Work was hard on Monday, I think, and Peter's dog barked."
    assert names_in(told) == ("Anna", "Peter's")


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("Lunch with Bartholomew and Ottoline", ["Bartholomew", "Ottoline"]),
        ("A Walk By The River With Anna", ["Anna"]),
        ("Marcus Carried The Coffin", ["Marcus"]),
        ("Mr Weber", ["Weber"]),
    ],
)
def test_capitals_of_a_title_prove_nothing_by_themselves(title: str, names: list[str]) -> None:
    assert list(names_in(title)) == names


def test_the_day_of_a_note_needs_no_support() -> None:
    summary = f"{NOTE.summary} It was Wednesday, 4 March 2026."
    assert "numbers_supported" not in failures(dataclasses.replace(NOTE, summary=summary))
    assert "numbers_supported" in failures(dataclasses.replace(NOTE, summary=summary.replace("2026", "2031")))


def test_a_name_may_be_told_in_another_case_outside_english() -> None:
    polish = make_transcript(["Byłem dziś z Tomaszem na rynku i rozmawialiśmy o pracy."], language="pl")
    assert Said(polish).has_name("Tomasz")
    assert not Said(polish).has_name("Marek")


def test_a_note_in_another_language_than_was_spoken_is_for_a_judge() -> None:
    note = dataclasses.replace(NOTE, language="de")
    checks = {c.name: c for c in check_note(note, TRANSCRIPT, DAY, language="de")}
    assert checks["note_complete"].passed
    assert (checks["summary_supported"].passed, checks["summary_supported"].severity) == (False, "WARN")


def test_a_claim_told_differently_is_a_warning_and_most_of_them_an_error() -> None:
    turned = with_item(text="I need to send him the contract, and he lost my umbrella.")(NOTE)
    assert failures(turned)["summary_supported"] == "WARN"
    summary = "He met Priya for lunch in Lisbon. He lost my umbrella. He feels calm tonight, and she needs a contract."
    lies = dataclasses.replace(turned, summary=summary, items=turned.of("action"))
    assert failures(lies)["summary_supported"] == "ERROR"


@pytest.mark.parametrize(
    ("name", "there"),
    [("Priya", True), ("Patel", True), ("Patels", True), ("priya", True), ("Peter", False), ("Priya Patel", True)],
)
def test_a_name_was_said_give_or_take_a_plural_or_possessive(name: str, there: bool) -> None:
    assert Said(TRANSCRIPT).has_name(name) is there


def test_planted_names_and_numbers_are_caught() -> None:
    foreign = ["Bartholomew", "Ludwig", "Yokohama", "Ingeborg", "Casablanca", "Fitzgerald", "Montreal", "Ottoline"]
    for n, name in enumerate(foreign):
        planted = dataclasses.replace(NOTE, summary=f"{NOTE.summary} And then {name} gave me {100 + n} apples.")
        assert {"names_supported", "numbers_supported"} <= set(failures(planted))
