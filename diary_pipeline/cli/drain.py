"""Runs the pipeline for somebody who waits: `ingest --wait`, `erase` and the demo. No other CLI file imports Dagster.

With a live daemon it only watches the ledger. Without one it ticks the real sensors and executes the runs they ask for
in this process, on the same instance, so that the UI shows them afterwards. The surprise: a daemon that stopped a
moment ago still looks alive for DAEMON_SILENT_S; then this process takes over, and leases keep work from being done
twice.
"""

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager

import dagster as dg
from dagster._core.instance.ref import InstanceRef

from diary_pipeline.core.batch import ENDED, Result, Stage
from diary_pipeline.core.errors import PermanentError, ServiceMissing, Stopped
from diary_pipeline.core.recording import Recording
from diary_pipeline.definitions import build_defs, partitions
from diary_pipeline.defs.resources import eraser, recovery, resources
from diary_pipeline.ledger import batches, retries, submissions
from diary_pipeline.ledger.erasures import Subject
from diary_pipeline.ledger.publications import place_of, published_watermark
from diary_pipeline.ledger.statements import now
from diary_pipeline.settings import Settings
from diary_pipeline.transcription.checkpoints import is_long
from diary_pipeline.upkeep.erase import Erased
from diary_pipeline.wiring.deployment import Wiring

DAEMON_SILENT_S = 75.0
"""Dagster's sensor daemon reports every 30 s; two missed reports and it is taken for gone."""
POLL_S = 1.0
SENSORS = ("failed_partitions", "uploads", "finished_transcripts", "publish")
TOLD = frozenset({"ServiceMissing", "TransientError", "Fenced"})
"""Errors whose message is ours and meant for people."""
RUN_KEY = "dagster/run_key"
SENSOR = "dagster/sensor_name"
# Captured output would need a watcher process for each run. Erasing runs nothing, and must find what others captured.
NOT_CAPTURED = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
QUIET = {"console": {"config": {"log_level": "CRITICAL"}}}
"""The terminal belongs to whoever waits; the run's page has every line."""


def wait_for(
    wiring: Wiring,
    submission_ids: Sequence[str],
    on_result: Callable[[Result], None] = lambda _: None,
    on_trouble: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[Recording, float], None] = lambda _recording, _at_s: None,
) -> None:
    """Return when every submission has ended and is published.

    `on_result` hears of each recording done here, `on_trouble` of each run that stopped and is tried again,
    `on_progress` how many seconds of a recording are transcribed. Raise
    ServiceMissing when publishing fails, and KeyboardInterrupt after one Ctrl-C when what is done is committed.
    """
    stop, ended, failure = threading.Event(), threading.Event(), queue.SimpleQueue[BaseException]()

    def hear(result: Result) -> None:
        on_result(result)
        unless_stopped()

    def heard_up_to(recording: Recording, at_s: float) -> None:
        on_progress(recording, at_s)
        if is_long(recording):
            unless_stopped()

    def unless_stopped() -> None:
        if stop.is_set():
            raise Stopped("stopped", "Stopped by Ctrl-C.")

    def work() -> None:
        try:
            _drain(wiring, set(submission_ids), on_trouble, stop)
        except BaseException as error:  # noqa: BLE001 - raised again where somebody waits
            failure.put(error)
        finally:
            ended.set()

    wiring.on_result = hear
    wiring.on_progress = heard_up_to
    # Not in this thread: Dagster takes Ctrl-C to itself while a run executes in the main one.
    threading.Thread(target=work, name="drain", daemon=True).start()
    try:
        ended.wait()  # and not Thread.join: one that Ctrl-C interrupts takes a running thread for ended in Python 3.11
    except KeyboardInterrupt:
        stop.set()
        on_trouble("Stopping as soon as nothing is lost by it; Ctrl-C once more stops at once.")
        ended.wait()
        raise
    if not failure.empty():
        raise failure.get()


def erase(wiring: Wiring) -> Erased | None:
    """Finish the erasures that wait, in this process; None: a daemon lives, whose sensor does it."""
    with _instance(wiring.settings, {}) as instance:
        if _daemon_is_live(instance):
            return None
        finder = recovery(wiring)  # what a stopped daemon left behind would be waited for, and nobody would start it
        finder.cancel_unstarted(instance)
        finder.fail_dead_runs(instance)
        return eraser(wiring)(partitions(instance))


def demand_no_daemon(settings: Settings) -> None:
    """Raise PermanentError `diary_in_use` while a daemon lives: it would go on with what is about to be replaced."""
    with _instance(settings, {}) as instance:
        if _daemon_is_live(instance):
            raise PermanentError(
                "diary_in_use",
                f"A daemon gave a sign of life less than {DAEMON_SILENT_S:.0f} s ago; stop `diary dev`, and try again "
                "when that time is over.",
            )


def preview_erasure(wiring: Wiring, subjects: Sequence[Subject]) -> dict[str, dict[str, int]]:
    """Count by place what an erasure would remove."""
    with _instance(wiring.settings, {}) as instance:
        return wiring.erase(partitions(instance), lambda: None).preview(subjects)


@contextmanager
def _instance(settings: Settings, changes: Mapping[str, object]) -> Iterator[dg.DagsterInstance]:
    os.environ.update(settings.environment())  # dagster.yaml names DAGSTER_HOME, and child processes read the rest
    here = InstanceRef.from_dir(str(settings.dagster_home), overrides=dict(changes))
    with dg.DagsterInstance.from_ref(here) as instance:
        yield instance


def _drain(wiring: Wiring, waiting: set[str], on_trouble: Callable[[str], None], stop: threading.Event) -> None:
    settings = wiring.settings
    with _instance(settings, {"compute_logs": NOT_CAPTURED}) as instance:
        defs = build_defs(settings, resources(wiring))
        finder = recovery(wiring)
        told = False
        while (waiting := _unfinished(wiring, waiting)) and not stop.is_set():
            if _daemon_is_live(instance):
                stop.wait(POLL_S)
                continue
            finder.cancel_unstarted(instance)
            if not round_of_ticks(defs, instance, on_trouble, stop):
                if not told and _is_held(wiring):
                    on_trouble(
                        f"Waiting for recordings that another run holds, or one that died ({settings.lease_s:.0f} s)."
                    )
                    told = True
                stop.wait(POLL_S)


def round_of_ticks(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    on_trouble: Callable[[str], None],
    stop: threading.Event | None = None,
) -> int:
    """Tick each sensor once and execute what it asks for; return how many runs did something."""
    done = 0
    for name in SENSORS:
        for request in tick(defs, instance, name):
            run = None if stop is not None and stop.is_set() else execute(defs, instance, name, request)
            if run is None:
                continue
            done += run.success
            if not run.success and (trouble := _trouble(run)):
                if name == "publish":  # the notes are committed, but nobody could query them
                    raise ServiceMissing("publish_failed", trouble)
                on_trouble(f"{trouble} Trying again.")
    return done


def _trouble(run: dg.ExecuteInProcessResult) -> str:
    """Say in our own words why a run failed; empty where recordings failed, who are named one by one."""
    for event in run.all_events:
        error = event.step_failure_data.error if event.is_step_failure else None
        while error is not None:
            if error.cls_name in TOLD:
                return error.message.partition(": ")[2].strip() or error.message.strip()
            error = error.cause
    return ""


def _is_held(wiring: Wiring) -> bool:
    stages: tuple[Stage, ...] = ("transcript", "note")
    with wiring.ledger.reading() as conn:
        return any(batch.lease_live for stage in stages for batch in batches.open_batches(conn, stage))


def _unfinished(wiring: Wiring, submission_ids: Set[str]) -> set[str]:
    with wiring.ledger.reading() as conn:
        rows = submissions.get(conn, sorted(submission_ids))
        published = published_watermark(conn, place_of(wiring.settings.catalogue_file))
        later = retries.waiting(conn, [r.recording_key for r in rows if r.recording_key and r.ended_at is None])
        due = now(conn)
    # Half an hour for another try is more than somebody waits: it comes with the daemon, or with the next command.
    put_off = {key for key, at in later.items() if at > due}
    on_the_way = [r for r in rows if r.status not in ENDED and r.recording_key not in put_off]
    return {r.id for r in (*on_the_way, *(r for r in rows if (r.commit_seq or 0) > published))}


def _daemon_is_live(instance: dg.DagsterInstance) -> bool:
    beat = instance.get_daemon_heartbeats().get("SENSOR")
    return beat is not None and time.time() - beat.timestamp < DAEMON_SILENT_S


def tick(defs: dg.Definitions, instance: dg.DagsterInstance, name: str) -> Sequence[dg.RunRequest]:
    """Evaluate a sensor once, as the daemon does, and return the runs it asks for."""
    sensor = defs.resolve_sensor_def(name)
    handed = {key: (defs.resources or {})[key] for key in sensor.required_resource_keys}
    with dg.build_sensor_context(instance=instance, definitions=defs, sensor_name=name, resources=handed) as context:
        return sensor.evaluate_tick(context).run_requests or []


def execute(
    defs: dg.Definitions, instance: dg.DagsterInstance, sensor: str, request: dg.RunRequest
) -> dg.ExecuteInProcessResult | None:
    """Execute what a sensor asked for, here; None when its run key was used: as for the daemon, it is good for one run.

    A run that fails is returned and not raised: what failed stands in the ledger and on the run's page.
    """
    mine = {SENSOR: sensor, **({RUN_KEY: request.run_key} if request.run_key else {})}
    if request.run_key and instance.get_runs(dg.RunsFilter(tags=mine), limit=1):
        return None
    return defs.resolve_job_def(str(defs.resolve_sensor_def(sensor).job_name)).execute_in_process(
        run_config={**request.run_config, "loggers": QUIET},
        instance=instance,
        tags={**request.tags, **mine},
        raise_on_error=False,
    )
