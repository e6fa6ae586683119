"""How a run gets its recordings: by the batch row its config points at, or by the partitions chosen in the UI.

The keys are not in tags or config: a batch of thousands would be stored with every run and every tick. Claiming is the
ledger's business; what is here only translates between a Dagster run and a claim.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg

from diary_pipeline.core.batch import Batch, Result, Stage
from diary_pipeline.core.errors import DiaryError, Fenced, Stopped
from diary_pipeline.ledger import batches
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.leases import Heartbeat

LOG_EVERY_S = 15.0


class BatchConfig(dg.Config):
    """Points at a planned batch; empty for runs started from the UI, GraphQL or a backfill."""

    batch_id: str = ""
    attempt: int = 1
    show_again: bool = False
    """The batch is closed, but its run died before it told Dagster: find what is stored and tell."""


@dataclass(frozen=True)
class Leases:
    """How runs hold what they work on."""

    ledger: Ledger
    lease_s: float
    """How long a worker may be silent before its recordings are taken over."""
    retry_s: float
    """After how long work of a run that raised is tried again; doubled with each attempt."""
    watcher: Callable[[Result], None]
    """Hears of each recording done in this process: the progress of `ingest --wait`."""

    def alive(self, run_id: str) -> Heartbeat:
        """Show that a run lives while the block runs; one that is silent is failed by the sensor `uploads`."""
        return Heartbeat(self.ledger, run_id, self.lease_s)

    @contextmanager
    def batch(
        self, context: dg.AssetExecutionContext, config: BatchConfig, stage: Stage
    ) -> Iterator[tuple[Batch, Heartbeat]]:
        """Claim this run's recordings and keep the leases alive; what was not committed is given back at the end."""
        with self.alive(context.run.run_id) as heart:
            batch = self._claim(context, config, stage)
            if batch.held:
                context.log.info(f"{len(batch.held)} recordings are held by another live run and were left to it")
            reason, tried = None, True
            try:
                yield batch, heart
            except DiaryError as error:
                reason, tried = (error.code, error.message), not isinstance(error, Stopped)
                raise
            finally:
                batches.release(self.ledger, batch, reason, retry_s=self.retry_s, tried=tried)

    def progress(self, context: dg.AssetExecutionContext, batch: Batch) -> Callable[[Result], None]:
        """Tell the run's log now and then how far it is, and the watcher of each recording.

        Not a line a recording: each is an event to store, and a batch may hold thousands.
        """
        done, told_at = 0, time.monotonic()

        def on_result(result: Result) -> None:
            nonlocal done, told_at
            done += 1
            self.watcher(result)
            if time.monotonic() - told_at >= LOG_EVERY_S:
                told_at = time.monotonic()
                context.log.info(f"{done} of {len(batch.leases)} recordings")

        return on_result

    def _claim(self, context: dg.AssetExecutionContext, config: BatchConfig, stage: Stage) -> Batch:
        run_id = context.run.run_id
        if not config.batch_id:
            return batches.claim_keys(self.ledger, stage, list(context.partition_keys), run_id, self.lease_s)
        if config.show_again:
            with self.ledger.reading() as conn:
                keys = batches.keys_of(conn, config.batch_id)
            batch = batches.claim_keys(self.ledger, stage, keys, run_id, self.lease_s)
            batches.mark_reported(self.ledger, config.batch_id)  # from here on this run's own batch owes the telling
            return batch
        try:
            return batches.claim_batch(self.ledger, config.batch_id, config.attempt, run_id, self.lease_s)
        except Fenced as error:  # a late twin of a run that did the work: nothing to do is no failure
            context.log.info(error.message)
            return Batch(config.batch_id, stage, ())
