"""How a published file of an older schema becomes one of today's: a numbered step a version, never edited once out.

A step changes the publisher's own copy where that is cheap and gives what the log would give. Where only the log can
tell it says so, and the file is built anew. What the tables mean stands in schema.py.

What surprises: what is only new needs no words in a step. A column that is added is NULL in all rows there are, and
a table empty, which is what a rebuild gives too, as their objects lack them. Objects that a newer program wrote and an
older publisher folded are the exception: so upgrade the publisher no later than the writers, or remove the file once,
and it is built anew.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import duckdb

from diary_pipeline.catalogue import descriptions, fold
from diary_pipeline.catalogue.schema import DATA, SCHEMA_VERSION

DB = duckdb.DuckDBPyConnection


@dataclass(frozen=True)
class Step:
    """From one version to the next."""

    what: str
    change: Callable[[DB], None] | None
    """None: only the log can tell, so the file is built anew. What is only new is added by `migrate` itself."""


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
    Step("corrections, and how fresh the file is: only new", lambda _db: None),
)
"""Step n (from 1) brings version n to n + 1. The first two have no change because no file gets past the third."""


def version_of(db: DB) -> int | None:
    """Return the schema version of an open file; None: it is no catalogue."""
    try:
        row = db.execute("SELECT schema_version FROM catalogue_state").fetchone()
    except duckdb.Error:
        return None
    return None if row is None else int(row[0])


def migrate(db: DB, from_version: int) -> bool:
    """Bring an open, writable copy from a version to today's; False, and nothing changed: build it from the log.

    Tables, columns and views of today that it lacks are added; rows and watermark stay, so what was committed since is
    still to be folded.
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
    """Add the tables, columns and views of today that are not there, and say what all of them mean."""
    with duckdb.connect() as today:
        fold.create(today)
        tables = today.execute(_TABLES).fetchall()
        columns = today.execute(_COLUMNS).fetchall()
        views = today.execute("SELECT sql FROM duckdb_views() WHERE NOT internal ORDER BY view_oid").fetchall()
    there = {(schema, name) for schema, name, _ in db.execute(_TABLES).fetchall()}
    for schema, name, sql in tables:
        if (schema, name) not in there:
            db.execute(sql)
    for schema, name, column, kind in columns:
        db.execute(f'ALTER TABLE {schema}."{name}" ADD COLUMN IF NOT EXISTS "{column}" {kind}')
    for (view,) in views:
        db.execute(view)
    descriptions.comment(db)


_TABLES = "SELECT schema_name, table_name, sql FROM duckdb_tables() WHERE NOT internal"
_COLUMNS = """
SELECT c.schema_name, c.table_name, c.column_name, c.data_type
FROM duckdb_columns() c JOIN duckdb_tables() t USING (schema_name, table_name)
WHERE NOT c.internal ORDER BY c.table_name, c.column_index
"""
