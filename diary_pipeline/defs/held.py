"""How a run gets its recordings: by the batch row its config points at, or by the partitions chosen in the UI.

The keys are not in tags or config: a batch of thousands would be stored with every run and every tick. Claiming is the
ledger's business; what is here only translates between a Dagster run and a claim.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from diary_pipeline.core.batch import Batch, Stage
from diary_pipeline.ledger import batches
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.leases import Heartbeat


class BatchConfig(dg.Config):
    """Points at a planned batch; empty for runs started from the UI, GraphQL or a backfill."""

    batch_id: str = ""
    attempt: int = 1


@contextmanager
def held_batch(
    context: dg.AssetExecutionContext, config: BatchConfig, ledger: Ledger, stage: Stage, lease_s: float
) -> Iterator[Batch]:
    """Claim this run's recordings and keep the leases alive; whatever was not committed is given back at the end."""
    holder = context.run_id
    with Heartbeat(ledger, holder, lease_s):
        if config.batch_id:
            batch = batches.claim_batch(ledger, config.batch_id, config.attempt, holder, lease_s)
        else:
            batch = batches.claim_keys(ledger, stage, list(context.partition_keys), holder, lease_s)
        if batch.skipped:
            context.log.info(f"{len(batch.skipped)} recordings are held by another live run and were left to it")
        try:
            yield batch
        finally:
            batches.release(ledger, batch)
