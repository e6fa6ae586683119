"""What keeps a deployment in order by the clock: the asset `catalogue_upkeep` and the job `reconcile`.

Both are the upkeep room's verbs; when they run is schedules.py's business. Counts only go into metadata: what differs
has names, and those stay in `diary reconcile`.
"""

import dagster as dg

from diary_pipeline.core.errors import PermanentError
from diary_pipeline.defs.held import Leases
from diary_pipeline.defs.resources import Reconciler
from diary_pipeline.upkeep.growth import Growth


@dg.asset(description="The catalogue's log and file, kept small; its metadata say what that took.")
def catalogue_upkeep(
    context: dg.AssetExecutionContext, leases: dg.ResourceParam[Leases], growth: dg.ResourceParam[Growth]
) -> dg.MaterializeResult[None]:
    """Merge small objects, and have the published file rewritten when a fifth of its rows are dead."""
    with leases.alive(context.run.run_id):
        return dg.MaterializeResult(metadata=dict(growth()))


catalogue_maintenance = dg.define_asset_job(
    "catalogue_maintenance", [catalogue_upkeep], description="Keep the catalogue's log and file small. Nightly."
)


class ReconcileConfig(dg.Config):
    """How far to look."""

    months: int = 0
    """Months that are looked at, this one included; 0: everything."""


@dg.op(description="Compare object store, ledger, published file and audio, and mend what differs.")
def compare_and_mend(
    context: dg.OpExecutionContext,
    config: ReconcileConfig,
    leases: dg.ResourceParam[Leases],
    reconciler: dg.ResourceParam[Reconciler],
) -> None:
    """Reconcile; fails when something waits or may be lost until somebody sees to it."""
    with leases.alive(context.run_id):
        done = reconciler(config.months)
    context.add_output_metadata({**done.counts, "seconds": round(done.seconds, 3)})
    if done.urgent:
        raise PermanentError(
            "stores_differ", f"{len(done.urgent)} differences could not be mended: `diary reconcile` names them."
        )


@dg.job(description="Find and mend what differs between the stores. Hourly, and once a night without a bound.")
def reconcile() -> None:
    """One op: see compare_and_mend."""
    compare_and_mend()
