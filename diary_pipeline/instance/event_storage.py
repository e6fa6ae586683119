"""Dagster's SQLite storage, writing the asset events of a batch in two commits instead of three for each event.

Stock SQLite costs 50-100 ms an event; a batch of 64 recordings writes about 450 of them. Schema and rows are the stock
ones, so UI, GraphQL and `dagster instance migrate` work unchanged. The surprise: this leans on private methods of
Dagster 1.13 (pyproject.toml pins the minor), and stock `store_event_batch` never takes check evaluations, ours does.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Self, TypeVar

import sqlalchemy as sa
from dagster import AssetKey, DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as CheckStatus
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

CHUNK = 500
"""Rows a statement: SQLite allows 32,766 variables and a check row has ten."""

MATERIALIZED = frozenset({DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_OBSERVATION})
BATCHED = MATERIALIZED | {
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    DagsterEventType.ASSET_CHECK_EVALUATION,
    DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
}

Row = TypeVar("Row")
Stored = tuple[EventLogEntry, int, str]
"""An event, its id in the event log, and its serialised body."""


class BatchingSqliteEventLogStorage(SqliteEventLogStorage):
    """Stores any mix of asset and check events of a batch in one transaction a file."""

    batches_check_evaluations = True
    """What defs/report.py asks for before it hands over check evaluations in a batch."""

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store `events` in their order; anything but asset and check events takes the stock way."""
        if not events:
            return
        if not {_kind(e) for e in events} <= BATCHED:
            super().store_event_batch(events)
            return
        by_run: dict[str, list[EventLogEntry]] = {}
        for event in events:
            by_run.setdefault(event.run_id, []).append(event)
        for run_id, mine in by_run.items():
            with self.run_connection(run_id) as conn:  # the run's own file, which its log page reads
                for chunk in _chunks(mine):
                    conn.execute(SqlEventLogStorageTable.insert(), [self._event_to_row(e) for e in chunk])
        with self.index_transaction() as conn:
            self._write_index(conn, events)

    def _write_index(self, conn: sa.Connection, events: Sequence[EventLogEntry]) -> None:
        stored = self._insert(conn, events)
        made = [(e, i) for e, i, _ in stored if _kind(e) in MATERIALIZED]
        if made:
            self._store_asset_event_tags(conn, [e for e, _ in made], [i for _, i in made])
        newest: dict[tuple[str, DagsterEventType | None], tuple[EventLogEntry, int]] = {}
        for event, event_id, _ in stored:
            if (asset := _asset(event)) is not None:
                newest[(asset.to_string(), _kind(event))] = (event, event_id)
        # One update of asset_keys for each asset and kind, in a fixed order, so that two batches cannot deadlock on it.
        for _, (event, event_id) in sorted(newest.items(), key=lambda item: (item[0][0], item[1][1])):
            self._store_asset_event(conn, event, event_id)
        planned = [s for s in stored if _kind(s[0]) == DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED]
        for chunk in _chunks([row for s in planned for row in self._planned_rows(s)]):
            conn.execute(AssetCheckExecutionsTable.insert(), chunk)
        self._write_evaluations(conn, [s for s in stored if _kind(s[0]) == DagsterEventType.ASSET_CHECK_EVALUATION])

    def _insert(self, conn: sa.Connection, events: Sequence[EventLogEntry]) -> list[Stored]:
        table = SqlEventLogStorageTable
        statement = table.insert().returning(table.c.id, sort_by_parameter_order=True)
        stored: list[Stored] = []
        for chunk in _chunks(events):
            rows = [self._event_to_row(e) for e in chunk]
            ids = [row[0] for row in conn.execute(statement, rows)]
            stored.extend(zip(chunk, ids, (row["event"] for row in rows), strict=True))
        return stored

    def _planned_rows(self, stored: Stored) -> Iterator[dict[str, Any]]:
        event, event_id, body = stored
        data: Any = event.get_dagster_event().event_specific_data
        keys = list(data.partitions_subset.get_partition_keys()) if data.partitions_subset else [None]
        for key in keys:
            yield {
                "asset_key": data.asset_key.to_string(),
                "check_name": data.check_name,
                "partition": key,
                "run_id": event.run_id,
                "execution_status": CheckStatus.PLANNED.value,
                # Stock repeats the whole event, with all N keys, in each of N rows: O(N^2) bytes. Readers accept none.
                "evaluation_event": body if len(keys) == 1 else None,
                "evaluation_event_timestamp": self._event_insert_timestamp(event),  # type: ignore[no-untyped-call]
                "evaluation_event_storage_id": event_id,
            }

    def _write_evaluations(self, conn: sa.Connection, evaluated: Sequence[Stored]) -> None:
        table, rows = AssetCheckExecutionsTable, []
        mine: dict[tuple[str, str, str], set[str | None]] = {}
        for event, event_id, body in evaluated:
            data: Any = event.get_dagster_event().event_specific_data
            target = data.target_materialization_data
            rows.append(
                {
                    "asset_key": data.asset_key.to_string(),
                    "check_name": data.check_name,
                    "run_id": event.run_id,
                    "partition": data.partition,
                    "execution_status": (CheckStatus.SUCCEEDED if data.passed else CheckStatus.FAILED).value,
                    "evaluation_event": body,
                    "evaluation_event_timestamp": self._event_insert_timestamp(event),  # type: ignore[no-untyped-call]
                    "evaluation_event_storage_id": event_id,
                    "materialization_event_storage_id": target.storage_id if target else None,
                }
            )
            mine.setdefault((rows[-1]["asset_key"], data.check_name, event.run_id), set()).add(data.partition)
        # (asset_key, check_name, run_id, partition) is unique: this run's planned rows go, and its earlier results when
        # a step is retried.
        for (asset, check, run), partitions in mine.items():
            of_run = sa.and_(table.c.asset_key == asset, table.c.check_name == check, table.c.run_id == run)
            if None in partitions:
                conn.execute(table.delete().where(of_run, table.c.partition.is_(None)))
            for chunk in _chunks(sorted(p for p in partitions if p is not None)):
                conn.execute(table.delete().where(of_run, table.c.partition.in_(chunk)))
        for some in _chunks(rows):
            conn.execute(table.insert(), some)


class BatchingSqliteStorage(DagsterSqliteStorage):
    """`storage.custom` of the embedded dagster.yaml: run, event and schedule storage in one folder."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = BatchingSqliteEventLogStorage(self._event_log_storage._base_dir)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """Build from the `config` mapping of dagster.yaml (`base_dir`)."""
        return cls.from_local(inst_data=inst_data, **config_value)


def _kind(event: EventLogEntry) -> DagsterEventType | None:
    return event.dagster_event.event_type if event.dagster_event else None


def _asset(event: EventLogEntry) -> AssetKey | None:
    if _kind(event) in (DagsterEventType.ASSET_CHECK_EVALUATION, DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED):
        return None
    return event.get_dagster_event().asset_key


def _chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    return (rows[i : i + CHUNK] for i in range(0, len(rows), CHUNK))
