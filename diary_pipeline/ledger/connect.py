"""The way to the ledger's database: SQLite in a file, or PostgreSQL. What differs between the two is said here only.

Statements belong to the nouns' files, the schema to tables.py and migrations.py.

What surprises: locks are taken in one order by everybody, or PostgreSQL ends one of two transactions as a deadlock:
`clock`, `batches` (by id), `work` (by key, stage), `batch_items`, `recordings`, `submissions`, `holders`; `pointers`,
`history` and `commits` under `clock` alone, and `tombstones`, `erasures` last; and apart from all these `llm_spent` (by
subject), `llm_holds`. On SQLite a writing transaction has the whole file (BEGIN
IMMEDIATE), while readers see their snapshot and never queue.
"""

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import ConnectionPoolEntry

from diary_pipeline.core.errors import ServiceMissing, UsageError
from diary_pipeline.observability.logs import log

Answer = TypeVar("Answer")
Item = TypeVar("Item")

CHUNK = 500
"""Values in one IN list or one insert: SQLite took 999 variables a statement before 3.32."""

BUSY_TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 10
TRIES = 12
_NAMED = "hashtext('diary_pipeline'), hashtext(:name)"
# A machine that vanished holds its locks until the server finds out, which takes two hours if nobody says otherwise.
_GIVEN_UP_SOON = ("tcp_keepalives_idle = 30", "tcp_keepalives_interval = 10", "tcp_keepalives_count = 3")
_REPEATABLE = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
_SQLITE_PASSES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,  # of a disk that was mounted anew after an error
    }
)
# Connection lost, too many of them or no room, server stopped or starting; a lock that did not come, a standby.
_POSTGRES_PASSES = ("08", "53", "57P", "55P03", "25006")

logger = log(__name__)


@dataclass(frozen=True)
class Ledger:
    """An open ledger; safe to share between threads, not over a fork."""

    engine: sa.Engine
    patience_s: float | None = None
    """How long a writer waits for others; None: as long as work may that nobody waits for."""
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def hurried(self, patience_s: float) -> "Ledger":
        """Give the same ledger for those whose client waits for an answer."""
        return replace(self, patience_s=patience_s)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give one snapshot, which never queues behind writers; ServiceMissing `ledger_away`."""
        with _told_when_away(), self.engine.connect() as conn:
            if conn.dialect.name == "sqlite":
                conn.execution_options(reading=True)
            else:
                conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with conn.begin():
                yield conn

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Give one transaction: committed at the end of the block, rolled back when the block raises.

        ServiceMissing `ledger_away` when the connection is lost, or others hold SQLite's file for too long.
        """
        with _told_when_away(), self._transaction() as tx:
            yield tx

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        # SQLite's writers poll for the file and starve: of twelve busy threads the one that accepted recordings got 18
        # through in 12 s, and 264 when the threads of a process stood in line. Whoever waited as long as SQLite would
        # goes on to SQLite's own error.
        most_s = BUSY_TIMEOUT_S if self.patience_s is None else self.patience_s
        until = time.monotonic() + most_s
        in_line = self.engine.dialect.name == "sqlite" and self._turn.acquire(timeout=most_s)
        try:
            with self.engine.connect() as conn:
                if self.patience_s is not None:
                    conn.execution_options(patience_s=max(0.1, until - time.monotonic()))
                with conn.begin():
                    yield conn
        finally:
            if in_line:
                self._turn.release()

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Hold a name that no other session of this database holds meanwhile, waiting for it as long as it takes.

        SQLite has no such thing: its users share a machine, so they lock a file.
        """
        if self.engine.dialect.name == "sqlite":
            yield
            return
        # No transaction: one that stays open for minutes keeps PostgreSQL from removing dead rows.
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            for limit in _GIVEN_UP_SOON:
                conn.exec_driver_sql(f"SET {limit}")
            conn.execute(sa.text(f"SELECT pg_advisory_lock({_NAMED})"), {"name": name})
            try:
                yield
            finally:
                # Closed for good and not pooled: the lock goes with the session, whatever state it is in.
                conn.invalidate()

    def write(self, verb: Callable[[sa.Connection], Answer]) -> Answer:
        """Run `verb` in one transaction, again from its start when the database made it give way to another."""
        with _told_when_away():
            for attempt in range(1, TRIES):
                try:
                    with self._transaction() as tx:
                        return verb(tx)
                except (GaveWay, sa.exc.DBAPIError) as error:
                    if not _may_repeat(error):
                        raise
                time.sleep(min(1.0, random.uniform(0.01, 0.05) * 2**attempt))
            with self._transaction() as tx:
                return verb(tx)

    def close(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()


@contextmanager
def _told_when_away() -> Iterator[None]:
    """Raise what passes by itself as ours; a broken rule or a missing table stays the database's own error."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        if not _is_away(error):
            raise
        logger.warning("ledger_away", reason=_reason(error))  # not in the message, which clients read: it names hosts
        raise ServiceMissing("ledger_away", "The ledger's database does not answer; try again soon.") from error


UNHOLDABLE = (sa.exc.DataError, UnicodeError)
"""What a database raises for text that it cannot keep, such as half of an emoji."""


class GaveWay(Exception):
    """Raised inside `Ledger.write` when what was locked is no longer what has to be locked: start again."""


def open_ledger(url: str) -> Ledger:
    """Open the ledger at `sqlite:////path/of/file` or `postgresql://...`; its schema is made or brought up to date."""
    from diary_pipeline.ledger.migrations import migrate  # here, because it needs this module's words

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
        why = _reason(error.__cause__ or error) if isinstance(error, ServiceMissing) else _reason(error)
        raise ServiceMissing(
            "ledger_unreachable",
            f"The ledger {shown} cannot be opened ({why}); check DIARY_LEDGER_URL and its database.",
        ) from error
    return ledger


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
    if tx.dialect.name == "sqlite":
        return tx.execute(sqlite.insert(table).values(**row).on_conflict_do_nothing()).rowcount > 0
    return tx.execute(postgresql.insert(table).values(**row).on_conflict_do_nothing()).rowcount > 0


def insert_all_missing(tx: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> int:
    """Insert rows as insert_missing does, all at once, and return how many were not there."""
    if tx.dialect.name == "sqlite":
        return tx.execute(sqlite.insert(table).on_conflict_do_nothing(), rows).rowcount
    key = list(table.primary_key.columns)
    return len(tx.execute(postgresql.insert(table).on_conflict_do_nothing().returning(*key), rows).all())


def upsert(tx: sa.Connection, table: sa.Table, row: Mapping[str, object]) -> None:
    """Insert a row, or replace the values of the row with the same primary key."""
    key = [c.name for c in table.primary_key.columns]
    changed = {name: value for name, value in row.items() if name not in key}
    if tx.dialect.name == "sqlite":
        tx.execute(sqlite.insert(table).values(**row).on_conflict_do_update(index_elements=key, set_=changed))
    else:
        tx.execute(postgresql.insert(table).values(**row).on_conflict_do_update(index_elements=key, set_=changed))


def upsert_all(tx: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows as upsert does, all at once; they have the same columns."""
    key = [c.name for c in table.primary_key.columns]
    insert = (sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert)(table)
    changed = {name: insert.excluded[name] for name in rows[0] if name not in key}
    tx.execute(insert.on_conflict_do_update(index_elements=key, set_=changed), rows)


def add_up(tx: sa.Connection, table: sa.Table, key: Mapping[str, object], amounts: Mapping[str, float]) -> None:
    """Add amounts to the columns of the row with that primary key, which begins with them when it is not there."""
    insert = sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert
    grown = {name: table.c[name] + amount for name, amount in amounts.items()}
    row = insert(table).values(**key, **amounts)
    tx.execute(row.on_conflict_do_update(index_elements=list(key), set_=grown))


def queue(tx: sa.Connection, name: str) -> None:
    """Wait until no other transaction of that name runs; on SQLite writers stand in one queue anyway."""
    if tx.dialect.name == "postgresql":
        tx.execute(sa.text(f"SELECT pg_advisory_xact_lock({_NAMED})"), {"name": name})


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


def _set_up_sqlite(raw: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    raw.isolation_level = None  # the driver would send BEGIN late, and never IMMEDIATE
    cursor = raw.cursor()
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
    patience_s = conn.get_execution_options().get("patience_s", BUSY_TIMEOUT_S)
    conn.exec_driver_sql(f"PRAGMA busy_timeout={round(patience_s * 1000)}")  # of a pooled connection: the last one's
    # A reader with BEGIN IMMEDIATE would queue; a writer without it fails at its first write when somebody was faster.
    conn.exec_driver_sql("BEGIN" if conn.get_execution_options().get("reading") else "BEGIN IMMEDIATE")


def _may_repeat(error: Exception) -> bool:
    if isinstance(error, sa.exc.DBAPIError):
        return getattr(error.orig, "pgcode", None) in _REPEATABLE
    return isinstance(error, GaveWay)


def _is_away(error: Exception) -> bool:
    if isinstance(error, sa.exc.TimeoutError | sa.exc.InterfaceError):  # no pooled connection came free, or one is lost
        return True
    if not isinstance(error, sa.exc.OperationalError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _SQLITE_PASSES
    code = getattr(error.orig, "pgcode", None)  # None: no server said it, the connection is gone
    return error.connection_invalidated or code is None or _may_repeat(error) or code.startswith(_POSTGRES_PASSES)


def _reason(error: BaseException) -> str:
    said: Sequence[str] = str(error.orig if isinstance(error, sa.exc.DBAPIError) else error).strip().splitlines()
    return said[0] if said else type(error).__name__
