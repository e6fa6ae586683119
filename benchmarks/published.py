"""Published catalogues that a benchmark fills by SQL, for what reads them and does not care how rows came there."""

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from diary_pipeline.catalogue import fold
from diary_pipeline.catalogue.state import State, write_state


@contextmanager
def published(live: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Write a catalogue at commit 1; the block fills it."""
    with duckdb.connect(str(live)) as db:
        fold.create(db)
        yield db
        write_state(db, State(1, dt.datetime(2026, 1, 1)))
        db.execute("CHECKPOINT")


def insert(db: duckdb.DuckDBPyConnection, table: str, columns: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert rows of the named columns; the others are NULL."""
    names = columns.split()
    db.register("fresh", pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))))
    db.execute(f"INSERT INTO data.{table} BY NAME SELECT * FROM fresh")
    db.unregister("fresh")
