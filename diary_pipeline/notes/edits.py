"""From what an owner asks for to the corrections that hold then. Pure; committing them is editing.py's business.

What surprises: a number becomes seconds and the machine's words at once, because only those are found again in what is
heard or written anew.
"""

import datetime as dt
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from diary_pipeline.catalogue.corrections import Correctable
from diary_pipeline.catalogue.overlay import on_items, on_segments
from diary_pipeline.core.correction import Correction, Target
from diary_pipeline.core.errors import NotFound, UsageError
from diary_pipeline.core.note import DiaryNote, NoteItem
from diary_pipeline.core.recording import LONGEST_TITLE
from diary_pipeline.core.transcript import Segment

FIRST_YEAR = 1877
"""Nothing was recorded before the phonograph."""
LONGEST = 20_000
"""Characters of one correction: a segment is seconds of speech."""
ALL = "all"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Edit:
    """What somebody asks for."""

    target: Target
    text: str = ""
    number: int | None = None
    """Of the segment or item, as they are counted now."""


def demand_each_once(edits: Sequence[Edit]) -> None:
    """Refuse two edits of one place, of which nobody can say which is meant: UsageError `correction_repeated`."""
    places = Counter(("item" if e.target == "removed_item" else e.target, e.number) for e in edits)
    if again := next((place for place, times in places.items() if times > 1), None):
        what, number = again
        named = what.replace("note_date", "day") if number is None else f"{what} {number}"
        raise UsageError("correction_repeated", f"The {named} is corrected twice at once; say it once.")


def placed(there: Correctable, edit: Edit, by: str) -> Correction:
    """Name the place of an edit by what will be found again."""
    text, now = " ".join(_CONTROL.sub(" ", edit.text).split()), dt.datetime.now(dt.UTC)
    longest = LONGEST_TITLE if edit.target == "title" else LONGEST
    if len(text) > longest:
        what = "title" if edit.target == "title" else "correction"
        raise UsageError("correction_too_long", f"A {what} has at most {longest} characters; this one {len(text)}.")
    match edit.target:
        case "segment":
            segment = _segment(there, edit.number)
            return Correction("segment", text, segment.text, now, by, segment.start_s, segment.end_s)
        case "item" | "removed_item":
            item = _item(there, edit.number)
            said = _demand(text, "An item cannot be empty; strike it instead.") if edit.target == "item" else ""
            return Correction(edit.target, said, item.text, now, by, item.start_s, item.end_s, item.kind)
        case "title":
            return Correction("title", _demand(text, "A title cannot be empty."), _note(there).title, now, by)
        case "note_date":
            return Correction("note_date", _day(text), _note(there).note_date.isoformat(), now, by)


def merged(there: Correctable, wanted: Sequence[Correction], reverted: Collection[str]) -> tuple[Correction, ...]:
    """Give the corrections that hold then: one for each place, and none that says what the machine says."""
    made = {c.id: c for c in there.corrections.made if c.id not in reverted}
    for correction in wanted:
        where = _falls_on(there, correction)
        for other in [c for c in made.values() if where is not None and _falls_on(there, c) == where]:
            del made[other.id]  # it was anchored in an older transcript or note, and stands in the same place
        if correction.target == "removed_item" or correction.text != correction.machine_text:
            made[correction.id] = correction
        else:
            made.pop(correction.id, None)
    return tuple(made[i] for i in sorted(made))


def taken_back(there: Correctable, revert: Collection[str]) -> Collection[str]:
    """Give the ids of the corrections that are to be taken back; NotFound for one that was never made."""
    ids = {c.id for c in there.corrections.made}
    if ALL in revert:
        return ids
    if unknown := sorted(set(revert) - ids):
        key = there.recording.key
        raise NotFound("correction_missing", f"{key} has no correction {unknown[0][:40]!r}; list them for their ids.")
    return set(revert)


def _segment(there: Correctable, number: int | None) -> Segment:
    segment = next((s for s in there.heard.segments if s.id == number), None)
    if segment is None or segment.kind == "silence":
        key = there.recording.key
        raise NotFound(
            "segment_missing", f"{key} has no segment {number} with speech; read its transcript for the numbers."
        )
    return segment


def _item(there: Correctable, number: int | None) -> NoteItem:
    item = next((i for i in _note(there).items if i.id == number), None)
    if item is None:
        key = there.recording.key
        raise NotFound("item_missing", f"The note of {key} has no item {number}; read the note for the numbers.")
    return item


def _note(there: Correctable) -> DiaryNote:
    if there.written is None:
        raise NotFound("note_missing", f"{there.recording.key} has no note, so there is nothing of it to correct.")
    return there.written


def _falls_on(there: Correctable, correction: Correction) -> tuple[str, int] | None:
    if on_speech := on_segments(there.heard.segments, [correction]):
        return "segment", on_speech[0].number
    if there.written and (on_claims := on_items(there.written.items, [correction])):
        return "item", on_claims[0].number
    return None


def _day(text: str) -> str:
    try:
        day = dt.date.fromisoformat(text)
    except ValueError as error:
        raise UsageError("date_invalid", f"{text[:40]!r} is no day; write it as YYYY-MM-DD.") from error
    latest = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=366)
    if not day.year >= FIRST_YEAR or day > latest:
        raise UsageError("date_invalid", f"A note tells of a day from {FIRST_YEAR} to a year from now, not of {day}.")
    return day.isoformat()


def _demand(text: str, otherwise: str) -> str:
    if not text:
        raise UsageError("correction_empty", otherwise)
    return text
