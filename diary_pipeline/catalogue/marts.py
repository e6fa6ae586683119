"""dbt's tables in the published file: copied whole when dbt has built them anew, left out when they tell too much.

Building them is dbt's business, in a file of its own (`marts.duckdb`, schema `marts`), which no reader opens: one
attach of the catalogue shows all.

What surprises: marts hold text of what has been erased until dbt runs again. `marts.marts_state` tells up to which
commit they know of erasures; those from before the last one are not shown. And while dbt is writing, its file cannot be
opened: then users keep the marts they have, which the file being built may lack.
"""

from pathlib import Path

import duckdb

from diary_pipeline.catalogue.descriptions import quoted

SCHEMA = "marts"
_SOURCE = "marts_source"


def stamp(path: Path | None) -> str:
    """Tell one build of dbt's file from another, without opening it; "" when there is none."""
    try:
        found = path.stat() if path is not None else None
    except FileNotFoundError:
        found = None
    return f"{found.st_mtime_ns}-{found.st_size}" if found else ""


def can_be_read(path: Path | None) -> bool:
    """Tell whether dbt is not writing just now; no file can be read too: it means that there are no marts."""
    if not stamp(path):
        return True
    with duckdb.connect() as db:
        return _attach(db, path)


def carry(db: duckdb.DuckDBPyConnection, marts: Path | None, live: Path, held: str, shown: str) -> str:
    """Bring `marts.*` of the file `db` up to what dbt built last and return its stamp.

    `held` is the stamp of those in `db`, `shown` of those in the live file, which stand in while dbt is writing.
    """
    wanted = stamp(marts)
    if wanted == held:
        return held
    if not wanted:
        _drop(db)
        return wanted
    if _copied(db, marts):
        return wanted
    return shown if shown != held and _copied(db, live) else held


def kept(db: duckdb.DuckDBPyConnection, hidden: int) -> int | None:
    """Return the commit up to which dbt had read (0: they do not tell); None: there are no marts.

    Those from before `hidden`, the commit of the last erasure, are dropped.
    """
    known = _watermark(db)
    if known is not None and known < hidden:
        _drop(db)
        return None
    return known


def _drop(db: duckdb.DuckDBPyConnection) -> None:
    db.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


def _watermark(db: duckdb.DuckDBPyConnection) -> int | None:
    if not db.execute("SELECT 1 FROM duckdb_schemas() WHERE schema_name = ?", [SCHEMA]).fetchone():
        return None
    try:
        row = db.execute(f"SELECT max(watermark) FROM {SCHEMA}.marts_state").fetchone()  # noqa: S608 - our own name
    except (duckdb.CatalogException, duckdb.BinderException):
        return 0
    return int(row[0]) if row and row[0] is not None else 0


def _copied(db: duckdb.DuckDBPyConnection, path: Path | None) -> bool:
    if not _attach(db, path):
        return False
    found = "FROM {}() WHERE database_name = ? AND schema_name = ?"
    source = [_SOURCE, SCHEMA]
    tables = db.execute(f"SELECT table_name, comment {found.format('duckdb_tables')} ORDER BY 1", source).fetchall()
    columns = db.execute(
        f"SELECT table_name, column_name, comment {found.format('duckdb_columns')} AND comment IS NOT NULL",
        source,
    ).fetchall()
    db.execute("BEGIN")
    _drop(db)
    db.execute(f"CREATE SCHEMA {SCHEMA}")
    for table, comment in tables:
        db.execute(f'CREATE TABLE {SCHEMA}."{table}" AS FROM {_SOURCE}.{SCHEMA}."{table}"')
        if comment is not None:
            db.execute(f'COMMENT ON TABLE {SCHEMA}."{table}" IS {quoted(comment)}')
    for table, column, comment in columns:
        if table in dict(tables):
            db.execute(f'COMMENT ON COLUMN {SCHEMA}."{table}"."{column}" IS {quoted(comment)}')
    db.execute("COMMIT")
    db.execute(f"DETACH {_SOURCE}")
    return True


def _attach(db: duckdb.DuckDBPyConnection, path: Path | None) -> bool:
    try:
        db.execute(f"ATTACH {quoted(str(path))} AS {_SOURCE} (READ_ONLY)")
    except duckdb.Error:  # dbt is at it, or it died and left half a file: the next build puts that right
        return False
    return True
