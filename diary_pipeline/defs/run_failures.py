"""The sensor that tells the deployment's operators of runs that failed, through the ledger's outbox.

What is said holds ids, codes and counts. The surprise: this is no `run_failure_sensor`. That one moves on when its body
raises, so a run that failed because the database was away would be told to nobody, and it never sees the marker runs
that stand for failed partitions, which no code location has launched. The cursor moves here when the events are
committed; whoever dies between tells them again under the same id.
"""

from dataclasses import dataclass

import dagster as dg
from dagster import DagsterEventType, RunStatusChangeRecordsFilter

from diary_pipeline.core import tags
from diary_pipeline.defs.events import failed_recordings
from diary_pipeline.defs.notes import write_notes
from diary_pipeline.defs.recovery import is_ours
from diary_pipeline.ledger.batches import failed_codes
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.outbox import put

INTERVAL_S = 30
AT_ONCE = 50
RUN_FAILED, RECORDINGS_FAILED = "run.failed", "recordings.failed"


@dataclass(frozen=True)
class RunFailureWebhook:
    """Who is told."""

    url: str | None


@dg.sensor(job=write_notes, minimum_interval_seconds=INTERVAL_S, default_status=dg.DefaultSensorStatus.RUNNING)
def run_failures(
    context: dg.SensorEvaluationContext,
    ledger: dg.ResourceParam[Ledger],
    run_failure_webhook: dg.ResourceParam[RunFailureWebhook],
) -> dg.SkipReason:
    """Tell of each failed run once, and of the failed recordings of a batch once; asks for no run."""
    if run_failure_webhook.url is None:
        context.update_cursor("")
        return dg.SkipReason("nobody wants to be told: DIARY_RUN_FAILURE_WEBHOOK is not set")
    if not context.cursor:  # what failed before somebody wanted to know is old news
        newest = context.instance.fetch_run_status_changes(DagsterEventType.RUN_FAILURE, limit=1).records
        context.update_cursor(str(newest[0].storage_id if newest else 0))
        return dg.SkipReason("from here on failed runs are told")
    after = RunStatusChangeRecordsFilter(DagsterEventType.RUN_FAILURE, after_storage_id=int(context.cursor))
    records = context.instance.fetch_run_status_changes(after, limit=AT_ONCE, ascending=True).records
    told = [said for record in records if (said := _said(context.instance, ledger, record.event_log_entry.run_id))]
    with ledger.writing() as tx:
        for event, body in told:
            put(tx, event, run_failure_webhook.url, body)
    if records:
        context.update_cursor(str(records[-1].storage_id))
    return dg.SkipReason(f"{len(told)} failures told" if told else "no run has failed")


def _said(instance: dg.DagsterInstance, ledger: Ledger, run_id: str) -> tuple[str, dict[str, object]] | None:
    """Say what failed; None: nothing of ours, or it is said of the marker run that stands for the recordings."""
    run = instance.get_run_by_id(run_id)
    if run is None:
        return None
    if run.job_name == failed_recordings.name:
        kind, _, origin = run.tags.get(tags.BATCH_RUN, "").partition(" ")
        with ledger.reading() as conn:
            batch_id, codes = failed_codes(conn, **{f"{kind}_id": origin}) if kind in ("run", "batch") else (None, {})
        by = {"run_id": origin} if kind == "run" else {}
        return RECORDINGS_FAILED, {"id": run_id, **by, "batch_id": batch_id, "codes": codes}
    if not is_ours(run) or instance.get_runs(dg.RunsFilter(tags={tags.BATCH_RUN: f"run {run_id}"}), limit=1):
        return None
    return RUN_FAILED, {"id": run_id, "run_id": run_id, "job": run.job_name, "batch_id": run.tags.get(tags.BATCH)}
