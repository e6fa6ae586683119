"""What a recording costs Dagster's storage: the stock ones beside ours, on SQLite and on PostgreSQL.

Three materialisations and four checks a recording, as batch runs write them, and what Dagster itself plans for a run
over many partitions. The PostgreSQL server is one of the tests' own, which syncs nothing, so its figures speak for
statements and connections, not for disks.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from diary_pipeline.core import tags
from diary_pipeline.defs.events import emit, failed_recordings
from diary_pipeline.observability.logs import configure_logging
from diary_pipeline_tests.defs.house import on_postgres, on_sqlite
from diary_pipeline_tests.servers import postgres_server

ASSETS = ("raw_audio", "transcript", "diary_note")
CHECKS = (
    ("raw_audio", "audio_is_sound"),
    ("transcript", "transcript_is_sound"),
    ("diary_note", "note_is_supported"),
    ("diary_note", "note_is_fit"),
)
A_RECORDING = len(ASSETS) + len(CHECKS)
STOCK, OURS = 40, 1000
"""Recordings a batch; the stock storages would take minutes for as many as ours."""


def main() -> None:
    """Measure and print."""
    configure_logging("error", False)
    print("| storage | step | ms each | each second | times faster than stock |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="diary-bench-") as folder, postgres_server() as server:
        for database in ("SQLite", "PostgreSQL"):
            before: dict[str, float] = {}
            for ours in (False, True):
                with (
                    server.database() as url,
                    tempfile.TemporaryDirectory(dir=folder) as home,
                    _instance(Path(home), _storage(database, ours, Path(home), url)) as instance,
                ):
                    for step, seconds in _measured(instance, OURS if ours else STOCK):
                        _tell(f"{database}, {'ours' if ours else 'stock'}", step, seconds, before.get(step))
                        before[step] = seconds


def _measured(instance: dg.DagsterInstance, recordings: int) -> Iterator[tuple[str, float]]:
    """Yield each step and the seconds that one event or key took."""
    keys = [f"2026-03-01-memo-{n:012x}" for n in range(recordings)]
    yield "add a key", _timed(lambda: instance.add_dynamic_partitions(tags.PARTITIONS, keys)) / len(keys)
    run = instance.create_run_for_job(failed_recordings, status=dg.DagsterRunStatus.STARTED)
    made = [dg.AssetMaterialization(asset, partition=key, metadata={"n": 1}) for key in keys for asset in ASSETS]
    seen = [
        dg.AssetCheckEvaluation(asset_key=dg.AssetKey(asset), check_name=check, passed=True, partition=key)
        for key in keys
        for asset, check in CHECKS
    ]
    planned = [(dg.AssetKey("raw_audio"), key) for key in keys]
    took = _timed(lambda: emit(instance, run, "speech", materializations=made, checks=seen))
    yield "an event of a batch run", took / (recordings * A_RECORDING)
    yield "a planned event", _timed(lambda: emit(instance, run, "speech", planned=planned)) / recordings
    yield "ask for a key", _timed(lambda: _ask(instance, keys[:STOCK])) / STOCK


def _ask(instance: dg.DagsterInstance, keys: Sequence[str]) -> None:
    for key in keys:
        instance.has_dynamic_partition(tags.PARTITIONS, key)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _storage(database: str, ours: bool, home: Path, url: str) -> Mapping[str, object]:
    if database == "SQLite":
        return {"custom": on_sqlite(home)} if ours else {"sqlite": {"base_dir": str(home)}}
    return {"custom": on_postgres(url)} if ours else {"postgres": {"postgres_url": url}}


@contextmanager
def _instance(home: Path, storage: Mapping[str, object]) -> Iterator[dg.DagsterInstance]:
    (home / "dagster.yaml").write_text(json.dumps({"storage": storage, "telemetry": {"enabled": False}}))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def _tell(storage: str, step: str, seconds: float, stock: float | None) -> None:
    faster = f"{stock / seconds:.0f}" if stock else ""
    print(f"| {storage} | {step} | {1000 * seconds:.2f} | {1 / seconds:.0f} | {faster} |", flush=True)
