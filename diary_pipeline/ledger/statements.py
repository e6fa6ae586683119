"""Statements that SQLite and PostgreSQL spell differently, or cannot take as long as they may become.

Statements about one noun belong to that noun's file.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

Item = TypeVar("Item")

CHUNK = 500
"""Values in one IN list or one insert: SQLite took 999 variables a statement before 3.32."""


def now(conn: sa.Connection) -> float:
    """Return the database's clock: seconds since the epoch, the same for every machine that asks."""
    if conn.dialect.name == "sqlite":
        clock = sa.text("SELECT (julianday('now') - 2440587.5) * 86400.0")
    else:  # now() would be the start of the transaction, which may have waited long for a lock
        clock = sa.text("SELECT CAST(extract(epoch FROM clock_timestamp()) AS double precision)")
    return float(conn.execute(clock).scalar_one())


def chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Cut a sequence so that every piece fits into one statement."""
    everything = list(items)
    for start in range(0, len(everything), CHUNK):
        yield everything[start : start + CHUNK]


def each(
    conn: sa.Connection,
    statement: sa.Select[Any] | sa.Update | sa.Delete,
    column: sa.ColumnElement[str],
    values: Iterable[str],
) -> list[sa.Row[Any]]:
    """Execute a statement for all rows with one of these values, however many there are, and return what it gives."""
    rows: list[sa.Row[Any]] = []
    for some in chunks(values):
        result = conn.execute(statement.where(column.in_(some)))
        rows += result.all() if result.returns_rows else ()
    return rows


def insert_missing(tx: sa.Connection, table: sa.Table, row: Mapping[str, object]) -> bool:
    """Insert a row unless a unique column has its value already; wait for a concurrent insert of the same value."""
    return tx.execute(_insert(tx, table).values(**row).on_conflict_do_nothing()).rowcount > 0


def insert_all_missing(tx: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> int:
    """Insert rows as insert_missing does, all at once, and return how many were not there."""
    missing = _insert(tx, table).on_conflict_do_nothing()
    if tx.dialect.name == "sqlite":
        return tx.execute(missing, rows).rowcount
    return len(tx.execute(missing.returning(*table.primary_key.columns), rows).all())


def upsert(tx: sa.Connection, table: sa.Table, row: Mapping[str, object]) -> None:
    """Insert a row, or replace the values of the row with the same primary key."""
    upsert_all(tx, table, [row])


def upsert_all(tx: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows as upsert does, all at once; they have the same columns."""
    key = [c.name for c in table.primary_key.columns]
    insert = _insert(tx, table)
    changed = {name: insert.excluded[name] for name in rows[0] if name not in key}
    tx.execute(insert.on_conflict_do_update(index_elements=key, set_=changed), rows)


def add_up(tx: sa.Connection, table: sa.Table, key: Mapping[str, object], amounts: Mapping[str, float]) -> None:
    """Add amounts to the columns of the row with that primary key, which begins with them when it is not there."""
    grown = {name: table.c[name] + amount for name, amount in amounts.items()}
    row = _insert(tx, table).values(**key, **amounts)
    tx.execute(row.on_conflict_do_update(index_elements=list(key), set_=grown))


def _insert(tx: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    return (sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert)(table)
