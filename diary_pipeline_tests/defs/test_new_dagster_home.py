"""A new Dagster home that several processes open at the same moment, as webserver, daemon and code server do."""

import json
import multiprocessing
import threading
import time
from collections.abc import Iterable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, StepMaterializationData
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from diary_pipeline.defs.partitions import RECORDINGS
from diary_pipeline.instance.batched_events import CHUNK
from diary_pipeline_tests.defs.house import on_postgres, on_sqlite
from diary_pipeline_tests.defs.test_event_storage import ASSET, KEYS, a_run, instance_at, materialization, status

PROCESSES = multiprocessing.get_context("forkserver")
TOGETHER = 6


def open_it(home: Path, everybody: Barrier, said: "multiprocessing.Queue[str]") -> None:
    """Open the instance at the same moment as the others and tell what came of it."""
    everybody.wait(60)
    try:
        with dg.DagsterInstance.from_config(str(home)) as found:
            found.add_dynamic_partitions(RECORDINGS.name, KEYS)
            found.get_daemon_heartbeats()
            found.all_instigator_state()
        said.put("well")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        said.put(f"{type(error).__name__}: {error}")


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_those_who_open_a_new_home_at_once_make_one_whole_schema(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    storage = on_sqlite(tmp_path) if database == "sqlite" else on_postgres(request.getfixturevalue("postgres_url"))
    (tmp_path / "dagster.yaml").write_text(
        json.dumps({"storage": {"custom": storage}, "telemetry": {"enabled": False}})
    )
    PROCESSES.set_forkserver_preload([__name__])
    everybody, said = PROCESSES.Barrier(TOGETHER), PROCESSES.Queue()
    processes = [PROCESSES.Process(target=open_it, args=(tmp_path, everybody, said)) for _ in range(TOGETHER)]
    for process in processes:
        process.start()
    assert [said.get(timeout=60) for _ in processes] == ["well"] * TOGETHER
    for process in processes:
        process.join()


def entry(run: dg.DagsterRun, made: dg.AssetMaterialization) -> EventLogEntry:
    event = DagsterEvent(
        dg.DagsterEventType.ASSET_MATERIALIZATION.value,
        job_name=run.job_name,
        event_specific_data=StepMaterializationData(made),
    )
    return EventLogEntry(
        error_info=None,
        level=10,
        user_message="",
        run_id=run.run_id,
        timestamp=time.time(),
        job_name=run.job_name,
        dagster_event=event,
    )


class Interrupted(list[EventLogEntry]):
    """Events of which the second chunk is handed over only when somebody says so."""

    def __init__(self, events: Iterable[EventLogEntry]) -> None:
        super().__init__(events)
        self.begun, self.may_go_on = threading.Event(), threading.Event()

    def __getitem__(self, which: Any) -> Any:
        if isinstance(which, slice) and which.start:
            self.begun.set()
            assert self.may_go_on.wait(60)
        return super().__getitem__(which)


def test_a_batch_that_takes_its_time_is_seen_beside_one_that_came_later(tmp_path: Path, postgres_url: str) -> None:
    """The status that the UI keeps goes on from the highest event id it saw, so no lower one may come later."""
    keys = [f"2026-03-01-memo-{i:012x}" for i in range(CHUNK + 2)]
    with instance_at(tmp_path, {"custom": on_postgres(postgres_url)}) as instance:
        instance.add_dynamic_partitions(RECORDINGS.name, keys)
        runs = [a_run(instance) for _ in range(2)]
        slow = Interrupted(entry(runs[0], materialization(k)) for k in keys[1:])
        write = instance.event_log_storage.store_event_batch
        first = threading.Thread(target=write, args=(slow,))
        second = threading.Thread(target=write, args=([entry(runs[1], materialization(keys[0]))],))
        first.start()
        assert slow.begun.wait(60)
        second.start()
        second.join(0.5)  # it waits for the first, or is done by then
        get_and_update_asset_status_cache_value(instance, ASSET, RECORDINGS)  # somebody looks
        slow.may_go_on.set()
        first.join()
        second.join()
        assert status(instance)[0] == set(keys)
