"""A daemon that is killed in the middle of a tick of `uploads`, at each point where Dagster can be: nothing is lost.

The ticks are the daemon's own, in a process of their own that dies by SIGKILL; the code location is loaded into it, or
every row would wait for a code server.
"""

import logging
import multiprocessing
import os
import signal
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import freeze_time
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._serdes import ConfigurableClassData
from dagster._time import get_current_datetime

from diary_pipeline.core import tags
from diary_pipeline.instance.event_storage import BatchingSqliteEventLogStorage, BatchingSqliteStorage
from diary_pipeline.ledger import batches, submissions
from diary_pipeline_tests.defs.house import House

pytestmark = pytest.mark.slow
PROCESSES = multiprocessing.get_context("forkserver")
LOCATION = "diary_pipeline_tests.stack.scripted_location"
POINTS = ("TICK_CREATED", "TICK_HELD", "RUN_IDS_RESERVED", "RUN_CREATED", "RUN_LAUNCHED")
"""Where Dagster lets itself be killed on purpose."""
DIES_AT = "DIES_AT"
PARTITIONS_ADDED = "PARTITIONS_ADDED"
"""In the body of the sensor, after it told Dagster of new keys and before it asked for a run."""


class DyingEvents(BatchingSqliteEventLogStorage):
    """Events of a process that dies when it has added partitions."""

    def add_dynamic_partitions(self, partitions_def_name: str, partition_keys: Sequence[str]) -> None:
        super().add_dynamic_partitions(partitions_def_name, partition_keys)
        if os.environ.get(DIES_AT) == PARTITIONS_ADDED:
            os.kill(os.getpid(), signal.SIGKILL)


class DyingStorage(BatchingSqliteStorage):
    """Named by the house's dagster.yaml, because the location opens an instance of its own for each tick."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = DyingEvents(self._event_log_storage._base_dir)


def daemon(environment: dict[str, str], later_s: Sequence[float], dies_at: str | None) -> None:
    """Look at every sensor as often as moments are given, so much later than now, and die at a point of `uploads`."""
    os.environ.update({**environment, DIES_AT: dies_at or ""})
    flags = {"uploads": {dies_at: signal.SIGKILL}} if dies_at in POINTS else None
    origin = InProcessCodeLocationOrigin(
        LoadableTargetOrigin(module_name=LOCATION, attribute="defs"), location_name=tags.LOCATION
    )
    with (
        dg.DagsterInstance.get() as instance,
        WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(origin)) as workspace,
    ):
        for moment in later_s:
            with freeze_time(get_current_datetime() + timedelta(seconds=moment)):
                ticks = execute_sensor_iteration(
                    workspace, logging.getLogger("daemon"), None, None, debug_crash_flags=flags
                )
                assert [error for error in ticks if error] == []


def run_daemon(house: House, *later_s: float, dies_at: str | None = None) -> int | None:
    """Let a daemon in a process of its own look so often, and return how it ended."""
    PROCESSES.set_forkserver_preload([__name__])
    environment = {**house.settings.environment(), "HEARD_FILE": os.devnull}
    process = PROCESSES.Process(target=daemon, args=(environment, later_s, dies_at))
    process.start()
    process.join(240)
    return process.exitcode


@pytest.mark.parametrize("dies_at", [*POINTS, PARTITIONS_ADDED])
def test_a_daemon_killed_in_a_tick_loses_no_submission_and_asks_for_one_run(dies_at: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    storage = {
        "module": __name__,
        "class": DyingStorage.__name__,
        "config": {"base_dir": str(home / "dagster")},
    }
    with House(home, dagster_storage={"custom": storage}) as house:
        house.drop("2026-03-02 river.wav")
        assert run_daemon(house, 0.0, dies_at=dies_at) == -signal.SIGKILL
        assert run_daemon(house, 10.0, 20.0) == 0
        with house.ledger.reading() as conn:
            assert submissions.counts(conn) == {"pending": 1}
            [batch] = batches.open_batches(conn, "transcript")
        assert len(house.keys()) == 1
        [run] = house.instance.get_runs(dg.RunsFilter(tags={tags.BATCH: batch.id}))
        assert (run.status, run.tags[tags.ATTEMPT]) == (dg.DagsterRunStatus.QUEUED, "1")
        [request] = house.tick("uploads")  # asked for again in every tick, under a key that is used already
        assert request.run_key == run.tags["dagster/run_key"]
