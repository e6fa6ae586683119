"""Runs the pipeline for somebody who waits: `ingest --wait` and the demo. No other file of the CLI imports Dagster.

With a live daemon it only watches the ledger. Without one it ticks the real sensors and executes the runs they ask for
in this process, on the same instance, so that the UI shows them afterwards. The surprise: a daemon that stopped a
moment ago still looks alive for DAEMON_SILENT_S; then this process takes over, and leases keep work from being done
twice.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import dagster as dg

from diary_pipeline.core.batch import ENDED, Result
from diary_pipeline.definitions import build_defs
from diary_pipeline.defs.resources import resources
from diary_pipeline.ledger import commits, submissions
from diary_pipeline.settings import Settings
from diary_pipeline.wiring import Wiring

DAEMON_SILENT_S = 75.0
"""Dagster's sensor daemon reports every 30 s; two missed reports and it is taken for gone."""
POLL_S = 1.0
SENSORS = ("uploads", "finished_transcripts", "publish")
RUN_KEY = "dagster/run_key"
SENSOR = "dagster/sensor_name"
QUIET = {"console": {"config": {"log_level": "CRITICAL"}}}
"""The terminal belongs to whoever waits; the run's page has every line."""


def wait_for(
    settings: Settings, submission_ids: Sequence[str], on_result: Callable[[Result], None] = lambda _: None
) -> None:
    """Return when every submission has ended and is published; `on_result` hears of each recording done here."""
    os.environ.update(settings.environment())  # dagster.yaml names DAGSTER_HOME, and child processes read the rest
    wiring = Wiring(settings, on_result)
    with ExitStack() as stack:
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(settings.dagster_home)))
        defs = build_defs(settings, resources(wiring))
        while not _done(wiring, submission_ids):
            if _daemon_is_live(instance) or not _round(defs, instance):
                time.sleep(POLL_S)


def _round(defs: dg.Definitions, instance: dg.DagsterInstance) -> int:
    """Tick each sensor once and execute what it asks for; return the number of runs executed."""
    runs = [execute(defs, instance, name, request) for name in SENSORS for request in tick(defs, instance, name)]
    return sum(run is not None for run in runs)


def _done(wiring: Wiring, submission_ids: Sequence[str]) -> bool:
    with wiring.ledger.reading() as conn:
        rows = submissions.get(conn, list(submission_ids))
        published = commits.published_watermark(conn)
    return all(r.status in ENDED and (r.commit_seq or 0) <= published for r in rows)


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
