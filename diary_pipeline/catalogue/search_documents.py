"""What of a recording can be found: its words by where they stand, and the second each line of them was said in.

Read from the views of a published file, so corrections are in it and what an erasure hid is not. Keeping and asking are
the business of search_index.py and search.py.

What surprises: a recording is one document, not one a segment. "bread river" then finds the recording that says one in
its first minute and the other in its third, and the commonest word is ranked 14 times faster (76 against 1,094 ms over
30,000 recordings of 20 segments). Lines keep their times beside them, so a hit still knows its second.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

SLICE = 1_000
"""Recordings in memory at once, and in one transaction of the index."""

FIELDS = ("title", "summary", "items", "people", "topics", "labels", "said")
"""Where words may stand; `labels` are the file name, the title and the tags that a user gave."""


class Spot(NamedTuple):
    """When a line was said; seconds from the start of the recording."""

    segment_id: int
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Document:
    """One recording with a note, a transcript, or both."""

    recording_key: str
    user_id: str
    day: str
    """As YYYY-MM-DD: the day the note tells of, without one the day it was spoken."""
    title: str
    languages: tuple[str, ...]
    """ISO 639-1, of the speech and of the note."""
    lines: Mapping[str, tuple[str, ...]]
    """By field; a line is one item, one segment, one name."""
    spots: Mapping[str, tuple[Spot, ...]]
    """Of `items` and `said`, one for each line."""


_NOTES = "SELECT recording_key, user_id, note_date, title, summary, language FROM notes WHERE {mine}"
_ITEMS = """SELECT recording_key, list(kind ORDER BY item_id), list(text ORDER BY item_id),
    list(segment_id ORDER BY item_id), list(start_s ORDER BY item_id), list(end_s ORDER BY item_id)
FROM note_items WHERE {mine} GROUP BY recording_key"""
_SAID = """SELECT recording_key, min(user_id), list(DISTINCT language), list(text ORDER BY segment_id),
    list(segment_id ORDER BY segment_id), list(start_s ORDER BY segment_id), list(end_s ORDER BY segment_id)
FROM segments WHERE kind = 'speech' AND {mine} GROUP BY recording_key"""
_RECORDINGS = "SELECT recording_key, recorded_day, file_name, title, tags FROM recordings WHERE {mine}"
# The bounds let zone maps leave out the days that are not concerned.
_MINE = "recording_key BETWEEN ? AND ? AND recording_key IN (SELECT subject FROM wanted)"


def documents(db: duckdb.DuckDBPyConnection, subjects: Sequence[str]) -> Iterator[Document]:
    """Read the documents of some recordings; those that have nothing to be found in give none."""
    if not subjects:
        return
    notes, items, said, recordings = (_rows(db, sql, subjects) for sql in (_NOTES, _ITEMS, _SAID, _RECORDINGS))
    for key in sorted(notes.keys() | said.keys()):
        yield _document(key, notes.get(key), items.get(key), said.get(key), recordings.get(key))


def _rows(db: duckdb.DuckDBPyConnection, sql: str, subjects: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    db.register("wanted", pa.table({"subject": pa.array(subjects, pa.string())}))
    found = db.execute(sql.format(mine=_MINE), [min(subjects), max(subjects)]).fetchall()
    db.unregister("wanted")
    return {row[0]: row[1:] for row in found}


def _document(
    key: str,
    note: tuple[Any, ...] | None,
    items: tuple[Any, ...] | None,
    said: tuple[Any, ...] | None,
    recording: tuple[Any, ...] | None,
) -> Document:
    owner, day, title, summary, language = note or (None,) * 5
    speaker, spoken, texts, *times = said or (None, [], [], [], [], [])
    recorded_day, file_name, given, tags = recording or (None,) * 4
    claims = list(zip(*items, strict=True)) if items else []
    told = [c for c in claims if c[0] not in ("person", "topic")]
    lines = {
        "title": _lines([title]),
        "summary": _lines([summary]),
        "items": _lines([c[1] for c in told]),
        "people": _lines([c[1] for c in claims if c[0] == "person"]),
        "topics": _lines([c[1] for c in claims if c[0] == "topic"]),
        "labels": _lines([given, file_name, *(tags or ())]),
        "said": _lines(texts),
    }
    return Document(
        recording_key=key,
        user_id=owner or speaker,
        day=str(day or recorded_day or key[:10]),  # a key begins with the day it was spoken
        title=title or given or "",
        languages=tuple(sorted({word for word in (language, *spoken) if word})),
        lines=lines,
        spots={"items": tuple(Spot(*c[2:]) for c in told), "said": tuple(map(Spot, *times))},
    )


def _lines(texts: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(" ".join((text or "").split()) for text in texts)
