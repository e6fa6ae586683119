"""Diaries with a note that a person wrote well: ours, or a user's own file of the same form. Reading only.

A file is TOML, one `[[diary]]` after the other: `said` holds a segment a line, items quote words of it. `half` says
whether limits may be chosen on it ("choose") or are only reported ("held_out").
"""

import dataclasses
import datetime as dt
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal, cast

from diary_pipeline.core.errors import UsageError
from diary_pipeline.core.note import DiaryNote, ItemKind, NoteItem
from diary_pipeline.core.transcript import Engine, Segment, Transcript
from diary_pipeline.notes.evidence.snapping import Snapper

Half = Literal["choose", "held_out"]

_WRITTEN = Engine("written", "by hand", "")
_NAMED: tuple[tuple[str, ItemKind], ...] = (("people", "person"), ("places", "place"), ("topics", "topic"))
_WORDS_A_SECOND = 2.5


@dataclass(frozen=True)
class Reference:
    """One diary and a note of it that is right."""

    key: str
    half: Half
    transcript: Transcript
    note: DiaryNote

    @property
    def day(self) -> dt.date:
        """The day it was recorded and is about."""
        return self.note.note_date

    def with_note(self, note: DiaryNote) -> "Reference":
        """Put another note beside the same diary, as a route wrote it."""
        return dataclasses.replace(self, note=note)


def our_references() -> tuple[Reference, ...]:
    """Read the diaries that come with the package."""
    return read_references(files("diary_pipeline.notes.evidence.reference").joinpath("diaries.toml").read_text("utf-8"))


def read_references(text: str) -> tuple[Reference, ...]:
    """Read diaries and their notes."""
    try:
        return tuple(_reference(entry) for entry in tomllib.loads(text)["diary"])
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        message = f"The file of diaries and notes cannot be read ({error!r}); docs/notes-calibration.md shows one."
        raise UsageError("references_unreadable", message) from error


def spoken(key: str, lines: Sequence[str], language: str = "en") -> Transcript:
    """Make a transcript of lines, a segment each, as if they were spoken one after the other."""
    segments: list[Segment] = []
    at = 0.0
    for line in lines:
        end = round(at + max(1.0, len(line.split()) / _WORDS_A_SECOND), 2)
        segments.append(Segment(len(segments), at, end, "speech", line, language))
        at = end
    return Transcript(key, at, language, 1.0, tuple(segments), _WRITTEN, "written")


def _reference(entry: Mapping[str, Any]) -> Reference:
    language = entry.get("language", "en")
    transcript = spoken(entry["key"], entry["said"].strip().splitlines(), language)
    note = DiaryNote(
        recording_key=entry["key"],
        note_date=entry["day"],
        title=entry["title"],
        summary=entry["summary"],
        mood="neutral",
        items=tuple(dataclasses.replace(i, id=n) for n, i in enumerate(_items(entry, transcript))),
        language=language,
        writer="llm",
        degraded=False,
        prompt_version="by hand",
        transcript_version=transcript.version,
        version=entry["key"],
    )
    return Reference(entry["key"], cast(Half, entry.get("half", "held_out")), transcript, note)


def _items(entry: Mapping[str, Any], transcript: Transcript) -> Iterator[NoteItem]:
    snapper = Snapper(transcript)
    for item in entry["items"]:
        yield _stamped(snapper, item["kind"], item["text"], item["quote"], item.get("due"))
    for field, kind in _NAMED:
        for text in entry.get(field, ()):
            place = snapper.snap(text)
            yield _stamped(snapper, kind, text, text if place else transcript.speech[0].text, None)


def _stamped(snapper: Snapper, kind: ItemKind, text: str, quote: str, due: dt.date | None) -> NoteItem:
    place = snapper.snap(quote)
    if place is None:
        message = f"A quote of the file was not said: {quote[:40]!r}; quotes stand word for word in `said`."
        raise UsageError("references_unreadable", message)
    return NoteItem(0, kind, text, place.segment_id, place.start_s, place.end_s, place.quote, due)
