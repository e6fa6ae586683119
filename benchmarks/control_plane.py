"""CPU and wall time a recording with transcription taken out, step by step.

A scripted transcriber stands for the model, so what is left is the platform: hashing and storing, ledger, decode,
notes, checks, Parquet, Dagster's own bookkeeping, and the publisher. Steps run in one process, children counted in.
"""

import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import dagster as dg

from diary_pipeline.observability.logs import configure_logging
from diary_pipeline_tests.builders import speech_like, write_audio
from diary_pipeline_tests.defs.house import House

RECORDINGS = 400
SECONDS = 2.0


def main() -> None:
    """Measure and print."""
    configure_logging("error", False)  # a line a recording would bury the figures
    with tempfile.TemporaryDirectory(prefix="diary-bench-") as folder, House(Path(folder) / "home") as house:
        for n in range(RECORDINGS):
            samples = speech_like(SECONDS, pitch_hz=100.0 + n / 4)
            write_audio(house.settings.drop_dir / f"2026-03-{n % 28 + 1:02d} memo {n}.wav", samples)
        print(f"{RECORDINGS} recordings of {SECONDS:.0f} s, scripted transcriber, SQLite ledger and Dagster storage\n")
        print("| step | CPU ms a recording | wall ms a recording |\n|---|---|---|")
        requests: list[dg.RunRequest] = []
        _measure("intake: stat, hash, probe, copy, ledger rows", lambda: _take_in(house))
        _measure("tick: plan batches, add partitions", lambda: requests.extend(house.tick("uploads")))
        _measure("speech runs: decode, commit, events", lambda: _execute_all(house, "uploads", requests))
        notes: list[dg.RunRequest] = []
        _measure("tick: plan notes", lambda: notes.extend(house.tick("finished_transcripts")))
        _measure("note runs: write, check, commit, events", lambda: _execute_all(house, "finished_transcripts", notes))
        _measure("publish: fold and swap", house.publish)
        [(done,)] = house.sql("SELECT count(*) FROM recordings WHERE status = 'completed'")
        if done != RECORDINGS:
            raise SystemExit(f"only {done} of {RECORDINGS} recordings were completed: these figures mean nothing")


def _take_in(house: House) -> None:
    house.wiring.intake.scan(house.settings.folders, max_files=RECORDINGS)
    house.wiring.intake.work(float("inf"), RECORDINGS)


def _execute_all(house: House, sensor: str, requests: Sequence[dg.RunRequest]) -> None:
    while requests:
        for request in requests:
            house.execute(sensor, request)
        requests = house.tick(sensor)


def _measure(step: str, work: Callable[[], object]) -> None:
    began, before = time.perf_counter(), _cpu_s()
    work()
    cpu_ms, wall_ms = (1000 * spent / RECORDINGS for spent in (_cpu_s() - before, time.perf_counter() - began))
    print(f"| {step} | {cpu_ms:.1f} | {wall_ms:.1f} |", flush=True)


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)
