"""The asset events of a batch, written in one transaction: a mixin of Dagster's event log storages for any database.

Opening a transaction is the storages' business (event_storage.py on SQLite, postgres_storage.py). Schema and rows are
the stock ones, so UI, GraphQL and `dagster instance migrate` work unchanged. The surprise: this leans on private
methods of Dagster 1.13 (pyproject.toml pins the minor), and stock `store_event_batch` never takes check evaluations,
ours does.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from dagster import AssetKey, DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as CheckStatus
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable

CHUNK = 500
"""Rows a statement: SQLite allows 32,766 variables and a check row has ten."""
PLANNED_A_WRITE = "1000"
"""Of the events that Dagster plans for one run: two transactions for the largest run of a backfill."""

MATERIALIZED = frozenset({DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_OBSERVATION})
BATCHED = MATERIALIZED | {
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    DagsterEventType.ASSET_CHECK_EVALUATION,
    DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
}

Row = TypeVar("Row")
Stored = tuple[EventLogEntry, int, str]
"""An event, its id in the event log, and its serialised body."""


class BatchedEvents(SqlEventLogStorage):
    """Stores any mix of asset and check events of a batch, in their order."""

    batches_check_evaluations = True
    """What defs/events.py asks for before it hands over check evaluations in a batch."""

    def _takes(self, events: Sequence[EventLogEntry]) -> bool:
        """Whether all are asset and check events; others go the stock way."""
        return {_kind(e) for e in events} <= BATCHED

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
        for chunk in chunks([row for s in planned for row in self._planned_rows(s)]):
            conn.execute(AssetCheckExecutionsTable.insert(), chunk)
        self._write_evaluations(conn, [s for s in stored if _kind(s[0]) == DagsterEventType.ASSET_CHECK_EVALUATION])

    def _insert(self, conn: sa.Connection, events: Sequence[EventLogEntry]) -> list[Stored]:
        table = SqlEventLogStorageTable
        statement = table.insert().returning(table.c.id, sort_by_parameter_order=True)
        stored: list[Stored] = []
        for chunk in chunks(events):
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
            for chunk in chunks(sorted(p for p in partitions if p is not None)):
                conn.execute(table.delete().where(of_run, table.c.partition.in_(chunk)))
        for some in chunks(rows):
            conn.execute(table.insert(), some)


def batch_what_dagster_plans() -> None:
    """Let Dagster hand over what it plans for a run in one piece, unless somebody said how many events a piece holds.

    A backfill run of 250 recordings has 750 planned events, each 50 ms when they come one by one on SQLite.
    """
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", PLANNED_A_WRITE)


def _kind(event: EventLogEntry) -> DagsterEventType | None:
    return event.dagster_event.event_type if event.dagster_event else None


def _asset(event: EventLogEntry) -> AssetKey | None:
    if _kind(event) in (DagsterEventType.ASSET_CHECK_EVALUATION, DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED):
        return None
    return event.get_dagster_event().asset_key


def chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    return (rows[i : i + CHUNK] for i in range(0, len(rows), CHUNK))
