"""Recorded answers of real models, labelled item by item, sent through the checks: what is caught, what is flagged.

An answer is judged as it came, before anything was repaired: a quote in other words counts as caught because snapping
would put the speaker's words in its place. The figures to tell are those of `held_out` answers; limits and rules may
look at `choose` ones. The form of a file stands in reference/real_answers/README.md.
"""

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from diary_pipeline.core.errors import UsageError
from diary_pipeline.core.note import ItemKind, NoteItem
from diary_pipeline.core.transcript import Engine, Segment, Transcript
from diary_pipeline.notes.evidence.calibration import Counted
from diary_pipeline.notes.evidence.faults import item_faults, sentence_faults, title_faults
from diary_pipeline.notes.evidence.grounding import Said, normalise
from diary_pipeline.notes.evidence.reference_notes import Half
from diary_pipeline.notes.evidence.snapping import Snapper
from diary_pipeline.notes.language.spoken_dates import diary_day

LEAST_CAUGHT, MOST_FLAGGED = 0.75, 0.10
_KINDS: Mapping[str, ItemKind] = {
    "events": "event",
    "reflections": "reflection",
    "actions": "action",
    "people": "person",
    "places": "place",
    "topics": "topic",
    "quotes": "quote",
}
_STYLE = frozenset(("not_plain",))
"""A sentence about "the speaker" is refused all the same, but its reader was asked for truth."""
_RECORDED = Engine("recorded", "labelled answers", "")


@dataclass(frozen=True)
class Labelled:
    """One item of an answer, as the model wrote it and as its reader labelled it."""

    field: str
    text: str
    quote: str | None
    segment_id: int | None
    good: bool
    type: str
    """What is wrong with a bad one; empty for a good one."""


@dataclass(frozen=True)
class Answer:
    """What one model answered about one diary."""

    name: str
    use: Half
    day: dt.date
    transcript: Transcript
    model: str
    shape: str
    asked: str
    items: tuple[Labelled, ...]


@dataclass(frozen=True)
class Replayed:
    """A labelled item and the faults that the checks find in it."""

    answer: Answer
    item: Labelled
    faults: tuple[str, ...]


def our_answers() -> tuple[Answer, ...]:
    """Read the answers that come with the package."""
    return read_answers(files("diary_pipeline.notes.evidence.reference").joinpath("real_answers"))


def read_answers(folder: Path | Traversable) -> tuple[Answer, ...]:
    """Read every labelled answer (`.json`) of a folder, in the order of their names."""
    found = sorted((f for f in folder.iterdir() if f.name.endswith(".json")), key=lambda f: f.name)
    return tuple(read_answer(f) for f in found)


def read_answer(file: Path | Traversable) -> Answer:
    """Read one labelled answer."""
    try:
        return _answer(file.name.removesuffix(".json"), json.loads(file.read_text(encoding="utf-8")))
    except (KeyError, TypeError, ValueError) as error:
        message = f"{file.name} is no labelled answer ({type(error).__name__}); docs/notes-calibration.md shows one."
        raise UsageError("answer_unreadable", message) from error


def replay(answers: Iterable[Answer]) -> Iterator[Replayed]:
    """Send every labelled item through the checks that a draft of today goes through."""
    for answer in answers:
        said, snapper = Said(answer.transcript), Snapper(answer.transcript)
        earlier: list[NoteItem] = []
        for item in answer.items:
            found = dict.fromkeys(_faults(item, answer, said, snapper, earlier))
            yield Replayed(answer, item, tuple(f for f in found if f not in _STYLE))


def real_errors(replayed: Sequence[Replayed]) -> tuple[Counted, ...]:
    """Count what was caught by type of error, all of it first; good items stand in that row alone."""
    bad = [r for r in replayed if not r.item.good]
    good = [r for r in replayed if r.item.good]
    types = Counter(r.item.type for r in bad)
    everything = Counted("all", len(bad), _flagged(bad), len(good), _flagged(good), LEAST_CAUGHT, MOST_FLAGGED)
    by_type = (Counted(t, n, _flagged([r for r in bad if r.item.type == t]), 0, 0) for t, n in types.most_common())
    return (everything, *by_type)


def _flagged(replayed: Sequence[Replayed]) -> int:
    return sum(bool(r.faults) for r in replayed)


def _faults(item: Labelled, answer: Answer, said: Said, snapper: Snapper, earlier: list[NoteItem]) -> Iterator[str]:
    language = answer.transcript.language
    if item.field == "summary":
        yield from sentence_faults(item.text, said, answer.day, language=language, asked=answer.asked)
    elif item.field == "title":
        yield from title_faults(item.text, said, answer.day, language=language, asked=answer.asked)
    elif item.field == "said_date":
        if item.text not in ("", "None", "null", answer.day.isoformat(), _said_day(answer)):
            yield "date_not_said"
    elif kind := _KINDS.get(item.field):
        quote = item.quote if item.quote is not None else item.text if kind == "quote" else None
        claim, misquoted = _claim(kind, item, quote, said, snapper)
        if misquoted:
            yield misquoted
        if claim:
            yield from item_faults(claim, said, answer.day, language=language, asked=answer.asked, earlier=earlier)
            earlier.append(claim)


def _claim(
    kind: ItemKind, item: Labelled, quote: str | None, said: Said, snapper: Snapper
) -> tuple[NoteItem | None, str | None]:
    """Give a claim its place as assembling does, and say what would have had to be put right."""
    misquoted = None
    place = snapper.snap(quote, near=item.segment_id) if quote else None
    if quote and place is None:
        misquoted = "quote_not_said"
    elif quote and place and normalise(quote) not in said.text:
        misquoted = "quote_reworded"
    elif quote and place and item.segment_id is not None and place.segment_id != item.segment_id:
        misquoted = "segment_named_wrong"
    if place:
        return NoteItem(0, kind, item.text, place.segment_id, place.start_s, place.end_s, place.quote), misquoted
    segment = said.segments.get(said.home(item.text))
    if segment is None:
        return None, misquoted
    return NoteItem(0, kind, item.text, segment.id, segment.start_s, segment.end_s, segment.text), misquoted


def _said_day(answer: Answer) -> str:
    opening = " ".join(s.text for s in answer.transcript.speech[:20])
    return diary_day(opening, answer.day).isoformat()


def _answer(name: str, told: Mapping[str, Any]) -> Answer:
    segments = tuple(
        Segment(s["id"], s["start_s"], s["end_s"], "speech", s["text"], told["language"]) for s in told["segments"]
    )
    end_s = segments[-1].end_s
    return Answer(
        name=name,
        use=told["use"],
        day=dt.date.fromisoformat(told["recorded_on"]),
        transcript=Transcript(told["diary"], end_s, told["language"], 1.0, segments, _RECORDED, "recorded"),
        model=told["model"],
        shape=told["shape"],
        asked=told.get("asked", ""),
        items=tuple(_labelled(item) for item in told["items"]),
    )


def _labelled(item: Mapping[str, Any]) -> Labelled:
    good = {"good": True, "bad": False}[item["label"]]
    return Labelled(
        item["field"], str(item["text"]), item.get("quote"), item.get("segment"), good, "" if good else item["type"]
    )
