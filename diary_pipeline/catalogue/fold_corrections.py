"""Corrections laid over published rows, whichever moved: the correction, or the transcript or note that it falls on.

On which rows they fall is overlay.py's to say; this is its one caller that changes rows instead of objects. Only
recordings of the fold at hand are looked at, and of those only what was ever corrected.

What surprises: the machine's words are put back first, from the columns that keep them, so nothing has to be read from
the log again. And all rows of such a recording take the seq of its corrections, since who reads on from a watermark
must meet what now reads otherwise.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import duckdb
import pyarrow as pa

from diary_pipeline.catalogue.overlay import on_items, on_segments, whole
from diary_pipeline.catalogue.rows import Row, correction_from
from diary_pipeline.catalogue.schema import CORRECTED_NOTES, CORRECTIONS, NOTE_ITEMS, NOTES, SEGMENTS
from diary_pipeline.core.correction import Correction
from diary_pipeline.core.note import NoteItem
from diary_pipeline.core.transcript import Segment
from diary_pipeline.ledger.pointers import PointerKind

CORRECTED_BY: frozenset[PointerKind] = frozenset({"transcript", "note", "correction"})
"""Pointers whose moving changes what a correction falls on."""

# Without the bounds every statement reads the whole column.
_THEIRS = "t.recording_key BETWEEN ? AND ? AND t.recording_key IN (SELECT recording_key FROM mine)"
_AS_MADE = (
    # An inaudible segment is the only one that can be corrected and had no text.
    f"UPDATE {SEGMENTS.stored} t SET text = machine_text, machine_text = NULL, "  # noqa: S608 - names of schema.py
    "kind = CASE WHEN machine_text = '' THEN 'inaudible' ELSE 'speech' END "
    f"WHERE machine_text IS NOT NULL AND {_THEIRS}",
    f"UPDATE {NOTE_ITEMS.stored} t SET text = coalesce(machine_text, text), machine_text = NULL, correction = NULL "  # noqa: S608
    f"WHERE correction IS NOT NULL AND {_THEIRS}",
    f"UPDATE {NOTES.stored} t SET title = coalesce(machine_title, title), machine_title = NULL, "  # noqa: S608
    f"note_date = coalesce(machine_note_date, note_date), machine_note_date = NULL WHERE {_THEIRS}",
    f"UPDATE {CORRECTIONS.stored} t SET placed = false, segment_id = NULL, item_id = NULL WHERE {_THEIRS}",  # noqa: S608
)
_SEEN_ANEW = tuple(
    f"UPDATE {table.stored} t SET commit_seq = greatest(t.commit_seq, c.commit_seq) "  # noqa: S608
    f"FROM {CORRECTED_NOTES.stored} c WHERE c.recording_key = t.recording_key AND {_THEIRS}"
    for table in (SEGMENTS, NOTES, NOTE_ITEMS)
)
_SEGMENTS = (
    f"UPDATE {SEGMENTS.stored} t SET machine_text = t.text, text = p.text, "  # noqa: S608
    "kind = CASE WHEN p.text <> '' THEN 'speech' ELSE t.kind END "
    "FROM placed p WHERE p.recording_key = t.recording_key AND p.number = t.segment_id AND p.place = 'segment' "
    f"AND p.is_last AND {_THEIRS}"
)
_ITEMS = (
    f"UPDATE {NOTE_ITEMS.stored} t SET correction = CASE WHEN p.place = 'item' THEN 'text' ELSE 'removed' END, "  # noqa: S608
    "machine_text = CASE WHEN p.place = 'item' THEN t.text END, "
    "text = CASE WHEN p.place = 'item' THEN p.text ELSE t.text END "
    "FROM placed p WHERE p.recording_key = t.recording_key AND p.number = t.item_id "
    f"AND p.place IN ('item', 'removed_item') AND {_THEIRS}"
)
_NOTES = (
    f"UPDATE {NOTES.stored} t SET machine_title = t.title, title = p.text "  # noqa: S608
    f"FROM placed p WHERE p.recording_key = t.recording_key AND p.place = 'title' AND {_THEIRS}",
    f"UPDATE {NOTES.stored} t SET machine_note_date = t.note_date, note_date = CAST(p.text AS DATE) "  # noqa: S608
    f"FROM placed p WHERE p.recording_key = t.recording_key AND p.place = 'note_date' AND {_THEIRS}",
    # A note that was written since was rendered with the corrections; see commit.py.
    f"UPDATE {NOTES.stored} t SET markdown = c.markdown FROM {CORRECTED_NOTES.stored} c "  # noqa: S608
    f"WHERE c.recording_key = t.recording_key AND c.note_version = t.version AND {_THEIRS}",
)
_WHERE_THEY_FELL = (
    f"UPDATE {CORRECTIONS.stored} t SET placed = true, "  # noqa: S608
    "segment_id = CASE WHEN p.place = 'segment' THEN p.number END, "
    "item_id = CASE WHEN p.place IN ('item', 'removed_item') THEN p.number END "
    f"FROM placed p WHERE p.recording_key = t.recording_key AND p.correction_id = t.correction_id AND {_THEIRS}"
)
_TOUCHED = (  # the others need not be carried into Python
    f"AND EXISTS (FROM {CORRECTIONS.stored} c WHERE c.recording_key = t.recording_key AND c.target = 'segment' "
    "AND c.start_s < t.end_s AND c.end_s > t.start_s)"
)
_PLACED = pa.schema(
    [("recording_key", pa.string()), ("correction_id", pa.string()), ("place", pa.string()), ("number", pa.int32()),
     ("text", pa.string()), ("is_last", pa.bool_())]
)  # fmt: skip


def lay_over(db: duckdb.DuckDBPyConnection, moved: Sequence[str]) -> None:
    """Make the rows of recordings that moved read as their owners want them, those of them that were ever corrected."""
    keys = _ever_corrected(db, sorted(set(moved)))
    if not keys:
        return
    db.register("mine", pa.table({"recording_key": pa.array(keys, pa.string())}))
    bounds = [keys[0], keys[-1]]
    for statement in _AS_MADE:
        db.execute(statement, bounds)
    db.register("placed", pa.Table.from_pylist(_placed(db, bounds), schema=_PLACED))
    for statement in (_SEGMENTS, _ITEMS, *_NOTES, _WHERE_THEY_FELL, *_SEEN_ANEW):
        db.execute(statement, bounds)
    db.unregister("placed")
    db.unregister("mine")


def _ever_corrected(db: duckdb.DuckDBPyConnection, moved: Sequence[str]) -> list[str]:
    if not moved:
        return []
    db.register("moved", pa.table({"subject": pa.array(moved, pa.string())}))
    found = db.execute(
        f"SELECT recording_key FROM {CORRECTED_NOTES.stored} WHERE recording_key BETWEEN ? AND ? "  # noqa: S608
        "AND recording_key IN (SELECT subject FROM moved) ORDER BY 1",
        [moved[0], moved[-1]],
    ).fetchall()
    db.unregister("moved")
    return [key for (key,) in found]


def _placed(db: duckdb.DuckDBPyConnection, bounds: Sequence[str]) -> list[Row]:
    """Say where each correction falls now; one row for each that falls anywhere."""
    made = _rows(db, CORRECTIONS.stored, "*", bounds)
    segments = _rows(db, SEGMENTS.stored, "recording_key, segment_id, start_s, end_s, kind, text", bounds, _TOUCHED)
    items = _rows(
        db, NOTE_ITEMS.stored, "recording_key, item_id, kind, text, segment_id, start_s, end_s, quote", bounds
    )
    notes = _rows(db, NOTES.stored, "recording_key", bounds)
    found: list[Row] = []
    for key, rows in made.items():
        mine = [correction_from(row) for row in rows]
        spoken = [
            Segment(s["segment_id"], s["start_s"], s["end_s"], s["kind"], s["text"]) for s in segments.get(key, ())
        ]
        claims = [
            NoteItem(i["item_id"], *(i[name] for name in ("kind", "text", "segment_id", "start_s", "end_s", "quote")))
            for i in items.get(key, ())
        ]
        on_speech = on_segments(spoken, mine)
        last = {p.number: p.correction.id for p in on_speech}
        found += [_row(key, p.correction, p.number, p.text, last[p.number]) for p in on_speech]
        found += [_row(key, p.correction, p.number, p.text) for p in on_items(claims, mine)]
        found += [_row(key, c, None, c.text) for c in whole(mine).values() if key in notes]
    return found


def _row(key: str, correction: Correction, number: int | None, text: str, last: str | None = None) -> Row:
    told = {"recording_key": key, "correction_id": correction.id, "place": correction.target}
    return {**told, "number": number, "text": text, "is_last": last in (None, correction.id)}


def _rows(
    db: duckdb.DuckDBPyConnection, table: str, columns: str, bounds: Sequence[str], more: str = ""
) -> Mapping[str, Iterable[Row]]:
    read = db.execute(f"SELECT {columns} FROM {table} t WHERE {_THEIRS} {more}", bounds)  # noqa: S608 - names of schema.py
    names = [column[0] for column in read.description or ()]
    found: dict[str, list[Row]] = defaultdict(list)
    for values in read.fetchall():
        row = dict(zip(names, values, strict=True))
        found[row["recording_key"]].append(row)
    return found
