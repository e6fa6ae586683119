"""Recordings committed in a second by many processes at once, beside what a user would write instead.

Each recording brings a transcript of 60 segments. Ours stages an object, fences every recording by the epoch of its
lease, moves pointers and settles work, batches and submissions in one transaction, all synced to disk; taking in and
claiming come before and are not in the time, making rows of the transcripts is.

The others get the same rows. *One DuckDB file*: a lock file, open, replace the rows, close; no reader may have it open
meanwhile. *Parquet folder*: one file a table and batch, synced and renamed; who asks it later sees every version.
"""

import fcntl
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from diary_pipeline.catalogue.commit import FinishedTranscript, commit_transcripts
from diary_pipeline.catalogue.rows import arrow_tables, transcript_rows
from diary_pipeline.core.batch import Check, Lease
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger import batches
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.statements import chunks
from diary_pipeline.ledger.tables import recordings, submissions, work
from diary_pipeline.observability.logs import configure_logging
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.builders import make_recording, make_transcript
from diary_pipeline_tests.servers import postgres_server

PROCESSES = multiprocessing.get_context("forkserver")
WRITERS = (1, 2, 4, 8)
BATCHES = (32, 256)
SENTENCES = 30
"""With the silence after each: 60 segments."""
EACH = 768
"""Recordings a writer commits, at most."""
SECONDS = 6.0
SAFE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
"""A server of the tests may lose everything; this one may not."""
Commit = Callable[[Sequence[FinishedTranscript]], None]
Contender = Callable[["Place", int, Sequence[Recording]], AbstractContextManager[Commit]]


@dataclass(frozen=True)
class Place:
    """Where it is written."""

    root: Path
    ledger_url: str

    def recordings(self, writer: int) -> list[Recording]:
        """Return what one writer is to commit."""
        return [make_recording(file_name=f"{writer}-{n}.m4a") for n in range(EACH)]


@dataclass(frozen=True)
class Speed:
    """What came of it."""

    per_s: float
    median_s: float
    slowest_s: float
    cpu_ms: float
    """Of the writers, a recording; a server's own is not in it."""


def main() -> None:
    """Measure and print."""
    configure_logging("error", False)
    PROCESSES.set_forkserver_preload([__name__])
    print("| writers | batch | ours, SQLite | ours, PostgreSQL | one DuckDB file | Parquet folder |")
    print("| --- | --- | --- | --- | --- | --- |")
    with postgres_server(SAFE) as postgres:
        for batch in BATCHES:
            for writers in WRITERS:
                cells = [_measured(ours, writers, batch)]
                with postgres.database() as url:
                    cells.append(_measured(ours, writers, batch, url))
                cells += [_measured(contender, writers, batch) for contender in (one_file, parquet_folder)]
                told = [f"{c.per_s:,.0f}/s ({c.median_s:.2f} s, {c.slowest_s:.2f} s; {c.cpu_ms:.1f} ms)" for c in cells]
                print(f"| {writers} | {batch} | {' | '.join(told)} |", flush=True)
    load = ", ".join(f"{n:.1f}" for n in os.getloadavg())
    print("\nIn brackets the median and the slowest commit, and the writers' processor time a recording.")
    print(f"Load averages at the end: {load}.")


@contextmanager
def ours(place: Place, size: int, mine: Sequence[Recording]) -> Iterator[Commit]:
    """Commit as a run does."""
    ledger, store = open_ledger(place.ledger_url), FolderStore(place.root / "objects")
    leases: dict[str, Lease] = {}
    for start in range(0, len(mine), size):
        keys = [r.key for r in mine[start : start + size]]
        leases.update((x.key, x) for x in batches.claim_keys(ledger, "transcript", keys, f"w{os.getpid()}", 600).leases)

    def commit(finished: Sequence[FinishedTranscript]) -> None:
        leased = [FinishedTranscript(f.recording, leases[f.recording.key], f.transcript, f.checks) for f in finished]
        assert len(commit_transcripts(ledger, store, leased).committed) == len(finished)

    yield commit
    ledger.close()


@contextmanager
def one_file(place: Place, _size: int, _mine: Sequence[Recording]) -> Iterator[Commit]:
    """Write straight into one DuckDB file, one process at a time."""

    def commit(finished: Sequence[FinishedTranscript]) -> None:
        tables = arrow_tables(transcript_rows(f.recording, f.transcript, f.checks) for f in finished)
        keys = [f.recording.key for f in finished]
        with (place.root / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with duckdb.connect(str(place.root / "one.duckdb")) as db:
                db.execute("BEGIN")
                for name, table in tables.items():
                    db.register("new", table)
                    db.execute(f"CREATE TABLE IF NOT EXISTS {name} AS FROM new LIMIT 0")
                    db.execute(f"DELETE FROM {name} WHERE recording_key IN (SELECT unnest(?))", [keys])
                    db.execute(f"INSERT INTO {name} FROM new")
                db.execute("COMMIT")

    yield commit


@contextmanager
def parquet_folder(place: Place, _size: int, _mine: Sequence[Recording]) -> Iterator[Commit]:
    """Write files beside each other."""
    made = iter(range(EACH))

    def commit(finished: Sequence[FinishedTranscript]) -> None:
        number = next(made)
        for name, table in arrow_tables(transcript_rows(f.recording, f.transcript, f.checks) for f in finished).items():
            folder = place.root / "parquet" / name
            folder.mkdir(parents=True, exist_ok=True)
            staged = folder / f".{os.getpid()}-{number}"
            with staged.open("wb") as file:
                pq.write_table(table, file, compression="zstd")
                file.flush()
                os.fsync(file.fileno())
            staged.rename(folder / f"{os.getpid()}-{number}.parquet")
            handle = os.open(folder, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)

    yield commit


def _measured(
    contender: Contender,
    writers: int,
    batch: int,
    ledger_url: str | None = None,
) -> Speed:
    with tempfile.TemporaryDirectory(prefix="diary-commits-") as root:
        place = Place(Path(root), ledger_url or f"sqlite:///{root}/ledger.db")
        if contender is ours:
            _take_in(place, writers)
        ready, go, took = PROCESSES.Semaphore(0), PROCESSES.Event(), PROCESSES.SimpleQueue()
        processes = [
            PROCESSES.Process(target=_write, args=(contender, place, writer, batch, ready, go, took))
            for writer in range(writers)
        ]
        for process in processes:
            process.start()
        for _ in processes:
            ready.acquire()
        started = time.perf_counter()
        go.set()
        each = [took.get() for _ in processes]
        wall = time.perf_counter() - started
        for process in processes:
            process.join()
    commits = sorted(seconds for some, _ in each for seconds in some)
    done = len(commits) * batch
    return Speed(done / wall, commits[len(commits) // 2], commits[-1], 1000 * sum(used for _, used in each) / done)


def _take_in(place: Place, writers: int) -> None:
    """Do what intake does, in one transaction."""
    ledger = open_ledger(place.ledger_url)
    some = [recording for writer in range(writers) for recording in place.recordings(writer)]
    at = time.time()
    with ledger.writing() as tx:
        for rows in chunks(some):
            tx.execute(submissions.insert(), [_submission(r, at) for r in rows])
            tx.execute(recordings.insert(), [_recording(r, at) for r in rows])
            tx.execute(work.insert(), [_work(r, at) for r in rows])
    ledger.close()


def _submission(r: Recording, at: float) -> dict[str, object]:
    told = {"id": r.key, "owner": r.owner, "source": "cli", "uri": r.file_name, "file_name": r.file_name, "options": {}}
    return {**told, "priority": 1, "status": "pending", "recording_key": r.key, "created_at": at}


def _recording(r: Recording, at: float) -> dict[str, object]:
    names = "key, owner, content_sha256, file_name, object_key, size_bytes, container, declared_s, whisper_model"
    when = {
        "recorded_at": r.recorded_at.at.timestamp(),
        "recorded_day": r.recorded_at.day.isoformat(),
        "recorded_zone": r.recorded_at.zone,
        "recorded_at_source": r.recorded_at.source,
        "recorded_at_confidence": r.recorded_at.confidence,
    }
    standing = {"submission_id": r.key, "tags": [], "vocabulary": [], "status": "pending", "created_at": at}
    return {name: getattr(r, name) for name in names.split(", ")} | when | standing


def _work(r: Recording, at: float) -> dict[str, object]:
    todo = {"recording_key": r.key, "stage": "transcript", "state": "ready", "wanted": True, "model": r.whisper_model}
    return {**todo, "priority": 1, "audio_s": 60.0, "ready_at": at, "owner": r.owner, "turn_at": at}


def _write(  # noqa: PLR0917 - as a process is given its arguments
    contender: Contender,
    place: Place,
    writer: int,
    size: int,
    ready: Semaphore,
    go: Event,
    took: "multiprocessing.SimpleQueue[tuple[list[float], float]]",
) -> None:
    mine, checks = place.recordings(writer), (Check("transcript_covers_audio", True),)
    said = make_transcript([f"Then I walked {n} minutes by the river and bought bread." for n in range(SENTENCES)])
    finished = [
        FinishedTranscript(r, Lease(r.key, 0, ""), replace(said, recording_key=r.key, version=r.key[-16:]), checks)
        for r in mine
    ]
    each: list[float] = []
    with contender(place, size, mine) as commit:
        commit(finished[:size])  # libraries are loaded and caches filled once a process, not once a batch
        ready.release()
        go.wait()
        until, used = time.perf_counter() + SECONDS, time.process_time()
        for start in range(size, len(finished), size):
            if time.perf_counter() > until:
                break
            began = time.perf_counter()
            commit(finished[start : start + size])
            each.append(time.perf_counter() - began)
        used = time.process_time() - used
    took.put((each, used))
