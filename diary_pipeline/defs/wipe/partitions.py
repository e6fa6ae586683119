"""Taking recordings out of Dagster: the partition, its events and checks, and every mention of it in what stays.

Runs carry batches, so a run is never deleted: that would take other recordings' history along. What names an erased
recording in a run, backfill or tick gets another word in its place.

What surprises: nothing here knows where Dagster writes a key. Every text column of every table is looked through, in
one pass for each fifty recordings, so that what a later Dagster adds is found too.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    AssetKeyTable,
    DynamicPartitionsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.runs.schema import BulkActionsTable, RunsTable, RunTagsTable

from diary_pipeline.core.errors import UsageError
from diary_pipeline.defs.wipe import databases
from diary_pipeline.defs.wipe.databases import WORDS_A_SCAN, Database
from diary_pipeline.intake.names import path_of, uri_of
from diary_pipeline.upkeep.partitions import Named

ERASED = "erased"
INGEST = "ingest"
ENDED_BACKFILLS = ("COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")
MATERIALIZED = dg.DagsterEventType.ASSET_MATERIALIZATION.value


@dataclass(frozen=True)
class DagsterPartitions:
    """upkeep's `Partitions` on an instance."""

    instance: dg.DagsterInstance

    def unfinished_runs(self, named: Named) -> int:
        """Count the runs and backfills that name one of them and have not ended."""
        tagged = sa.select(sa.func.count(RunsTable.c.run_id.distinct())).join_from(
            RunsTable, RunTagsTable, RunTagsTable.c.run_id == RunsTable.c.run_id
        )
        going = RunsTable.c.status.in_([status.value for status in NOT_FINISHED_STATUSES])
        found = 0
        runs = databases.runs(self.instance)
        with runs.connect() as conn:
            for words in _some(named.subjects):
                found += conn.execute(tagged.where(going, RunTagsTable.c.value.in_(words))).scalar_one()
                asked = [BulkActionsTable.c.body.contains(word, autoescape=True) for word in words]
                backfills = sa.select(sa.func.count()).select_from(BulkActionsTable)
                open_ones = BulkActionsTable.c.status.not_in(ENDED_BACKFILLS) & sa.or_(*asked)
                found += conn.execute(backfills.where(open_ones)).scalar_one()
        return found

    def count(self, named: Named) -> Mapping[str, int]:
        """Count partitions, events, checks, other rows that mention them, and files whose bytes still hold them."""
        counts: dict[str, int] = {}

        def add(what: str, n: int) -> None:
            if n:
                counts[what] = counts.get(what, 0) + n

        events = databases.events(self.instance)
        for words in _some(named.subjects):
            with events.connect() as conn:
                for what, table in _OF_PARTITIONS.items():
                    mine = sa.select(sa.func.count()).select_from(table).where(table.c.partition.in_(words))
                    add(what, conn.execute(mine).scalar_one())
            for database in self._shared:
                with database.connect() as conn:
                    for table in database.tables:
                        if table.name not in _OF_PARTITION_NAMES:
                            add("mentions", len(database.rows_with(conn, table, words)))
        add("runs_of_ingest", len(self._handed_in(named)))
        files = [*self._shared, *databases.of_single_runs(self.instance, named.subjects)]
        add("files", sum(f.holds(named.subjects) for f in files))
        add("outputs", len(list(databases.captured_output(self.instance, named.subjects))))
        return counts

    def forget(self, named: Named) -> None:
        """Remove all of it; the runs of other recordings stay whole."""
        for file in databases.captured_output(self.instance, named.subjects):
            text = file.read_bytes().decode(errors="replace")
            file.write_text("".join(line for line in text.splitlines(True) if not _mentions(line, named.subjects)))
        self._change_config(named)
        single = list(databases.of_single_runs(self.instance, named.subjects))
        for words in _some(named.subjects):
            for database in single:
                with database.writing() as conn:
                    conn.execute(_EVENTS.delete().where(_EVENTS.c.partition.in_(words)))
                _replace(database, words)
            self._drop_partitions(words)
            for database in self._shared:
                _replace(database, words)
        if named.subjects:
            for database in (*self._shared, *single):
                database.vacuum()

    @property
    def _shared(self) -> Sequence[Database]:
        return (databases.events(self.instance), databases.runs(self.instance), databases.schedules(self.instance))

    def _drop_partitions(self, words: Sequence[str]) -> None:
        with databases.events(self.instance).writing() as conn:
            gone = sa.select(_EVENTS.c.id).where(_EVENTS.c.partition.in_(words))
            conn.execute(AssetEventTagsTable.delete().where(AssetEventTagsTable.c.event_id.in_(gone)))
            for table in _OF_PARTITIONS.values():
                conn.execute(table.delete().where(table.c.partition.in_(words)))
            _show_newest(conn, words)

    def _handed_in(self, named: Named) -> list[tuple[dg.DagsterRun, dict[str, str]]]:
        """Return the runs of the job `ingest` whose config names a path or a person, with what takes its place."""
        if not named.uris and not named.owners:
            return []
        found = []
        for run in self.instance.get_runs(dg.RunsFilter(job_name=INGEST)):
            config: Any = run.run_config
            said = config.get("ops", {}).get(INGEST, {}).get("config", {})
            paths = [uri for uri in said.get("uris", ()) if _uri(uri) in named.uris]
            people = [said["user_id"]] if said.get("user_id") in named.owners else []
            words = {json.dumps(word): json.dumps(ERASED) for word in (*paths, *people)}
            if words:
                found.append((run, words))
        return found

    def _change_config(self, named: Named) -> None:
        for run, words in self._handed_in(named):
            with databases.runs(self.instance).writing() as conn:
                mine = RunsTable.c.run_id == run.run_id
                body = str(conn.execute(sa.select(RunsTable.c.run_body).where(mine)).scalar_one())
                for word, other in words.items():
                    body = body.replace(word, other)
                conn.execute(RunsTable.update().where(mine).values(run_body=body))


_EVENTS = SqlEventLogStorageTable
_OF_PARTITIONS: Mapping[str, sa.Table] = {
    "partitions": DynamicPartitionsTable,
    "events": SqlEventLogStorageTable,
    "checks": AssetCheckExecutionsTable,
}
"""Tables with a column `partition`, whose rows tell of nothing else."""
_OF_PARTITION_NAMES = frozenset({DynamicPartitionsTable.name, AssetCheckExecutionsTable.name})


def _uri(said: str) -> str:
    """Return what a submission calls this place."""
    try:
        return uri_of(path_of(said))
    except UsageError:
        return said


def _show_newest(conn: sa.Connection, words: Sequence[str]) -> None:
    """Let an asset show its newest event that is left, where the one it shows is of an erased recording."""
    shown = [AssetKeyTable.c.last_materialization.contains(word, autoescape=True) for word in words]
    cached = [AssetKeyTable.c.cached_status_data.contains(word, autoescape=True) for word in words]
    for row in conn.execute(sa.select(AssetKeyTable.c.id, AssetKeyTable.c.asset_key).where(sa.or_(*shown))).all():
        left = sa.select(_EVENTS.c.event).where(
            _EVENTS.c.asset_key == row.asset_key, _EVENTS.c.dagster_event_type == MATERIALIZED
        )
        newest = conn.execute(left.order_by(_EVENTS.c.id.desc()).limit(1)).scalar()
        mine = AssetKeyTable.update().where(AssetKeyTable.c.id == row.id)
        conn.execute(mine.values(last_materialization=newest, **({} if newest else {"last_run_id": None})))
    conn.execute(AssetKeyTable.update().where(sa.or_(*cached)).values(cached_status_data=None))


def _replace(database: Database, words: Sequence[str]) -> None:
    """Put another word in the place of these, wherever they stand."""
    for table in database.tables:
        with database.writing() as conn:
            for row in database.rows_with(conn, table, words):
                values = {name: _without(text, words) for name, text in row._mapping.items() if isinstance(text, str)}
                conn.execute(table.update().where(table.c.id == row.id).values(**values))


def _without(text: str, words: Sequence[str]) -> str:
    for word in words:
        text = text.replace(word, ERASED)
    return text


def _mentions(line: str, words: Collection[str]) -> bool:
    return any(word in line for word in words)


def _some(words: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(words)
    return (ordered[i : i + WORDS_A_SCAN] for i in range(0, len(ordered), WORDS_A_SCAN))
