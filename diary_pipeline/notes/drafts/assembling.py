"""From a draft to a note: every claim gets its segment, its times and its due date from the transcript, or is dropped.

A claim whose quote nobody said never becomes an item; it stands in `lost`, so that the model can be told once. Whether
an item that has evidence is also true of it, evidence/ asks. Drafts of models whose sentences are not published are
finding.py's.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from diary_pipeline.core.note import DiaryNote, ItemKind, NoteItem
from diary_pipeline.notes.drafts.assignment import Assignment
from diary_pipeline.notes.drafts.claims import Claims, claims_of, head_of
from diary_pipeline.notes.drafts.repeats import distinct, distinct_names
from diary_pipeline.notes.drafts.schema import Claim, HeadDraft, NoteDraft
from diary_pipeline.notes.drafts.spoken import Spoken
from diary_pipeline.notes.language.sentences import Evidence
from diary_pipeline.notes.language.spoken_dates import spoken_dates
from diary_pipeline.notes.offline.titles import LONGEST_GIVEN

Field = Literal["events", "reflections", "actions", "people", "places", "topics", "quotes"]
# Codes of evidence/faults.py, which has a sentence for each.
QUOTE_NOT_SAID = "quote_not_said"
NAME_NOT_SAID = "name_not_said"
UNSUPPORTED = "unsupported"
NOT_OPEN = "not_open"


@dataclass(frozen=True, order=True)
class Place:
    """An entry of a draft: `actions`, 2."""

    field: Field
    index: int


@dataclass(frozen=True)
class Lost:
    """An entry that became no item, and why."""

    place: Place
    code: str


@dataclass(frozen=True)
class Assembled:
    """A note, and how it came out of its draft."""

    note: DiaryNote
    places: Mapping[int, Place]
    """Item id -> the entry that it was."""
    lost: tuple[Lost, ...]
    quotes_offered: int

    @property
    def quotes_dropped(self) -> int:
        """How many quotes nobody said."""
        return sum(lost.code == QUOTE_NOT_SAID for lost in self.lost)


_Found = tuple[Place, NoteItem | str]
"""What an entry became, or the code of why it is lost."""


def assemble_draft(draft: NoteDraft, assignment: Assignment, spoken: Spoken) -> Assembled:
    """Make the note of a recording that one answer holds."""
    return assemble(claims_of(draft), head_of(draft), assignment, spoken, said_date=draft.said_date)


def assemble(
    claims: Claims,
    head: HeadDraft,
    assignment: Assignment,
    spoken: Spoken,
    *,
    said_date: dt.date | None = None,
) -> Assembled:
    """Make a note of claims and of what they amount to; `said_date` is the day that the model heard named."""
    day = spoken.day(said_date)
    found = [
        *_claims("event", "events", claims.events, spoken),
        *_claims("reflection", "reflections", claims.reflections, spoken),
        *_claims("action", "actions", claims.actions, spoken, due_from=day),
        *_names("person", "people", claims.people, spoken),
        *_names("place", "places", claims.places, spoken),
        *_topics(head.topics, spoken),
        *_quotes(claims.quotes, spoken),
    ]
    kept = [(place, item) for place, item in found if isinstance(item, NoteItem)]
    items = tuple(replace(item, id=n) for n, (_, item) in enumerate(kept))
    transcript = assignment.transcript
    note = DiaryNote(
        recording_key=transcript.recording_key,
        note_date=day,
        title=_line(assignment.title or "")[:LONGEST_GIVEN].rstrip() or _line(head.title),
        summary=_line(head.summary),
        mood=head.mood,
        items=items,
        language=assignment.language,
        writer="llm",
        degraded=False,
        prompt_version=assignment.prompt_version,
        transcript_version=transcript.version,
        version=assignment.version,
    )
    return Assembled(
        note,
        places={n: place for n, (place, _) in enumerate(kept)},
        lost=tuple(Lost(place, code) for place, code in found if isinstance(code, str)),
        quotes_offered=sum(place.field not in ("people", "places", "topics") for place, _ in found),
    )


def _claims(
    kind: ItemKind, field: Field, claims: Sequence[Claim], spoken: Spoken, due_from: dt.date | None = None
) -> list[_Found]:
    """Claims in order of time, each once."""
    found: list[_Found] = []
    for index in distinct(claim.text for claim in claims):
        claim = claims[index]
        at = spoken.snapper.snap(claim.quote, near=claim.segment)
        item: NoteItem | str = QUOTE_NOT_SAID
        if at is not None and kind == "action" and spoken.is_withdrawn(at):
            item = NOT_OPEN
        elif at is not None:
            due = spoken.due(at, due_from) if due_from else None
            named = {date.day for date in spoken_dates(claim.text, due_from)} if due and due_from else set()
            due = None if named and due not in named else due  # a sentence of two to-dos has the day of the other one
            item = NoteItem(0, kind, _line(claim.text), at.segment_id, at.start_s, at.end_s, at.quote, due)
        found.append((Place(field, index), item))
    return sorted(found, key=_when)


def _names(kind: ItemKind, field: Field, names: Sequence[str], spoken: Spoken) -> Iterator[_Found]:
    """Names that were said, each in its longest form; a longer one that nobody said takes none away."""
    said = {index: at for index, name in enumerate(names) if (at := spoken.name(name))}
    indices = list(said)
    kept = {indices[n] for n in distinct_names([names[index] for index in indices])}
    for index, name in enumerate(names):
        if index in kept or index not in said:
            yield Place(field, index), _item(kind, name, said.get(index)) or NAME_NOT_SAID


def _topics(topics: Sequence[str], spoken: Spoken) -> Iterator[_Found]:
    for index in distinct(topics):
        yield Place("topics", index), _item("topic", topics[index], spoken.topic(topics[index])) or UNSUPPORTED


def _quotes(quotes: Sequence[str], spoken: Spoken) -> list[_Found]:
    found: list[_Found] = []
    for index in distinct(quotes):
        at = spoken.snapper.snap(quotes[index])
        item = NoteItem(0, "quote", at.quote, at.segment_id, at.start_s, at.end_s, at.quote) if at else None
        found.append((Place("quotes", index), item or QUOTE_NOT_SAID))
    return sorted(found, key=_when)


def _item(kind: ItemKind, text: str, at: Evidence | None) -> NoteItem | None:
    return NoteItem(0, kind, _line(text), at.segment_id, at.start_s, at.end_s, at.quote) if at else None


def _when(found: _Found) -> tuple[float, Place]:
    place, item = found
    return (item.start_s if isinstance(item, NoteItem) else 0.0), place


def _line(text: str) -> str:
    return " ".join(text.split())
