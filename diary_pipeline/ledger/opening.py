"""How the ledger's database is reached: SQLite in a file that is made for its user alone, or PostgreSQL.

What surprises: either is told to show no values in its errors, because titles and file names would come to the logs.
"""

import os
import sqlite3
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from diary_pipeline.core.errors import ServiceMissing, UsageError
from diary_pipeline.ledger.connect import BUSY_TIMEOUT_S, Ledger
from diary_pipeline.ledger.database_errors import reason
from diary_pipeline.ledger.migrations import migrate

CONNECT_TIMEOUT_S = 10
_BUSY_MS = "busy_timeout_ms"
"""Under which a pooled connection remembers what it was told last."""


def open_ledger(url: str) -> Ledger:
    """Open the ledger at `sqlite:////path/of/file` or `postgresql://...`; its schema is made or brought up to date."""
    wanted = ledger_url(url)
    shown = wanted.render_as_string(hide_password=True)
    try:
        ledger = Ledger(_engine(wanted))
        try:
            migrate(ledger)
        except BaseException:
            ledger.close()
            raise
    except ModuleNotFoundError as error:
        raise ServiceMissing(
            "ledger_driver_missing",
            f"The ledger {shown} needs the Python package {error.name}: install diary-pipeline[postgres].",
        ) from error
    except (sa.exc.DBAPIError, ServiceMissing, OSError) as error:
        why = reason(error.__cause__ or error) if isinstance(error, ServiceMissing) else reason(error)
        raise ServiceMissing(
            "ledger_unreachable",
            f"The ledger {shown} cannot be opened ({why}); check DIARY_LEDGER_URL and its database.",
        ) from error
    return ledger


def ledger_url(url: str) -> sa.URL:
    """Read the address of a ledger; UsageError `ledger_url_invalid`."""
    try:
        wanted = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise UsageError(
            "ledger_url_invalid", "DIARY_LEDGER_URL is not a database URL: sqlite:////path/of/file or postgresql://..."
        ) from error
    if wanted.drivername in ("postgresql", "postgres"):
        wanted = wanted.set(drivername="postgresql+psycopg2")
    if wanted.drivername not in ("postgresql+psycopg2", "sqlite", "sqlite+pysqlite"):
        raise UsageError(
            "ledger_url_invalid", f"DIARY_LEDGER_URL names {wanted.drivername}; the ledger is sqlite or postgresql."
        )
    if wanted.drivername.startswith("sqlite") and wanted.database in (None, "", ":memory:"):
        raise UsageError("ledger_url_invalid", "DIARY_LEDGER_URL names no file: sqlite:////path/of/file.")
    return wanted


def _engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() == "postgresql":
        ours = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "diary"}
        theirs = {name: value for name, value in ours.items() if name not in url.query}
        engine = sa.create_engine(url, pool_pre_ping=True, connect_args=theirs, hide_parameters=True)
        sa.event.listen(engine, "handle_error", _quote_nothing)
        sa.event.listen(engine, "begin", _begin_postgres)
        return engine
    _create_file(Path(url.database or ""))
    engine = sa.create_engine(url, hide_parameters=True)  # its errors would tell titles and file names to the logs
    sa.event.listen(engine, "connect", _set_up_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _quote_nothing(context: sa.engine.ExceptionContext) -> None:
    """Keep the first line of what PostgreSQL says; the others quote the statement with its values, or the row."""
    for error in (context.original_exception, context.sqlalchemy_exception):
        if error is not None and error.args:
            error.args = (str(error.args[0]).split("\n", 1)[0], *error.args[1:])


def _create_file(path: Path) -> None:
    """Make the file, and the folders above it, for the user alone: names of diaries are private too."""
    for folder in reversed(path.absolute().parents):
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:  # and never opened by us: closing it would drop SQLite's locks of the whole process
        return


def _set_up_sqlite(raw: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
    raw.isolation_level = None  # the driver would send BEGIN late, and never IMMEDIATE
    cursor = raw.cursor()
    entry.info[_BUSY_MS] = BUSY_TIMEOUT_S * 1000
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_S * 1000}",  # first: the next one may meet another process
        "journal_mode=WAL",
        "synchronous=FULL",  # NORMAL may lose the last commits with the power, and a commit is a promise
        "secure_delete=ON",  # what is erased leaves no bytes in free pages
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_postgres(conn: sa.Connection) -> None:
    if patience_s := conn.get_execution_options().get("patience_s"):
        conn.exec_driver_sql(f"SET LOCAL lock_timeout = {round(patience_s * 1000)}")


def _begin_sqlite(conn: sa.Connection) -> None:
    options = conn.get_execution_options()
    busy_ms = round(options.get("patience_s", BUSY_TIMEOUT_S) * 1000)
    if conn.info[_BUSY_MS] != busy_ms:  # asked before, because saying it costs a quarter of a transaction that reads
        conn.exec_driver_sql(f"PRAGMA busy_timeout={busy_ms}")
        conn.info[_BUSY_MS] = busy_ms
    # A reader with BEGIN IMMEDIATE would queue; a writer without it fails at its first write when somebody was faster.
    conn.exec_driver_sql("BEGIN" if options.get("reading") else "BEGIN IMMEDIATE")
