"""Folding: carry what the ledger points to from the log's Parquet objects into a DuckDB file.

Which file, and how users come to see it, is publisher.py's business. Only pointers that moved after the watermark
inside the file are looked at, so a fold costs what is new, not what is there.

What surprises: rows are deleted and inserted, never compared. A pointer that moved names all rows of its subject and
kind from now on; a pointer to no object means that there are none. What owners have put right is laid over the rows
that stand there then (fold_corrections.py).
"""

from collections.abc import Iterator, Sequence

import duckdb
import pyarrow as pa

from diary_pipeline.catalogue import descriptions
from diary_pipeline.catalogue.action_items import ACTION_ITEMS
from diary_pipeline.catalogue.fold_corrections import CORRECTED_BY, lay_over
from diary_pipeline.catalogue.schema import (
    COMMIT_SEQ,
    DATA,
    RECORDING_COSTS,
    RECORDINGS,
    STATE_DDL,
    TABLES,
    Table,
)
from diary_pipeline.ledger.pointers import Pointer
from diary_pipeline.storage.store import ObjectStore

SLICE = 20_000
"""Pointers in one transaction. Bounds the memory of a rebuild; an ordinary fold is one slice."""


def create(db: duckdb.DuckDBPyConnection) -> None:
    """Create the empty catalogue, with what everything in it means as comments."""
    db.execute("BEGIN")
    ddl = (statement for t in TABLES if t.published for statement in t.ddl)
    for statement in dict.fromkeys((f"CREATE SCHEMA {DATA}", *ddl, RECORDING_COSTS, STATE_DDL, ACTION_ITEMS)):
        db.execute(statement)
    descriptions.comment(db)
    db.execute("COMMIT")


def fold(db: duckdb.DuckDBPyConnection, store: ObjectStore, moved: Sequence[Pointer]) -> None:
    """Fold moved pointers; NotFound when an object is missing. A file in which this ended badly is no catalogue."""
    for some in _slices(moved):
        store.bring({p.object_id for p in some if p.object_id})
        db.execute("BEGIN")
        for table in TABLES:
            mine = [p for p in some if p.kind == table.kind]
            if table.published and mine:
                _delete(db, table, mine)
                _insert(db, table, mine, store)
        lay_over(db, [p.subject for p in some if p.kind in CORRECTED_BY])
        db.execute("COMMIT")


def _slices(moved: Sequence[Pointer]) -> Iterator[Sequence[Pointer]]:
    for start in range(0, len(moved), SLICE):
        yield moved[start : start + SLICE]


def _delete(db: duckdb.DuckDBPyConnection, table: Table, mine: Sequence[Pointer]) -> None:
    subjects = [p.subject for p in mine if p.version != "refused"]  # a refusal is never replaced, only erased
    if not subjects:
        return
    # Without the bounds every delete reads the whole column; with them zone maps leave only the days concerned.
    bounds = [min(subjects), max(subjects)]
    db.register("moved", pa.table({"subject": pa.array(subjects, pa.string())}))
    of_kind = f"AND stage = '{table.kind}'" if table.name == "checks" else ""
    db.execute(
        f"DELETE FROM {table.stored} WHERE recording_key BETWEEN ? AND ? "  # noqa: S608 - names from schema.py
        f"AND recording_key IN (SELECT subject FROM moved) {of_kind}",
        bounds,
    )
    if table is RECORDINGS:
        db.execute(
            f"DELETE FROM {table.stored} WHERE recording_key IS NULL AND submission_id BETWEEN ? AND ? "  # noqa: S608
            "AND submission_id IN (SELECT subject FROM moved)",
            bounds,
        )
    db.unregister("moved")


def _insert(db: duckdb.DuckDBPyConnection, table: Table, mine: Sequence[Pointer], store: ObjectStore) -> None:
    paths = {i: _file(store, i, table.name) for i in dict.fromkeys(p.object_id for p in mine) if i is not None}
    placed = [(p.subject, paths[p.object_id], p.seq) for p in mine if p.object_id is not None and paths[p.object_id]]
    if not placed:
        return
    subject, path, seq = (list(column) for column in zip(*placed, strict=True))
    db.register("moved", pa.table({"subject": subject, "path": path, COMMIT_SEQ.name: pa.array(seq, pa.int64())}))
    names = [c.name for c in table.visible if c.logged and c is not COMMIT_SEQ]
    whose = "coalesce(s.recording_key, s.submission_id)" if table is RECORDINGS else "s.recording_key"
    # Columns by name: an object written before a column existed reads as NULL there.
    db.execute(
        f"INSERT INTO {table.stored} BY NAME "  # noqa: S608 - names from schema.py
        f"SELECT COLUMNS(lambda c: list_contains({names!r}, c)), m.{COMMIT_SEQ.name} AS {COMMIT_SEQ.name} "
        "FROM read_parquet(?, union_by_name = true, filename = true) s "
        f"JOIN moved m ON m.path = s.filename AND m.subject = {whose} ORDER BY m.subject, s.{table.order}",
        [sorted(set(path))],
    )
    db.unregister("moved")


def _file(store: ObjectStore, object_id: str, table: str) -> str:
    """Return where a table of an object lies, or "" when it has no rows in it."""
    key = f"{object_id}/{table}.parquet"
    if store.exists(key):
        return str(store.path(key))
    store.path(object_id)  # the object itself must be there
    return ""
