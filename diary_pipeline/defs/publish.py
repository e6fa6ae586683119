"""The job `publish`: what the ledger has committed becomes visible in the file that users open."""

import dagster as dg

from diary_pipeline.defs.held import Leases
from diary_pipeline.wiring.publish_process import PublishProcess


@dg.op(description="Start `diary publish` in a process of its own and wait for it.")
def fold_and_swap(
    context: dg.OpExecutionContext,
    leases: dg.ResourceParam[Leases],
    publisher: dg.ResourceParam[PublishProcess],
) -> None:
    """Publish everything committed so far; the figures stand in the metadata of its output, freshness among them."""
    with leases.alive(context.run_id):
        context.add_output_metadata({name: value for name, value in publisher().items() if value is not None})


@dg.job(
    description="Fold new commits into catalogue.duckdb. Requested by the sensor `publish` when there is something."
)
def publish() -> None:
    """One op: see fold_and_swap."""
    fold_and_swap()
