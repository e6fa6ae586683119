"""Dagster's SQLite storage, writing the asset events of a batch in two commits instead of three for each event.

Stock SQLite costs 50-100 ms an event; a batch of 64 recordings writes about 450 of them. What is written stands in
batched_events.py. The surprise: SQLite has a file for each run beside the index over all, and both take every event.
"""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

from diary_pipeline.instance.batched_events import BatchedEvents, batch_what_dagster_plans, chunks

LOCK_FILE = "schema.lock"


class BatchingSqliteEventLogStorage(BatchedEvents, SqliteEventLogStorage):
    """Stores any mix of asset and check events of a batch in one transaction a file."""

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store `events` in their order; anything but asset and check events takes the stock way."""
        if not events:
            return
        if not self._takes(events):
            super().store_event_batch(events)
            return
        by_run: dict[str, list[EventLogEntry]] = {}
        for event in events:
            by_run.setdefault(event.run_id, []).append(event)
        for run_id, mine in by_run.items():
            with self.run_connection(run_id) as conn:  # the run's own file, which its log page reads
                for chunk in chunks(mine):
                    conn.execute(SqlEventLogStorageTable.insert(), [self._event_to_row(e) for e in chunk])
        with self.index_transaction() as conn:
            self._write_index(conn, events)


class BatchingSqliteStorage(DagsterSqliteStorage):
    """`storage.custom` of the embedded dagster.yaml: run, event and schedule storage in one folder."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        with _alone(Path(base_dir)):
            super().__init__(base_dir, inst_data)
            self._event_log_storage = BatchingSqliteEventLogStorage(self._event_log_storage._base_dir)
        batch_what_dagster_plans()

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """Build from the `config` mapping of dagster.yaml (`base_dir`)."""
        return cls.from_local(inst_data=inst_data, **config_value)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time make or look over the schema.

    Webserver, daemon and code server start at once, and of two that make it together one stops with half a schema
    ("table runs already exists") or alembic's "more than one head".
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
