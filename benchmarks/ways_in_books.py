"""The books of a deployment at the end: what was accepted against what the ledger and the published catalogue hold.

No process that was killed is asked. What surprises: a process killed between an upload's bytes and its row, or between
its audio and the removal of the upload, leaves an object behind (`left_over`). `diary reconcile` removes it after a
day, so the books make it a day old, reconcile, and want it gone.
"""

import os
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import duckdb
import sqlalchemy as sa

from benchmarks.ways_in_senders import Sent
from diary_pipeline.ledger.clock import clock_now
from diary_pipeline.ledger.publications import place_of, published_watermark
from diary_pipeline.ledger.tables import history, pointers, submissions
from diary_pipeline.storage.keys import UPLOADS
from diary_pipeline.upkeep.differences.uploads import KEPT_S
from diary_pipeline.wiring.deployment import Wiring

WELL = ("completed", "degraded")
ILL = ("failed", "refused", "cancelled")


@dataclass
class Books:
    """What came of the uploads. `faults` must be empty."""

    accepted: int = 0
    unsure: int = 0
    """Their senders got no answer and could not ask again."""
    unsure_taken: int = 0
    completed: int = 0
    failed: int = 0
    pending: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    """Why those that failed did."""
    made_twice: int = 0
    """Transcripts and notes that were committed more than once; one of them is current."""
    left_over: int = 0
    """Uploaded objects that no submission waits for."""
    faults: list[str] = field(default_factory=list)

    def demand(self, what: str, wrong: Collection[object]) -> None:
        """Note a fault if anything is wrong."""
        if wrong:
            self.faults.append(f"{len(wrong)} {what}, such as {next(iter(wrong))}")


def is_drained(wiring: Wiring, at_least: int) -> bool:
    """Whether so many submissions are there, all have ended, and everybody can see what was made of them."""
    with wiring.ledger.reading() as conn:
        open_ones = Counter(conn.execute(sa.select(submissions.c.ended_at.is_(None))).scalars())
        shown = published_watermark(conn, place_of(wiring.settings.catalogue_file))
        return open_ones[True] == 0 and open_ones[False] >= at_least and shown == clock_now(conn)


def balance(wiring: Wiring, uploads: Sequence[Sent]) -> Books:
    """Count, and say in `faults` what does not balance."""
    with wiring.ledger.reading() as conn:
        rows = conn.execute(sa.select(submissions)).all()
        shown = published_watermark(conn, place_of(wiring.settings.catalogue_file))
    found = Counter(row.file_name for row in rows)
    id_of = {row.file_name: row.id for row in rows}
    accepted = [sent for sent in uploads if sent.state == "accepted"]
    unsure = [sent.path.name for sent in uploads if sent.state == "unsure"]
    books = Books(accepted=len(accepted), unsure=len(unsure), unsure_taken=sum(name in found for name in unsure))
    books.completed = sum(row.status in WELL for row in rows)
    books.failed = sum(row.status in ILL for row in rows)
    books.pending = len(rows) - books.completed - books.failed
    books.codes = Counter(row.reason_code for row in rows if row.status in ILL)
    books.demand("accepted and lost", [sent.path.name for sent in accepted if sent.path.name not in found])
    books.demand("submitted twice", [name for name, n in found.items() if n > 1])
    books.demand("with another id", [s.job_id for s in accepted if s.job_id and s.job_id != id_of.get(s.path.name)])
    books.demand("sent by nobody", set(found) - {sent.path.name for sent in uploads})
    books.demand(
        "of one recording",
        [key for key, n in Counter(r.recording_key for r in rows if r.recording_key).items() if n > 1],
    )
    well = {row.recording_key for row in rows if row.status in WELL}
    _judge_what_is_current(wiring, books, well)
    _judge_catalogue(wiring, books, {r.recording_key for r in rows if r.status in WELL and r.commit_seq <= shown})
    _judge_objects(wiring, books)
    return books


def _judge_what_is_current(wiring: Wiring, books: Books, well: Collection[str]) -> None:
    with wiring.ledger.reading() as conn:
        for kind in ("transcript", "note"):
            is_there = (pointers.c.kind == kind) & pointers.c.object_id.is_not(None)
            current = conn.execute(sa.select(pointers.c.subject).where(is_there)).scalars().all()
            books.demand(f"completed without a {kind}", set(well) - set(current))
            made = Counter(conn.execute(sa.select(history.c.subject).where(history.c.kind == kind)).scalars())
            books.made_twice += sum(n > 1 for n in made.values())


def _judge_catalogue(wiring: Wiring, books: Books, well: Collection[str]) -> None:
    if not wiring.settings.catalogue_file.exists():
        books.demand("published, and there is no catalogue", well)
        return
    with duckdb.connect(str(wiring.settings.catalogue_file), read_only=True) as db:
        for table in ("recordings", "notes"):
            keys = Counter(key for (key,) in db.execute(f"SELECT recording_key FROM {table}").fetchall())
            books.demand(f"twice in the catalogue's {table}", [key for key, n in keys.items() if n > 1])
            books.demand(f"completed and not in the catalogue's {table}", set(well) - set(keys))


def _judge_objects(wiring: Wiring, books: Books) -> None:
    store = wiring.store
    long_ago = time.time() - KEPT_S - 1
    for key in store.list(UPLOADS):
        os.utime(store.path(key), (long_ago, long_ago))
    before = set(store.list(UPLOADS))
    wiring.reconcile()
    after = set(store.list(UPLOADS))
    books.left_over = len(before - after)
    books.demand("uploads kept that nobody waits for", sorted(_unwanted(wiring, after)))


def _unwanted(wiring: Wiring, keys: Collection[str]) -> Iterator[str]:
    waits = (submissions.c.status == "pending") & submissions.c.recording_key.is_(None)
    with wiring.ledger.reading() as conn:
        waiting = set(conn.execute(sa.select(submissions.c.id).where(waits)).scalars())
    return (key for key in keys if key.removeprefix(UPLOADS) not in waiting)
