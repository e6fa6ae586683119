"""Intake, sensors, backfills, dying runs and late commits at once leave the books right; on both databases."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from diary_pipeline.core.batch import Batch, Lease, Stage
from diary_pipeline.core.errors import Fenced
from diary_pipeline.ledger import batches, leases, recordings, submissions
from diary_pipeline.ledger.commits import Change, record
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.planner import PlanLimits
from diary_pipeline.ledger.pointers import pointers_of
from diary_pipeline.ledger.tables import batch_items, history, work
from diary_pipeline.ledger.tables import batches as batch_table
from diary_pipeline_tests.builders import make_recording
from diary_pipeline_tests.contract.batch_work import LEASE_S, accept, open_, plan
from diary_pipeline_tests.contract.test_ledger_submissions import submit

ROUNDS = 12
LIMITS = PlanLimits(max_minutes=60, max_recordings=6, max_open=50, max_batches=3)
STAGES: tuple[Stage, ...] = ("transcript", "note")
MODELS = ("tiny.en", "base", "small")


class Turmoil:
    """Everybody who writes to a ledger, each behaving well or badly at random."""

    def __init__(self, ledger: Ledger, chance: random.Random) -> None:
        self.ledger, self.chance = ledger, chance
        self.keys = accept(ledger, 10)
        self.asked: dict[str, list[tuple[str, str]]] = {}
        """What was asked for after the first time: submission and model, in the order of the ledger's transactions."""
        self.asking = threading.Lock()
        self.fates = (0.0, 1.0)

    def intake(self) -> None:
        """Bring new recordings, and old ones for another model."""
        self.keys.extend(accept(self.ledger, 2, priority=self.chance.randrange(4)))
        with self.ledger.reading() as conn:
            there = recordings.get(conn, self.chance.choice(list(self.keys)))
        model = self.chance.choice(MODELS)
        again = make_recording(content_sha256=there.content_sha256, file_name=there.file_name, whisper_model=model)
        id = submit(self.ledger)
        with self.asking:
            recordings.accept(self.ledger, id, again, 1, 60)
            self.asked.setdefault(there.key, []).append((id, model))

    def sensor(self) -> None:
        """Plan and run batches, and take one from a run that may well be alive."""
        stage = self.chance.choice(STAGES)
        for id in plan(self.ledger, LIMITS, stage):
            self.run(id, 1)
        self.recover(stage)

    def recover(self, stage: Stage) -> None:
        """Take a batch from its run."""
        for batch in list(open_(self.ledger, stage).values())[:1]:
            if self.chance.random() < 0.3:
                self.halve(batch)
                continue
            batches.next_attempt(self.ledger, batch.id, batch.attempt)
            self.run(batch.id, batch.attempt + (batch.state != "planned"))

    def halve(self, batch: batches.OpenBatch) -> None:
        """Divide a batch, unless somebody else was at it."""
        try:
            halves = batches.halve(self.ledger, batch.id, batch.attempt, 1)
        except Fenced:
            return
        for id in halves:
            self.run(id, 1)

    def drain(self) -> None:
        """Do what is left to do, with runs that all behave."""
        self.fates = (0.0, 0.0)
        while any(plan(self.ledger, LIMITS, stage) or open_(self.ledger, stage) for stage in STAGES):
            for stage in STAGES:
                for batch in open_(self.ledger, stage).values():
                    batches.next_attempt(self.ledger, batch.id)
                    self.run(batch.id, batch.attempt + (batch.state != "planned"))

    def backfill(self) -> None:
        """Take some recordings by hand, now and then with leases that anybody may take."""
        some, name = self.chance.sample(list(self.keys), 8), f"backfill{self.chance.random()}"
        stage, lease_s = self.chance.choice(STAGES), self.chance.choice([LEASE_S, LEASE_S, -1])
        self.work(batches.claim_keys(self.ledger, stage, some, name, lease_s))

    def run(self, id: str, attempt: int) -> None:
        """Carry a batch, unless somebody else does."""
        try:
            self.work(batches.claim_batch(self.ledger, id, attempt, f"run{self.chance.random()}", LEASE_S))
        except Fenced:
            return

    def work(self, batch: Batch) -> None:
        """Commit and give back; or live on, be given up for dead, or raise before the commit."""
        fate = self.chance.uniform(*self.fates)
        if batch.leases and fate < 0.7:
            changes = self.made(batch)
            while changes:
                object_id = f"{self.chance.random()}"
                done = record(self.ledger, kind=batch.stage, object_id=object_id, size_bytes=1, changes=changes)
                changes = [c for c in changes if c.key not in {*done.committed, *done.dropped}]
        elif batch.leases and fate < 0.8:
            leases.heartbeat(self.ledger, batch.leases[0].holder, LEASE_S)
        elif batch.leases and fate < 0.9:
            batches.next_attempt(self.ledger, batch.id)
            return
        batches.release(self.ledger, batch, retry_s=0)

    def made(self, batch: Batch) -> list[Change]:
        """Return what a stage makes: a transcript by the wanted model, a note of the transcript that is there."""
        keys = [lease.key for lease in batch.leases]
        with self.ledger.reading() as conn:
            models = {r.recording.key: r.recording.whisper_model for r in recordings.rows(conn, keys)}
            heard = pointers_of(conn, keys, "transcript")

        def change(lease: Lease) -> Change:
            if batch.stage == "transcript":
                return Change(lease.key, lease.epoch, "generating_notes", models[lease.key])
            if lease.key not in heard:
                return Change(lease.key, lease.epoch, "failed", None, "transcript_missing")
            model = heard[lease.key].version or ""
            return Change(lease.key, lease.epoch, "completed", f"note of {model}", requires=("transcript", model))

        return [change(lease) for lease in batch.leases]


def count(ledger: Ledger, statement: sa.Select[tuple[int]]) -> int:
    """Count what should not be there."""
    with ledger.reading() as conn:
        return conn.execute(statement).scalar_one()


def test_what_is_asked_for_last_is_what_is_made_and_the_books_are_right_all_the_way(ledger: Ledger) -> None:
    turmoil = Turmoil(ledger, random.Random(7))

    def repeat(act: Callable[[], None]) -> None:
        for _ in range(ROUNDS):
            act()

    acts = [turmoil.intake, turmoil.intake, *[turmoil.sensor] * 3, *[turmoil.backfill] * 3]
    with ThreadPoolExecutor(len(acts)) as pool:
        for done in [pool.submit(repeat, act) for act in acts]:
            done.result()
    the_books_are_right(ledger)
    turmoil.drain()
    the_books_are_right(ledger)
    assert open_(ledger) == open_(ledger, "note") == {}

    with ledger.reading() as conn:
        rows = recordings.rows(conn, turmoil.keys)
        made = {kind: pointers_of(conn, turmoil.keys, kind) for kind in STAGES}
        noted = sa.select(history.c.subject, history.c.seq, history.c.version).where(history.c.kind == "note")
        notes = conn.execute(noted.order_by(history.c.seq)).tuples().all()
        answers = {key: submissions.get(conn, [id for id, _ in asked]) for key, asked in turmoil.asked.items()}
    for row in rows:
        key, model = row.recording.key, row.recording.whisper_model
        versions = [made[kind][key].version for kind in STAGES]
        assert (row.status, versions) == ("completed", [model, f"note of {model}"])
    for key, asked in turmoil.asked.items():
        for n, answer in enumerate(answers[key]):
            assert answer.status == "completed"
            told = [version for subject, seq, version in notes if subject == key and seq <= (answer.commit_seq or 0)]
            assert told[-1] in {f"note of {model}" for _, model in asked[n:]}, "somebody else's note, asked for before"


def the_books_are_right(ledger: Ledger) -> None:
    """No work is carried by a closed batch, and no batch stays open without work."""
    item_open = sa.exists().where(batch_items.c.batch_id == batch_table.c.id, batch_items.c.outcome.is_(None))
    closed = batch_table.c.state == "closed"
    carried = sa.exists().where(
        batch_items.c.batch_id == work.c.batch_id,
        batch_items.c.recording_key == work.c.recording_key,
        batch_items.c.outcome.is_(None),
    )
    counted = sa.select(sa.func.count())
    assert count(ledger, counted.select_from(batch_table).where(closed, item_open)) == 0
    assert count(ledger, counted.select_from(batch_table).where(~closed, ~item_open)) == 0
    assert count(ledger, counted.select_from(work).where(work.c.state == "planned", ~carried)) == 0
    assert count(ledger, counted.select_from(work).where(work.c.state != "planned", work.c.holder.is_not(None))) == 0
