"""The job `publish`: what the ledger has committed becomes visible in the file that users open."""

import dagster as dg

from diary_pipeline.defs.resources import Leases, PublishProcess
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.leases import Heartbeat


@dg.op(description="Start `diary publish` in a process of its own and wait for it.")
def fold_and_swap(
    context: dg.OpExecutionContext,
    ledger: dg.ResourceParam[Ledger],
    leases: dg.ResourceParam[Leases],
    publisher: dg.ResourceParam[PublishProcess],
) -> None:
    """Publish everything committed so far."""
    with Heartbeat(ledger, context.run_id, leases.lease_s):
        context.log.info(publisher())


@dg.job(
    description="Fold new commits into catalogue.duckdb. Requested by the sensor `publish` when there is something."
)
def publish() -> None:
    """One op: see fold_and_swap."""
    fold_and_swap()
