"""How a published file of an older schema becomes one of today's: a numbered step a version, never edited once out.

A step changes the publisher's own copy where that is cheap and gives what the log would give. Where only the log can
tell it says so, and the file is built anew. What the tables mean stands in schema.py.

What surprises: a column that is added is NULL in all rows that are there, which is what a rebuild gives too, as their
objects lack the column. Objects that a newer program wrote and an older publisher folded are the exception: so upgrade
the publisher no later than the writers, or remove the file once, and it is built anew.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import duckdb

from diary_pipeline.catalogue import descriptions
from diary_pipeline.catalogue.action_items import ACTION_ITEMS
from diary_pipeline.catalogue.schema import DATA, DUCKDB, RECORDING_COSTS, SCHEMA_VERSION, TABLES

DB = duckdb.DuckDBPyConnection


@dataclass(frozen=True)
class Step:
    """From one version to the next."""

    what: str
    change: Callable[[DB], None] | None
    """None: only the log can tell, so the file is built anew."""


def _tables_behind_views(db: DB) -> None:
    """Move the tables; DuckDB cannot rename across schemas, so this writes every row once."""
    db.execute(f"CREATE SCHEMA {DATA}")
    names = db.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'").fetchall()
    for (name,) in names:
        if name != "catalogue_state":
            db.execute(f'CREATE TABLE {DATA}."{name}" AS FROM main."{name}"')
            db.execute(f'DROP TABLE main."{name}"')


STEPS: Sequence[Step] = (
    Step("recordings: where sources disagree over a day", None),
    Step("segments: why, how and by which weights it was heard", None),
    Step("completions, tasks of actions, attempts by outcome: rows that older files do not have", None),
    Step("tables lie in a schema of their own, and views have their names", _tables_behind_views),
)
"""Step n (from 1) brings version n to version n + 1. Columns that are only new come by themselves, see `migrate`; the
first two have no change of their own because no file gets past the third."""


def version_of(db: DB) -> int | None:
    """Return the schema version of an open file; None: it is no catalogue."""
    try:
        row = db.execute("SELECT schema_version FROM catalogue_state").fetchone()
    except duckdb.Error:
        return None
    return None if row is None else int(row[0])


def migrate(db: DB, from_version: int) -> bool:
    """Bring an open, writable copy from a version to today's; False, and nothing changed: build it from the log.

    Columns of today that it lacks are added. Rows and watermark stay: what was committed since is still to be folded.
    """
    due = STEPS[from_version - 1 :] if from_version > 0 else ()
    changes = [step.change for step in due if step.change]
    if from_version + len(due) != SCHEMA_VERSION or len(changes) < len(due):
        return False
    db.execute("BEGIN")
    for (name,) in db.execute(_VIEWS).fetchall():
        db.execute(f'DROP VIEW main."{name}"')
    for change in changes:
        change(db)
    _show(db)
    db.execute("UPDATE catalogue_state SET schema_version = ?", [SCHEMA_VERSION])
    db.execute("COMMIT")
    return True


_VIEWS = "SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = 'main'"


def _show(db: DB) -> None:
    """Give every table its view again, with the columns of today in their order, and say what all means."""
    for table in {t.name: t for t in TABLES if t.published}.values():
        there = {
            name for (name,) in db.execute(
                "SELECT column_name FROM duckdb_columns() WHERE schema_name = ? AND table_name = ?", [DATA, table.name]
            ).fetchall()
        }  # fmt: skip
        for column in table.visible:
            if column.name not in there:
                db.execute(f'ALTER TABLE {table.stored} ADD COLUMN "{column.name}" {DUCKDB[column.type]}')
        columns = ", ".join(f'"{c.name}"' for c in table.visible)
        db.execute(f"CREATE VIEW {table.name} AS SELECT {columns} FROM {table.stored}")  # noqa: S608 - names of ours
    for view in (RECORDING_COSTS, ACTION_ITEMS):
        db.execute(view)
    descriptions.comment(db)
