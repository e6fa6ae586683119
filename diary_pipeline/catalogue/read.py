"""Transcripts and notes by ledger pointer: what is committed, whether it is published or not.

The published file is not read here; SQL over it is query.py's business. What an owner has put right is in what is
handed out; `heard_of` and `written_of` give what the machine made, for those who lay corrections over it themselves.

What surprises: an object may vanish between the look at its pointer and the opening of its file, when erasure
replaced it. Then the pointer is read once more.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from diary_pipeline.catalogue.overlay import corrected_note, corrected_transcript
from diary_pipeline.catalogue.rows import Row, correction_from, note_from, transcript_from
from diary_pipeline.core.correction import Corrections
from diary_pipeline.core.errors import NotFound
from diary_pipeline.core.note import DiaryNote
from diary_pipeline.core.transcript import Transcript
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.pointers import PointerKind, pointers_of
from diary_pipeline.storage.store import ObjectStore


def transcript_of(ledger: Ledger, store: ObjectStore, key: str) -> Transcript | None:
    """Return the current transcript of a recording, words included, or None when there is none."""
    return transcripts_of(ledger, store, [key]).get(key)


def note_of(ledger: Ledger, store: ObjectStore, key: str) -> DiaryNote | None:
    """Return the current note of a recording, or None when there is none (nothing was said in a silent one)."""
    return notes_of(ledger, store, [key]).get(key)


def transcripts_of(ledger: Ledger, store: ObjectStore, keys: Sequence[str]) -> dict[str, Transcript]:
    """Return the current transcripts of many recordings, opening each object once; those without one are left out."""
    heard, put_right = heard_of(ledger, store, keys), corrections_of(ledger, store, keys)
    return {k: corrected_transcript(t, put_right[k].made) if k in put_right else t for k, t in heard.items()}


def notes_of(ledger: Ledger, store: ObjectStore, keys: Sequence[str]) -> dict[str, DiaryNote]:
    """Return the current notes of many recordings, opening each object once; those without one are left out."""
    written, put_right = written_of(ledger, store, keys), corrections_of(ledger, store, keys)
    return {k: corrected_note(n, put_right[k].made) if k in put_right else n for k, n in written.items()}


def corrections_of(ledger: Ledger, store: ObjectStore, keys: Sequence[str]) -> dict[str, Corrections]:
    """Return what is put right in many recordings; those in which nothing ever was are left out."""
    rows = _current_rows(ledger, store, keys, "correction", ("corrections", "corrected_notes"))
    return {
        key: Corrections(
            tuple(map(correction_from, mine.get("corrections", ()))), mine["corrected_notes"][0]["version"]
        )
        for key, mine in rows.items()
        if "corrected_notes" in mine
    }


def heard_of(ledger: Ledger, store: ObjectStore, keys: Sequence[str]) -> dict[str, Transcript]:
    """Return the transcripts of `transcripts_of` as the machine heard them."""
    rows = _current_rows(ledger, store, keys, "transcript", ("transcripts", "segments"))
    return {
        key: transcript_from(mine["transcripts"][0], mine.get("segments", ()))
        for key, mine in rows.items()
        if "transcripts" in mine
    }


def written_of(ledger: Ledger, store: ObjectStore, keys: Sequence[str]) -> dict[str, DiaryNote]:
    """Return the notes of `notes_of` as they were written."""
    rows = _current_rows(ledger, store, keys, "note", ("notes", "note_items", "completions"))
    return {
        key: note_from(mine["notes"][0], mine.get("note_items", ()), mine.get("completions", ()))
        for key, mine in rows.items()
        if "notes" in mine
    }


def markdown_of(ledger: Ledger, store: ObjectStore, key: str) -> str | None:
    """Return the current note of a recording as people read it, or None when there is none."""
    mine = _current_rows(ledger, store, [key], "note", ("notes",)).get(key)
    if not mine:
        return None
    return _markdown(ledger, store, key, mine["notes"][0])


def transcript_at(ledger: Ledger, store: ObjectStore, key: str, object_id: str) -> Transcript | None:
    """Return the transcript of a recording that lies in an object; None: none does. NotFound: the object is gone."""
    store.bring([object_id])
    whole = _read(store, f"{object_id}/transcripts.parquet", [key])
    if not whole:
        return None
    heard = transcript_from(whole[0], _read(store, f"{object_id}/segments.parquet", [key]))
    put_right = corrections_of(ledger, store, [key]).get(key)
    return corrected_transcript(heard, put_right.made) if put_right else heard


def note_at(ledger: Ledger, store: ObjectStore, key: str, object_id: str) -> tuple[DiaryNote, str] | None:
    """Return the note of a recording that lies in an object, and how people read it; otherwise as `transcript_at`."""
    store.bring([object_id])
    notes = _read(store, f"{object_id}/notes.parquet", [key])
    if not notes:
        return None
    written = note_from(notes[0], _read(store, f"{object_id}/note_items.parquet", [key]))
    put_right = corrections_of(ledger, store, [key]).get(key)
    if put_right is None:
        return written, str(notes[0]["markdown"])
    return corrected_note(written, put_right.made), _markdown(ledger, store, key, notes[0])


def segment_files(ledger: Ledger, store: ObjectStore, keys: Sequence[str], watermark: int) -> list[tuple[str, Path]]:
    """Return (key, file) of the segments, words included, of current transcripts that a watermark covers."""
    with ledger.reading() as conn:
        current = pointers_of(conn, keys, "transcript")
    placed = [
        (p.subject, f"{p.object_id}/segments.parquet") for p in current.values() if p.object_id and p.seq <= watermark
    ]
    paths = {file: store.path(file) for file in dict.fromkeys(file for _, file in placed) if store.exists(file)}
    return [(subject, paths[file]) for subject, file in placed if file in paths]


def _markdown(ledger: Ledger, store: ObjectStore, key: str, note: Row) -> str:
    put_right = _current_rows(ledger, store, [key], "correction", ("corrected_notes",)).get(key)
    if put_right and put_right["corrected_notes"][0]["note_version"] == note["version"]:
        note = put_right["corrected_notes"][0]
    return str(note["markdown"])


_ByKey = Mapping[str, Mapping[str, Sequence[Row]]]


def _current_rows(
    ledger: Ledger, store: ObjectStore, keys: Sequence[str], kind: PointerKind, tables: Sequence[str]
) -> _ByKey:
    try:
        return _rows_once(ledger, store, keys, kind, tables)
    except (NotFound, FileNotFoundError):
        return _rows_once(ledger, store, keys, kind, tables)


def _rows_once(
    ledger: Ledger, store: ObjectStore, keys: Sequence[str], kind: PointerKind, tables: Sequence[str]
) -> _ByKey:
    with ledger.reading() as conn:
        current = pointers_of(conn, keys, kind)
    placed = sorted((p.object_id, p.subject) for p in current.values() if p.object_id)
    store.bring({object_id for object_id, _ in placed})
    found: dict[str, dict[str, list[Row]]] = {}
    for object_id, group in groupby(placed, key=lambda pair: pair[0]):
        wanted = [key for _, key in group]
        for table in tables:
            for row in _read(store, f"{object_id}/{table}.parquet", wanted):
                found.setdefault(row["recording_key"], {}).setdefault(table, []).append(row)
    return found


def _read(store: ObjectStore, key: str, wanted: Sequence[str]) -> list[Row]:
    if not store.exists(key) and store.exists(key.rpartition("/")[0]):
        return []  # a table without rows has no file: a batch of silent recordings holds no notes
    rows: list[dict[str, Any]] = pq.read_table(
        store.path(key), filters=[("recording_key", "in", wanted)], partitioning=None
    ).to_pylist()
    return rows
