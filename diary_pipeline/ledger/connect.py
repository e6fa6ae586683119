"""The open ledger, a database: its transactions, what is tried again, and the locks that have a name.

How it is opened belongs to opening.py, what an error means to database_errors.py, statements to statements.py and the
nouns' files, the schema to tables.py.

What surprises: locks are taken in one order by everybody, or PostgreSQL ends one of two transactions as a deadlock:
`clock`, `batches` (by id), `work` (by key, stage), `batch_items`, `recordings`, `submissions`, `holders`; `pointers`,
`history` and `commits` under `clock` alone, and `tombstones`, `erasures` last; and apart from all these `llm_spent` (by
subject), `llm_holds`. On SQLite a writing transaction has the whole file (BEGIN
IMMEDIATE), while readers see their snapshot and never queue.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import sqlalchemy as sa

from diary_pipeline.ledger.database_errors import may_repeat, told_when_away

Answer = TypeVar("Answer")

BUSY_TIMEOUT_S = 30
TRIES = 12
_NAMED = "hashtext('diary_pipeline'), hashtext(:name)"
# A machine that vanished holds its locks until the server finds out, which takes two hours if nobody says otherwise.
_GIVEN_UP_SOON = ("tcp_keepalives_idle = 30", "tcp_keepalives_interval = 10", "tcp_keepalives_count = 3")


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
        with told_when_away(), self.engine.connect() as conn:
            if conn.dialect.name == "sqlite":
                conn.execution_options(reading=True)
            else:
                conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with conn.begin():
                yield conn

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Give one transaction: committed at the end of the block, rolled back when the block raises.

        ServiceMissing `ledger_away` when the connection is lost, or others hold SQLite's file for too long; whether it
        was committed is not known then.
        """
        with told_when_away(), self._transaction() as tx:
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
        with told_when_away():
            for attempt in range(1, TRIES):
                try:
                    with self._transaction() as tx:
                        return verb(tx)
                except GaveWay:
                    pass
                except sa.exc.DBAPIError as error:
                    if not may_repeat(error):
                        raise
                time.sleep(min(1.0, random.uniform(0.01, 0.05) * 2**attempt))
            with self._transaction() as tx:
                return verb(tx)

    def close(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()


class GaveWay(Exception):
    """Raised inside `Ledger.write` when what was locked is no longer what has to be locked: start again."""


def queue(tx: sa.Connection, name: str) -> None:
    """Wait until no other transaction of that name runs; on SQLite writers stand in one queue anyway."""
    if tx.dialect.name == "postgresql":
        tx.execute(sa.text(f"SELECT pg_advisory_xact_lock({_NAMED})"), {"name": name})
