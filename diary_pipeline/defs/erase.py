"""The job `erase` and its sensor: what was hidden in the ledger goes from every place.

Neither config nor tags of the run say what is erased: it asks the ledger what waits.
"""

import time

import dagster as dg

from diary_pipeline.catalogue.dbt_notes.build import Marts
from diary_pipeline.defs.held import Leases
from diary_pipeline.defs.marts import build_marts
from diary_pipeline.defs.resources import Eraser
from diary_pipeline.defs.wipe.partitions import DagsterPartitions
from diary_pipeline.ledger import erasures as ledger_erasures
from diary_pipeline.ledger.connect import Ledger

INTERVAL_S = 15
AFTER_FAILURE_S = 60.0


@dg.op(description="Empty every place of what waits to be erased, and write the receipts.")
def empty_every_place(
    context: dg.OpExecutionContext, leases: dg.ResourceParam[Leases], eraser: dg.ResourceParam[Eraser]
) -> None:
    """Finish the erasures that nobody's work stands in the way of."""
    with leases.alive(context.run_id):
        done = eraser(DagsterPartitions(context.instance))
    context.log.info(f"{len(done.receipts)} erasures finished, {done.waiting} wait for runs that are at work on them")


@dg.job(description="Remove the bytes of erased recordings. Requested by the sensor `erasures` when something waits.")
def erase() -> None:
    """One op: see empty_every_place."""
    empty_every_place()


@dg.sensor(job=erase, minimum_interval_seconds=INTERVAL_S, default_status=dg.DefaultSensorStatus.RUNNING)
def erasures(context: dg.SensorEvaluationContext, ledger: dg.ResourceParam[Ledger]) -> dg.SensorResult | dg.SkipReason:
    """Ask for a run when an erasure waits and nobody is at work on what it is about; one at a time."""
    with ledger.reading() as conn:
        waiting = ledger_erasures.unfinished(conn)
        ready = [e for e in waiting if not ledger_erasures.at_work(conn, e)]
    if not ready:
        return dg.SkipReason(f"{len(waiting)} erasures wait for runs at work" if waiting else "nothing to erase")
    newest = context.instance.get_run_records(dg.RunsFilter(job_name=erase.name), limit=1)
    if newest and not newest[0].dagster_run.is_finished:
        return dg.SkipReason(f"{len(ready)} erasures to finish; a run is at it")
    if newest and time.time() - (newest[0].end_time or 0) < AFTER_FAILURE_S:
        # After a failure, and after a run that found its recordings in a run of Dagster's queue.
        return dg.SkipReason(f"{len(ready)} erasures to finish; the last run left them, tried again in a minute")
    return dg.SensorResult(run_requests=[dg.RunRequest()])


@dg.sensor(job=build_marts, minimum_interval_seconds=INTERVAL_S, default_status=dg.DefaultSensorStatus.RUNNING)
def marts_after_erasure(
    ledger: dg.ResourceParam[Ledger], marts: dg.ResourceParam[Marts]
) -> dg.SensorResult | dg.SkipReason:
    """Ask for the marts that an erasure has removed, once for each; every night they are built for everybody anyway."""
    with ledger.reading() as conn:
        erased = ledger_erasures.finished(conn, 1)
    if not erased or marts.file.exists():
        return dg.SkipReason("no marts are missing because of an erasure")
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"after-{erased[0].id}")])
