"""Planned batches become run requests; what recovery.py found lost is planned among them.

The surprise: a batch that is requested but not yet claimed is requested again in every tick; its run key makes that
free, and no crash between two steps can lose it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from diary_pipeline.core import tags
from diary_pipeline.core.batch import Stage
from diary_pipeline.defs.recovery import Recovery
from diary_pipeline.ledger import batches
from diary_pipeline.ledger.batches import ClosedBatch, OpenBatch
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.planner import PlanLimits

OPS: Mapping[Stage, str] = {"transcript": "speech", "note": "note"}
POOLS: Mapping[Stage, str] = {"transcript": tags.GPU_POOL, "note": tags.LLM_POOL}
SHOWN_AGAIN_S = 600.0
"""After so long a batch whose showing died too is shown once more."""


@dataclass(frozen=True)
class Dispatcher:
    """Turns ready work of the ledger into run requests."""

    ledger: Ledger
    recovery: Recovery
    limits: Mapping[Stage, PlanLimits]

    def tick(self, instance: dg.DagsterInstance, stage: Stage) -> list[dg.RunRequest]:
        """Recover, plan, and ask for every batch of `stage` that no run has claimed yet."""
        self.recovery.recover(instance, stage)
        batches.plan_waiting(self.ledger, stage, self.limits[stage])
        with self.ledger.reading() as conn:
            waiting = [b for b in batches.open_batches(conn, stage) if b.state in ("planned", "requested")]
            keys = {b.id: batches.keys_of(conn, b.id) for b in waiting}
        if waiting:
            _limit_pool(instance, POOLS[stage])
        for batch in waiting:
            # Not SensorResult.dynamic_partitions_requests: the daemon asks the database for every key one by one.
            instance.add_dynamic_partitions(tags.PARTITIONS, keys[batch.id])
        batches.mark_requested(self.ledger, [b.id for b in waiting])
        return [_request(b) for b in waiting] + [self._show(b, stage) for b in self.recovery.unshown(instance, stage)]

    def _show(self, batch: ClosedBatch, stage: Stage) -> dg.RunRequest:
        with self.ledger.reading() as conn:
            first_key = batches.keys_of(conn, batch.id)[0]
        return dg.RunRequest(
            run_key=f"{batch.id}/shown/{int(self.recovery.clock() // SHOWN_AGAIN_S)}",
            run_config={"ops": {OPS[stage]: {"config": {"batch_id": batch.id, "show_again": True}}}},
            tags={tags.DEFER_ASSET_EVENTS: "true", tags.PARTITION: first_key},
        )


def _limit_pool(instance: dg.DagsterInstance, pool: str) -> None:
    # Dagster's run queue gives a pool its default limit when it first meets it, after it has let through every run that
    # waits: on a new home two models were loaded side by side.
    limit, events = instance.global_op_concurrency_default_limit, instance.event_log_storage
    if limit and pool not in events.get_concurrency_keys():
        events.initialize_concurrency_limit_to_default(pool)


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
