"""One publish, looked at as notes with their claims and what was said, for pages that are written of them.

SQL of users is query.py's and reader.py's business; what becomes of the notes is upkeep/vault's.

What surprises: a change is known by `commit_seq`, which grows whenever a row of a recording is replaced, by a
correction too; so whoever comes back looks at texts of changed recordings only.
"""

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb

from diary_pipeline.catalogue.export import Selection
from diary_pipeline.catalogue.state import OFFLINE
from diary_pipeline.core.errors import NotFound

AT_ONCE = 500
"""Recordings whose texts are in memory together."""


@dataclass(frozen=True)
class Claim:
    """An item of a note."""

    kind: str
    text: str
    segment_id: int
    start_s: float


@dataclass(frozen=True)
class Said:
    """A segment that was heard, or not understood."""

    segment_id: int
    start_s: float
    text: str | None
    """None: inaudible."""


@dataclass(frozen=True)
class NoteFacts:
    """One note with what its pages show."""

    key: str
    day: dt.date
    title: str
    mood: str
    language: str
    writer: str
    markdown: str
    recorded_at: dt.datetime | None
    """Naive UTC, as in the catalogue."""
    time_zone: str | None
    clock_known: bool
    tags: Sequence[str]
    file_name: str | None
    duration_s: float | None
    claims: tuple[Claim, ...]
    said: tuple[Said, ...]


class Snapshot:
    """A look into the published file; close it soon, it keeps that publish on the disk."""

    def __init__(self, live: Path, selection: Selection) -> None:
        if not live.exists():
            raise NotFound("catalogue_missing", f"Nothing has been published to {live} yet; run `diary publish` first.")
        self._db = duckdb.connect(str(live), read_only=True, config=dict(OFFLINE))
        self.selection = selection
        [(self.watermark,)] = self._db.execute("SELECT watermark FROM catalogue_state").fetchall()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def keys(self) -> set[str]:
        """Give all recordings of the selection that have a note."""
        s = self.selection
        wanted = (("user_id = ?", s.user), ("note_date >= ?", s.since), ("note_date <= ?", s.until))
        said = [(condition, value) for condition, value in wanted if value is not None]
        where = " AND ".join(condition for condition, _ in said) or "true"
        values = [value for _, value in said]
        return {key for (key,) in self._db.execute(f"SELECT recording_key FROM notes WHERE {where}", values).fetchall()}  # noqa: S608

    def changed_since(self, watermark: int) -> set[str]:
        """Give the recordings of which a row came after a commit."""
        tables = ("notes", "note_items", "recordings", "segments")
        asked = " UNION ".join(f"SELECT recording_key FROM {table} WHERE commit_seq > $1" for table in tables)  # noqa: S608
        return {key for (key,) in self._db.execute(asked, [watermark]).fetchall() if key}

    def notes(self, keys: Collection[str]) -> Iterator[NoteFacts]:
        """Give notes with claims and what was said, in order of key."""
        ordered = sorted(keys)
        for start in range(0, len(ordered), AT_ONCE):
            yield from self._some(ordered[start : start + AT_ONCE])

    def _some(self, keys: Sequence[str]) -> Iterator[NoteFacts]:
        claims = self._by_key(_CLAIMS, keys)
        said = self._by_key(_SAID, keys)
        found = self._db.execute(_NOTES, [keys[0], keys[-1], keys])
        names = [column[0] for column in found.description or ()]
        for row in found.fetchall():
            told: dict[str, Any] = dict(zip(names, row, strict=True))
            key = told["key"]
            items = tuple(Claim(*row) for row in claims.get(key, ()))
            heard = tuple(Said(*row) for row in said.get(key, ()))
            yield NoteFacts(**told, claims=items, said=heard)

    def _by_key(self, query: str, keys: Sequence[str]) -> dict[str, list[Sequence[Any]]]:
        found: dict[str, list[Sequence[Any]]] = {}
        for key, *row in self._db.execute(query, [keys[0], keys[-1], keys]).fetchall():
            found.setdefault(key, []).append(row)
        return found


# The bounds let zone maps leave all days but those concerned.
_OF_KEYS = "{0}recording_key BETWEEN ? AND ? AND {0}recording_key IN (SELECT unnest(?::VARCHAR[]))"
_NOTES = f"""
SELECT n.recording_key AS key, n.note_date AS day, n.title, n.mood, n.language, n.writer, n.markdown, r.recorded_at,
  r.time_zone, coalesce(r.recorded_at_source NOT IN ('file_name_day', 'file_time'), false) AS clock_known,
  coalesce(r.tags, []) AS tags, r.file_name, r.duration_s
FROM notes n LEFT JOIN recordings r ON r.recording_key = n.recording_key
WHERE {_OF_KEYS.format("n.")} ORDER BY n.recording_key
"""  # noqa: S608
_CLAIMS = f"""
SELECT recording_key, kind, text, segment_id, start_s FROM note_items
WHERE {_OF_KEYS.format("")} ORDER BY recording_key, item_id
"""  # noqa: S608
_SAID = f"""
SELECT recording_key, segment_id, start_s, CASE kind WHEN 'speech' THEN text END FROM segments
WHERE {_OF_KEYS.format("")} AND kind <> 'silence' ORDER BY recording_key, segment_id
"""  # noqa: S608
