"""Planned batches become run requests, and batches whose run died are asked for again.

The one retry loop of the platform (Dagster's `run_retries` is off): a batch moves on to attempt n+1 only when Dagster
says that the run of attempt n is absent or has ended. The surprise: a batch that is requested but not yet claimed is
requested again in every tick; its run key makes that free, and no crash between two steps can lose it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import dagster as dg

from diary_pipeline.catalogue.commit import Failed, commit_notes, commit_transcripts
from diary_pipeline.core import tags
from diary_pipeline.core.batch import Batch, Result, Stage
from diary_pipeline.defs.events import mark_failed
from diary_pipeline.ledger import batches, leases, recordings
from diary_pipeline.ledger.batches import OpenBatch
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.planner import PlanLimits
from diary_pipeline.storage.store import ObjectStore

OPS: Mapping[Stage, str] = {"transcript": "speech", "note": "note"}
ASSETS: Mapping[Stage, tuple[str, ...]] = {"transcript": ("raw_audio", "transcript"), "note": ("diary_note",)}
HOLDER = "dispatcher"
"""Who claims recordings only to say that they failed."""


@dataclass(frozen=True)
class Dispatcher:
    """Turns ready work of the ledger into run requests."""

    ledger: Ledger
    store: ObjectStore
    limits: Mapping[Stage, PlanLimits]
    lease_s: float
    max_attempts: int
    clock: Callable[[], float] = time.time

    def tick(self, instance: dg.DagsterInstance, stage: Stage) -> list[dg.RunRequest]:
        """Recover, plan, and ask for every batch of `stage` that no run has claimed yet."""
        for batch in self._open(stage):
            if not self._is_lost(instance, batch):
                continue
            if batch.attempt < self.max_attempts:
                batches.next_attempt(self.ledger, batch.id, batch.attempt)
            else:
                claimed = batches.claim_batch(self.ledger, batch.id, batch.attempt, HOLDER, self.lease_s)
                self._give_up(instance, claimed)
        with self.ledger.reading() as conn:  # given back again and again by runs that raised
            exhausted = batches.exhausted(conn, stage, self.max_attempts)
        if exhausted:
            self._give_up(instance, batches.claim_keys(self.ledger, stage, exhausted, HOLDER, self.lease_s))
        batches.plan_waiting(self.ledger, stage, self.limits[stage])
        waiting = [b for b in self._open(stage) if b.state in ("planned", "requested")]
        for batch in waiting:
            with self.ledger.reading() as conn:
                keys = batches.keys_of(conn, batch.id)
            # Not SensorResult.dynamic_partitions_requests: the daemon asks the database for every key one by one.
            instance.add_dynamic_partitions(tags.PARTITIONS, keys)
        batches.mark_requested(self.ledger, [b.id for b in waiting])
        return [_request(b) for b in waiting]

    def fail_dead_runs(self, instance: dg.DagsterInstance) -> list[str]:
        """Fail the runs that a dead machine left STARTED, so that they hold no pool slot; return their ids."""
        dead = []
        for record in instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
            run_id, started_at = record.dagster_run.run_id, record.start_time or record.create_timestamp.timestamp()
            with self.ledger.reading() as conn:
                alive = leases.holder_is_live(conn, run_id)
            if alive or self.clock() - started_at < self.lease_s:
                continue
            instance.report_run_failed(
                record.dagster_run,
                f"No sign of life from this run for {self.lease_s:.0f} s: its process is gone. "
                "What it had not committed is planned again.",
            )
            dead.append(run_id)
        return dead

    def _open(self, stage: Stage) -> list[OpenBatch]:
        with self.ledger.reading() as conn:
            return batches.open_batches(conn, stage)

    def _is_lost(self, instance: dg.DagsterInstance, batch: OpenBatch) -> bool:
        """Whether the run that should carry this attempt is absent or ended while recordings are still open."""
        if batch.state == "planned" or batch.lease_live:
            return False
        wanted = {tags.BATCH: batch.id, tags.ATTEMPT: str(batch.attempt)}
        runs = instance.get_runs(dg.RunsFilter(tags=wanted), limit=1)
        if not runs:  # requested and not there yet: the request is repeated; claimed and not there: deleted
            return batch.state == "claimed"
        return runs[0].is_finished

    def _give_up(self, instance: dg.DagsterInstance, batch: Batch) -> None:
        """Fail the recordings whose every attempt died, so that they end and do not take others down for ever."""
        message = f"Its run died {self.max_attempts} times; look at the runs, then launch the partition again."
        with self.ledger.reading() as conn:
            failed = [
                Failed(recordings.get(conn, lease.key), lease, batch.stage, "worker_lost", message)
                for lease in batch.leases
            ]
        commit = commit_transcripts if batch.stage == "transcript" else commit_notes
        commit(self.ledger, self.store, (), failed)
        results = [Result(f.recording.key, "failed", f.code, f.message) for f in failed]
        mark_failed(instance, f"batch {batch.id}", results, [dg.AssetKey(a) for a in ASSETS[batch.stage]])


def _request(batch: OpenBatch) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{batch.id}/{batch.attempt}",
        run_config={"ops": {OPS[batch.stage]: {"config": {"batch_id": batch.id, "attempt": batch.attempt}}}},
        tags={
            tags.BATCH: batch.id,
            tags.ATTEMPT: str(batch.attempt),
            tags.RECORDINGS_IN_BATCH: str(batch.recordings),
            tags.DEFER_ASSET_EVENTS: "true",
            # Any key of the batch: without it the step of an asset whose upstream is partitioned fails before its first
            # line, from the second batch on.
            tags.PARTITION: batch.first_key,
            tags.PRIORITY: str(batch.priority),
        },
    )
