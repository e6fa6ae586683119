"""Dagster's databases as an erasure sees them: every table, the text in it, and the bytes that deleted rows leave.

What is taken out, and why, is wipe.py's business. This leans on Dagster 1.13's storages (pyproject.toml pins the
minor): a table that a later one adds is found by itself, because the lists come from Dagster.

What surprises: the embedded SQLite storage has a file for each run beside its index, so a file is opened only when its
bytes hold a word that is looked for, and DELETE without VACUUM leaves those bytes.
"""

import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log.schema import SqlEventLogStorageMetadata
from dagster._core.storage.runs.schema import RunStorageSqlMetadata
from dagster._core.storage.schedules.schema import ScheduleStorageSqlMetadata

from diary_pipeline.core.errors import TransientError

WORDS_A_SCAN = 50
BUSY_S = 30.0
PIECE_BYTES = 1 << 20
_SUBJECT = re.compile(rb"(?=\d{4}-\d\d-\d\d-|[0-9a-f]{32})")
"""Where a recording key or a submission id may begin; where it ends is not to be seen, and what is before it may look
like a part of it, because SQLite writes columns without a gap between."""


@dataclass(frozen=True)
class Database:
    """One database, with those of Dagster's tables that it holds."""

    connect: Callable[[], AbstractContextManager[sa.Connection]]
    """For reading; Dagster's SQLite connections begin a transaction, those of PostgreSQL do not."""
    tables: Sequence[sa.Table]
    file: Path | None = None
    """None: a server's, or in memory."""

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Give one transaction."""
        with self.connect() as conn:
            if conn.in_transaction():
                yield conn
            else:
                with conn.begin():
                    yield conn

    def rows_with(self, conn: sa.Connection, table: sa.Table, words: Sequence[str]) -> list[sa.Row[Any]]:
        """Return the rows of a table in whose texts one of these words stands; at most WORDS_A_SCAN of them."""
        texts = text_columns(table)
        if not texts:
            return []
        found = [column.like(f"%{word.replace('_', '/_')}%", escape="/") for column in texts for word in words]
        return list(conn.execute(sa.select(table.c.id, *texts).where(sa.or_(*found))))

    def holds(self, words: Collection[str]) -> bool:
        """Tell whether the bytes of the file hold one of these subjects, in a deleted row too."""
        return any(holds(file, words) for file in self._files)

    @property
    def _files(self) -> Iterable[Path]:
        return () if self.file is None else (self.file, self.file.with_name(f"{self.file.name}-wal"))

    def vacuum(self) -> None:
        """Be rid of what deleted rows left; TransientError `dagster_busy` when nobody pauses."""
        if self.file is not None:
            _vacuum(self.file)
            return
        with self.connect() as conn:
            if conn.dialect.name != "postgresql":
                return
            engine = conn.engine
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            for table in self.tables:
                conn.exec_driver_sql(f"VACUUM {table.name}")


def text_columns(table: sa.Table) -> list[sa.Column[str]]:
    """Return the columns in which a name may stand; compressed snapshots of jobs are no text and hold none."""
    return [c for c in table.columns if isinstance(c.type, sa.types.String)]


def events(instance: dg.DagsterInstance) -> Database:
    """Return the database of events, partitions and checks; on SQLite the index over all runs."""
    storage: Any = instance.event_log_storage
    file = Path(storage.path_for_shard("index")) if _is_sharded(storage) else None
    return Database(storage.index_connection, list(SqlEventLogStorageMetadata.sorted_tables), file)


def runs(instance: dg.DagsterInstance) -> Database:
    """Return the database of runs, their tags, and backfills."""
    storage: Any = instance.run_storage
    return Database(storage.connect, list(RunStorageSqlMetadata.sorted_tables), _file_of(storage))


def schedules(instance: dg.DagsterInstance) -> Database:
    """Return the database of sensors and their ticks."""
    storage: Any = instance.schedule_storage
    return Database(storage.connect, list(ScheduleStorageSqlMetadata.sorted_tables), _file_of(storage))


def of_single_runs(instance: dg.DagsterInstance, words: Collection[str]) -> Iterator[Database]:
    """Yield the databases of single runs whose bytes hold one of these subjects; a server has none."""
    storage: Any = instance.event_log_storage
    if not _is_sharded(storage):
        return
    index = Path(storage.path_for_shard("index"))
    for file in sorted(index.parent.glob("*.db")):
        one = Database(
            lambda run_id=file.stem: storage.run_connection(run_id),  # type: ignore[misc]
            [SqlEventLogStorageMetadata.tables["event_logs"]],
            file,
        )
        if file != index and one.holds(words):
            yield one


def captured_output(instance: dg.DagsterInstance, words: Collection[str]) -> Iterator[Path]:
    """Yield the files of what runs printed that hold one of these subjects; log stores that are no folder have none."""
    folder = getattr(instance.compute_log_manager, "_base_dir", None)
    if folder:
        yield from (f for f in sorted(Path(folder).rglob("*")) if f.suffix in (".out", ".err") and holds(f, words))


def holds(file: Path, words: Collection[str]) -> bool:
    """Tell whether the bytes of a file hold one of these subjects."""
    wanted = {word.encode() for word in words}
    if not wanted:
        return False
    lengths = sorted({len(word) for word in wanted})
    beginnings = {word[: lengths[0]] for word in wanted}  # or each place is cut as often as there are lengths
    try:
        with file.open("rb") as bytes_:
            piece = b""
            while more := bytes_.read(PIECE_BYTES):
                piece = piece[-lengths[-1] :] + more  # one that lies across two pieces is whole in the second
                starts = [
                    at for m in _SUBJECT.finditer(piece) if piece[(at := m.start()) : at + lengths[0]] in beginnings
                ]
                if any(piece[at : at + length] in wanted for at in starts for length in lengths):
                    return True
    except FileNotFoundError:
        pass
    return False


def _vacuum(file: Path) -> None:
    try:
        with closing(sqlite3.connect(file, timeout=BUSY_S, isolation_level=None)) as db:
            db.execute("VACUUM")
            [busy, *_] = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        cause = None
    except sqlite3.OperationalError as error:
        busy, cause = True, error
    if busy:
        raise TransientError(
            "dagster_busy",
            f"Dagster's database {file.name} is used without a pause, so deleted rows stay in its files; tried again.",
        ) from cause


def _is_sharded(storage: Any) -> bool:
    return hasattr(storage, "path_for_shard")


def _file_of(storage: Any) -> Path | None:
    said = getattr(storage, "_conn_string", None)
    database = sa.make_url(said).database if said and str(said).startswith("sqlite") else None
    return Path(database) if database and database != ":memory:" else None
