"""Writers and a publisher that are killed at random moments while somebody looks on, and the count of what came of it.

A writer acknowledges a batch, in a synced file of its own, after the commits of its transcripts and its notes returned;
a killed one is started again and goes on after its last acknowledgement, so it may commit a batch twice: that must not
show. Every fourth time it does an earlier batch again. What is counted stands in `Count`.

What surprises: every process is forked from a server that has everything imported, or most kills would hit its start.
"""

import multiprocessing
import os
import random
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import duckdb
import sqlalchemy as sa

from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.tables import commits
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.storage.gcs import GcsStore
from diary_pipeline.storage.store import ObjectStore
from diary_pipeline_tests.builders import make_recording
from diary_pipeline_tests.diaries import Diary

PROCESSES = multiprocessing.get_context("forkserver")
WRITERS = 3
PUBLISHER = "publisher"
BATCH = 8
AGAIN = 0.25
"""Of the batches, those that were acknowledged before."""
LIVES_S = (0.05, 1.0)
"""How long a process is left to its work before the next is killed."""

WHOLE = f"""
WITH n AS (SELECT recording_key k, count(*) c, any_value(commit_seq) q, any_value(title) t FROM notes GROUP BY 1),
     i AS (SELECT recording_key k, count(*) c, min(commit_seq) q0, max(commit_seq) q1 FROM note_items GROUP BY 1),
     r AS (SELECT recording_key k, count(*) c, any_value(commit_seq) q FROM recordings GROUP BY 1),
     s AS (SELECT recording_key k, count(*) c, count(DISTINCT segment_id) d, count(DISTINCT commit_seq) q
           FROM segments GROUP BY 1),
     b AS (SELECT q, count(*) c, count(DISTINCT t) t FROM n GROUP BY 1)
SELECT (SELECT count(*) FROM n),
       (SELECT count(*) FROM n WHERE c > 1) + (SELECT count(*) FROM r WHERE c > 1)
       + (SELECT count(*) FROM s WHERE c <> d),
       (SELECT count(*) FROM b WHERE c <> {BATCH} OR t <> 1) + (SELECT count(*) FROM s WHERE c <> 4 OR q <> 1)
       + (SELECT count(*) FROM n LEFT JOIN i USING (k) WHERE i.c IS DISTINCT FROM 2 OR i.q0 <> n.q OR i.q1 <> n.q)
       + (SELECT count(*) FROM n LEFT JOIN r USING (k) LEFT JOIN s USING (k)
          WHERE r.q IS DISTINCT FROM n.q OR s.c IS NULL)
"""


@dataclass(frozen=True)
class Site:
    """Where it happens; a child process opens everything itself."""

    root: Path
    ledger_url: str
    bucket: str | None = None
    """`gs://` URL; None: a folder."""
    environment: Mapping[str, str] = field(default_factory=dict)

    def open_diary(self) -> Diary:
        """Open ledger and store."""
        os.environ.update(self.environment)
        copies = self.root / f"copies-{os.getpid()}"
        store: ObjectStore = GcsStore(self.bucket, copies, 100) if self.bucket else FolderStore(self.root / "objects")
        return Diary(open_ledger(self.ledger_url), store)

    def publisher(self, diary: Diary) -> Publisher:
        """Give the publisher of this place."""
        return Publisher(diary.ledger, diary.store, self.live)

    @property
    def live(self) -> Path:
        """The published file."""
        return self.root / "home" / "catalogue.duckdb"

    def acknowledged(self, writer: int) -> dict[int, int]:
        """Return the newest take of each batch that a writer has acknowledged."""
        file = self.root / f"acknowledged-{writer}"
        newest: dict[int, int] = {}
        for line in file.read_text().splitlines() if file.exists() else ():
            batch, take, end = line.split(" ")
            assert end == "."
            newest[int(batch)] = max(int(take), newest.get(int(batch), 0))
        return newest


@dataclass
class Count:
    """What came of it. All but `orphans`, `batches`, `looks`, `publishes` and `within` must be 0."""

    kills: int = 0
    batches: int = 0
    """Acknowledged, repetitions included."""
    lost: int = 0
    """Recordings that were acknowledged and are not published."""
    doubled: int = 0
    """Recordings with a row too many."""
    torn: int = 0
    """Batches or recordings of which only a part, or parts of two commits, are published."""
    stale: int = 0
    """Recordings that are published as they were before what was acknowledged."""
    looks: int = 0
    bad_looks: int = 0
    """Looks that saw something doubled or torn, or less than an earlier look."""
    refused_looks: int = 0
    """Times that the published file could not be opened."""
    orphans: int = 0
    """Objects that no commit knows: to be removed by the reconciler."""
    publishes: int = 0
    within: int = 0
    """Kills of a publisher that had a next file begun."""
    origins: Counter[str] = field(default_factory=Counter)
    """What the published files were made from."""


def trial(site: Site, kills: int, seed: int) -> Count:
    """Kill so many processes, one after the other, and count."""
    PROCESSES.set_forkserver_preload([__name__])
    diary = site.open_diary()
    site.publisher(diary).publish()
    (site.root / "publishes").touch()
    count, moments = Count(), random.Random(seed)
    stop, seen = PROCESSES.Event(), PROCESSES.Queue()
    watcher = PROCESSES.Process(target=_look_on, args=(site, stop, seen))
    watcher.start()
    running = [_start(site, who) for who in range(WRITERS + 1)]
    for n in range(kills):
        who = n % (WRITERS + 1)
        _let_work(site, running[who], moments.uniform(*LIVES_S))
        running[who].kill()
        running[who].join()
        count.within += who == WRITERS and any(site.live.parent.glob(".*.twin/next.duckdb"))
        running[who] = _start(site, who)
    for process in running:
        _let_work(site, process, 0)
        process.kill()
        process.join()
    stop.set()
    count.looks, count.bad_looks, count.refused_looks = seen.get(timeout=60)
    watcher.join()
    count.kills = kills + len(running)
    _judge(site, diary, count)
    diary.ledger.close()
    return count


def _start(site: Site, who: int) -> ForkServerProcess:
    target = _publish_for_ever if who == WRITERS else _write_for_ever
    process = PROCESSES.Process(target=target, args=(site, who), name=PUBLISHER if who == WRITERS else f"writer-{who}")
    process.start()
    return process


def _let_work(site: Site, process: ForkServerProcess, more_s: float) -> None:
    """Wait until it, or another writer, got something done, and so much longer."""
    mine = "publishes" if process.name == PUBLISHER else "acknowledged-*"
    before, until = _progress(site, mine), time.monotonic() + 20
    while _progress(site, mine) == before and time.monotonic() < until:
        process.join(0.02)
    process.join(more_s)
    assert process.is_alive(), f"it ended by itself, with {process.exitcode}"


def _progress(site: Site, files: str) -> int:
    return sum(file.stat().st_size for file in site.root.glob(files))


def _write_for_ever(site: Site, me: int) -> None:
    diary, chance = site.open_diary(), random.Random()
    while True:
        done = site.acknowledged(me)
        batch = chance.choice(list(done)) if done and chance.random() < AGAIN else len(done)
        if batch in done:
            some = [make_recording(file_name=name) for name in _names(me, batch)]
        else:
            some = diary.accept(*_names(me, batch))
        take = time.time_ns()
        said = (f"take {take}", "Then I bought bread.")
        for stage, commit in (("transcript", diary.transcribe), ("note", diary.write)):
            committed = commit(some, said, batch=diary.claim(stage, some, holder=f"writer-{me}", lease_s=-1))
            assert len(committed.committed) == BATCH, committed
        _append(site.root / f"acknowledged-{me}", f"{batch} {take} .\n")


def _names(writer: int, batch: int) -> list[str]:
    return [f"memo {writer} {batch} {n}.m4a" for n in range(BATCH)]


def _publish_for_ever(site: Site, _me: int) -> None:
    publisher = site.publisher(site.open_diary())
    while True:
        done = publisher.publish()
        if done.origin:
            _append(site.root / "publishes", f"{done.origin} {done.seconds:.3f}\n")


def _append(file: Path, line: str) -> None:
    handle = os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    try:
        os.write(handle, line.encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def _look_on(site: Site, stop: Event, seen: "multiprocessing.Queue[tuple[int, int, int]]") -> None:
    looks = bad = refused = last = 0
    while not stop.is_set():
        try:
            with duckdb.connect(str(site.live), read_only=True, config={"threads": 1}) as db:
                for _ in range(3):  # one snapshot, while the world moves on
                    there, doubled, torn = db.execute(WHOLE).fetchone() or (0, 1, 1)
                    looks += 1
                    bad += bool(doubled or torn or there < last)
                    stop.wait(0.1)
                last = there
        except duckdb.Error:
            refused += 1
    seen.put((looks, bad, refused))


def _judge(site: Site, diary: Diary, count: Count) -> None:
    """Publish once more, as anybody would, and compare with what was acknowledged."""
    site.publisher(diary).publish()
    with duckdb.connect(str(site.live), read_only=True) as db:
        _, count.doubled, count.torn = db.execute(WHOLE).fetchone() or (0, 1, 1)
        takes = dict(db.execute("SELECT recording_key, split_part(title, ' ', 2)::BIGINT FROM notes").fetchall())
        heard = dict(
            db.execute(
                "SELECT recording_key, split_part(text, ' ', 2)::BIGINT FROM segments WHERE segment_id = 0"
            ).fetchall()
        )
    for writer in range(WRITERS):
        for batch, take in site.acknowledged(writer).items():
            for key in (make_recording(file_name=name).key for name in _names(writer, batch)):
                count.lost += key not in takes or key not in heard
                count.stale += takes.get(key, take) < take or heard.get(key, take) < take
        with suppress(FileNotFoundError):
            count.batches += len((site.root / f"acknowledged-{writer}").read_text().splitlines())
    with diary.ledger.reading() as conn:
        known = set(conn.execute(sa.select(commits.c.object_id)).scalars())
    count.orphans = len({key.rpartition("/")[0] for key in diary.store.list("catalogue/")} - known)
    lines = (site.root / "publishes").read_text().splitlines()
    count.publishes, count.origins = len(lines), Counter(line.split(" ")[0] for line in lines)
