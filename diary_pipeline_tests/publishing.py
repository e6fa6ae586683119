"""A diary on SQLite with its publisher, and ways to look at what it published; for the tests of the publisher."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import sqlalchemy as sa

from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.tables import clock, pointers


def rows(live: Path, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """Ask the published file."""
    with duckdb.connect(str(live), read_only=True) as db:
        return db.execute(sql, list(values)).fetchall()


def erase(ledger: Ledger, subject: str) -> int:
    """Move all pointers of a subject to nothing, as erasure does, and return the seq."""
    with ledger.writing() as tx:
        tx.execute(clock.update().values(n=clock.c.n + 1))
        seq = int(tx.execute(sa.select(clock.c.n)).scalar_one())
        mine = pointers.update().where(pointers.c.subject == subject)
        tx.execute(mine.values(object_id=None, version=None, seq=seq))
    return seq


def twin_room(live: Path) -> Path:
    """Return the folder in which the next file and the spare lie."""
    return live.with_name(f".{live.name}.twin")
