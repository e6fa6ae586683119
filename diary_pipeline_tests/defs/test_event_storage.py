"""The batching storage tells Dagster the same as the stock one, event for event."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as CheckStatus
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from diary_pipeline.core.batch import Result
from diary_pipeline.defs.events import emit, mark_failed
from diary_pipeline.defs.partitions import RECORDINGS
from diary_pipeline_tests.defs.house import on_postgres, on_sqlite

ASSET = dg.AssetKey("transcript")
CHECK = dg.AssetCheckKey(ASSET, "transcript_is_sound")
KEYS = [f"2026-03-0{i}-memo-{i:012x}" for i in range(1, 8)]


@contextmanager
def instance_at(home: Path, storage: Mapping[str, object]) -> Iterator[dg.DagsterInstance]:
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(json.dumps({"storage": storage, "telemetry": {"enabled": False}}))
    with dg.DagsterInstance.from_config(str(home)) as found:
        yield found


def storage_of(kind: str, request: pytest.FixtureRequest) -> Mapping[str, object]:
    """What dagster.yaml says: ours or the stock one, on either database."""
    storage, database = kind.split(" ")
    if database == "sqlite":
        home = request.getfixturevalue("tmp_path") / "dagster"
        return {"custom": on_sqlite(home)} if storage == "batching" else {"sqlite": {"base_dir": str(home)}}
    url = request.getfixturevalue("postgres_url")
    return {"custom": on_postgres(url)} if storage == "batching" else {"postgres": {"postgres_url": url}}


@dg.job
def batch_run() -> None:
    """Stands for a batch run."""


def a_run(instance: dg.DagsterInstance) -> dg.DagsterRun:
    return instance.create_run_for_job(batch_run, status=dg.DagsterRunStatus.STARTED)


def evaluation(key: str, passed: bool = True) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(asset_key=ASSET, check_name=CHECK.name, passed=passed, partition=key, metadata={})


def materialization(key: str) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(ASSET, partition=key, metadata={"duration_s": 12.5})


@pytest.fixture(params=["batching sqlite", "batching postgresql", "stock sqlite", "stock postgresql"])
def instance(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with instance_at(tmp_path / "dagster", storage_of(request.param, request)) as found:
        found.add_dynamic_partitions(RECORDINGS.name, KEYS)
        yield found


@pytest.fixture(params=["batching sqlite", "batching postgresql"])
def batching(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with instance_at(tmp_path / "dagster", storage_of(request.param, request)) as found:
        yield found


def status(instance: dg.DagsterInstance) -> tuple[set[str], set[str]]:
    cached = get_and_update_asset_status_cache_value(instance, ASSET, RECORDINGS)
    assert cached is not None
    done = cached.deserialize_materialized_partition_subsets(RECORDINGS)
    failed = cached.deserialize_failed_partition_subsets(RECORDINGS)
    return set(done.get_partition_keys()), set(failed.get_partition_keys())


def test_materialisations_and_checks_of_a_batch_are_read_back_by_partition(instance: dg.DagsterInstance) -> None:
    run = a_run(instance)
    emit(
        instance,
        run,
        "speech",
        materializations=[materialization(k) for k in KEYS[:5]],
        checks=[evaluation(k, passed=k != KEYS[5]) for k in KEYS[:6]],
    )
    assert status(instance)[0] == set(KEYS[:5])
    newest = instance.get_latest_materialization_event(ASSET)
    assert newest is not None and newest.asset_materialization is not None
    assert newest.asset_materialization.partition == KEYS[4]
    history = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=20)
    assert {h.partition: h.status for h in history} == {
        **dict.fromkeys(KEYS[:5], CheckStatus.SUCCEEDED),
        KEYS[5]: CheckStatus.FAILED,
    }


def test_the_log_page_of_the_run_shows_the_events_too(instance: dg.DagsterInstance) -> None:
    run = a_run(instance)
    emit(instance, run, "speech", materializations=[materialization(k) for k in KEYS])
    logged = [e.dagster_event for e in instance.all_logs(run.run_id)]
    assert [e.partition for e in logged if e is not None and e.is_step_materialization] == KEYS


def test_failed_recordings_of_a_good_batch_are_failed_partitions_until_they_succeed(
    instance: dg.DagsterInstance,
) -> None:
    run = a_run(instance)
    emit(instance, run, "speech", materializations=[materialization(k) for k in KEYS[:5]])
    bad = [Result(k, "failed", "audio_truncated", "It is cut off.") for k in KEYS[5:]]
    mark_failed(instance, run.run_id, bad, [ASSET])
    instance.report_run_canceled(run)  # whatever becomes of the batch run itself
    assert status(instance) == (set(KEYS[:5]), set(KEYS[5:]))
    again = a_run(instance)
    emit(instance, again, "speech", materializations=[materialization(KEYS[5])])
    assert status(instance) == (set(KEYS[:6]), {KEYS[6]})


def test_a_step_retried_in_the_same_run_replaces_its_check_results(batching: dg.DagsterInstance) -> None:
    run = a_run(batching)
    emit(batching, run, "speech", checks=[evaluation(k, passed=False) for k in KEYS])
    emit(batching, run, "speech", checks=[evaluation(k) for k in KEYS])
    history = batching.event_log_storage.get_asset_check_execution_history(CHECK, limit=20)
    assert [h.status for h in history] == [CheckStatus.SUCCEEDED] * len(KEYS)


def test_more_events_than_sqlite_takes_variables_are_stored(batching: dg.DagsterInstance) -> None:
    keys = [f"2026-03-01-memo-{i:012x}" for i in range(4000)]
    batching.add_dynamic_partitions(RECORDINGS.name, keys)
    run = a_run(batching)
    emit(batching, run, "speech", materializations=[materialization(k) for k in keys], checks=map(evaluation, keys))
    assert status(batching)[0] == set(keys)
