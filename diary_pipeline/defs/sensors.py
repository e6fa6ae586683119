"""What starts runs: files that arrive, transcripts that are finished, notes that are stale, commits that are not yet
published.

Sensors keep no cursor: the ledger knows what was asked for and what came of it, so a tick that is lost or repeated
changes nothing.
"""

import time

import dagster as dg

from diary_pipeline.catalogue import marts
from diary_pipeline.core.batch import Stage
from diary_pipeline.core.errors import DiaryError
from diary_pipeline.defs.dispatch import Dispatcher
from diary_pipeline.defs.notes import write_notes
from diary_pipeline.defs.publish import publish as publish_job
from diary_pipeline.defs.resources import IntakeBudget, PublishedFile
from diary_pipeline.defs.speech import transcribe_recordings
from diary_pipeline.intake.arrivals import Arrivals
from diary_pipeline.intake.work import Intake
from diary_pipeline.ledger.clock import clock_now
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.identity import ticks_between
from diary_pipeline.ledger.publications import publication
from diary_pipeline.ledger.statements import now
from diary_pipeline.notes.stale import StaleNotes

INTERVAL_S = 5
"""The daemon's loop takes at least 5 s, whatever is asked for."""
STALE_INTERVAL_S = 60
"""Nobody waits for these, and each tick looks at every owner."""
STALE_WAITING = 500
"""Notes that may wait to be written: as many as one run takes, so that a change of mind costs one run at most."""
RUNNING = dg.DefaultSensorStatus.RUNNING
AFTER_FAILURE_S = 60.0


@dg.sensor(
    job=transcribe_recordings, minimum_interval_seconds=INTERVAL_S, default_status=dg.DefaultSensorStatus.RUNNING
)
def uploads(
    context: dg.SensorEvaluationContext,
    intake: dg.ResourceParam[Intake],
    intake_budget: dg.ResourceParam[IntakeBudget],
    arrivals: dg.ResourceParam[Arrivals],
    dispatcher: dg.ResourceParam[Dispatcher],
) -> dg.SensorResult | dg.SkipReason:
    """Take in what is new in queue, buckets and folders; ask for a run for each batch of recordings to transcribe."""
    if dead := dispatcher.recovery.fail_dead_runs(context.instance):
        context.log.warning(f"failed {len(dead)} runs whose process is gone: {', '.join(dead)}")
    waiting = "nobody could look"
    try:
        for trouble in arrivals.look().troubles:
            context.log.warning(f"a way in cannot be asked: {trouble.message} [{trouble.code}]")
        waiting = f"{intake.work(intake_budget.seconds, intake_budget.files).left} files waiting"
    except DiaryError as error:  # a full disk or a lost share must not keep what was accepted from being planned
        context.log.warning(f"intake stopped: {error.message} [{error.code}]")
    return _requests(context, dispatcher, "transcript", f"no recording to transcribe ({waiting})")


@dg.sensor(job=write_notes, minimum_interval_seconds=INTERVAL_S, default_status=RUNNING)
def finished_transcripts(
    context: dg.SensorEvaluationContext, dispatcher: dg.ResourceParam[Dispatcher]
) -> dg.SensorResult | dg.SkipReason:
    """Ask for a run for each batch of transcripts that have no note yet."""
    return _requests(context, dispatcher, "note", "no transcript without a note")


@dg.sensor(job=write_notes, minimum_interval_seconds=STALE_INTERVAL_S, default_status=RUNNING)
def stale_notes(stale: dg.ResourceParam[StaleNotes]) -> dg.SkipReason:
    """Plan notes that would be written otherwise today: changed prompts and templates, upgrades of degraded ones.

    Asks for no run itself: a run key is good for one run of its own sensor, and a batch that two ask for runs twice.
    """
    planned = stale.plan(STALE_WAITING)
    if not planned:
        return dg.SkipReason("no stale note to plan: all are current, waiting, or were tried a while ago")
    return dg.SkipReason(f"{planned} stale notes planned; {finished_transcripts.name} asks for their runs")


@dg.sensor(job=publish_job, minimum_interval_seconds=INTERVAL_S, default_status=RUNNING)
def publish(
    context: dg.SensorEvaluationContext,
    ledger: dg.ResourceParam[Ledger],
    published_file: dg.ResourceParam[PublishedFile],
) -> dg.SensorResult | dg.SkipReason:
    """Ask for a publish run when something is committed, or built by dbt, that users cannot see yet; one at a time."""
    with ledger.reading() as conn:
        shown, head, at = publication(conn, published_file.place), clock_now(conn), now(conn)
    new = [f"{ticks_between(shown.watermark, head)} commits"] if head != shown.watermark else []
    if marts.stamp(published_file.marts_file) != shown.marts:
        new.append("marts")
    if not new:
        return dg.SkipReason("everything committed is published")
    waiting = f"{' and '.join(new)} to publish"
    if shown.watched_until > at:
        return dg.SkipReason(f"{waiting}; `diary publish --watch` is at it")
    newest = context.instance.get_run_records(dg.RunsFilter(job_name=publish_job.name), limit=1)
    if newest and not newest[0].dagster_run.is_finished:
        return dg.SkipReason(f"{waiting}; a publish run is at it")
    if newest and not newest[0].dagster_run.is_success and time.time() - (newest[0].end_time or 0) < AFTER_FAILURE_S:
        return dg.SkipReason(f"{waiting}; the last publish run failed, tried again in a minute")
    return dg.SensorResult(run_requests=[dg.RunRequest()])


def _requests(
    context: dg.SensorEvaluationContext, dispatcher: Dispatcher, stage: Stage, idle: str
) -> dg.SensorResult | dg.SkipReason:
    requests = dispatcher.tick(context.instance, stage)
    return dg.SensorResult(run_requests=requests) if requests else dg.SkipReason(idle)
