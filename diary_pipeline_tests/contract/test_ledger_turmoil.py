"""Intake, sensors, backfills, dying runs and late commits at once leave the books right; on both databases."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from diary_pipeline.core.batch import Batch, Stage
from diary_pipeline.core.errors import Fenced
from diary_pipeline.ledger import batches, leases, recordings
from diary_pipeline.ledger.commits import Change, record
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.planner import PlanLimits
from diary_pipeline.ledger.tables import batch_items, work
from diary_pipeline.ledger.tables import batches as batch_table
from diary_pipeline_tests.builders import make_recording
from diary_pipeline_tests.contract.batch_work import LEASE_S, accept, open_, plan
from diary_pipeline_tests.contract.test_ledger_submissions import submit

ROUNDS = 12
LIMITS = PlanLimits(max_minutes=60, max_recordings=6, max_open=50, max_batches=3)
STAGES: tuple[Stage, ...] = ("transcript", "note")


class Turmoil:
    """Everybody who writes to a ledger, each behaving well or badly at random."""

    def __init__(self, ledger: Ledger, chance: random.Random) -> None:
        self.ledger, self.chance = ledger, chance
        self.keys = accept(ledger, 10)

    def intake(self) -> None:
        """Bring new recordings, and old ones for another model."""
        self.keys.extend(accept(self.ledger, 2, priority=self.chance.randrange(4)))
        with self.ledger.reading() as conn:
            there = recordings.get(conn, self.chance.choice(list(self.keys)))
        model = self.chance.choice(["tiny.en", "small"])
        again = make_recording(content_sha256=there.content_sha256, file_name=there.file_name, whisper_model=model)
        recordings.accept(self.ledger, submit(self.ledger), again, 1, 60)

    def sensor(self) -> None:
        """Plan and run batches, and take one from a run that may well be alive."""
        stage = self.chance.choice(STAGES)
        for id in plan(self.ledger, LIMITS, stage):
            self.run(id, 1)
        for batch in list(open_(self.ledger, stage).values())[:1]:
            batches.next_attempt(self.ledger, batch.id, batch.attempt)
            self.run(batch.id, batch.attempt + (batch.state != "planned"))

    def backfill(self) -> None:
        """Take some recordings by hand, now and then by force."""
        some, name = self.chance.sample(list(self.keys), 8), f"backfill{self.chance.random()}"
        stage, force = self.chance.choice(STAGES), self.chance.random() < 0.3
        self.work(batches.claim_keys(self.ledger, stage, some, name, LEASE_S, force=force))

    def run(self, id: str, attempt: int) -> None:
        """Carry a batch, unless somebody else does."""
        try:
            self.work(batches.claim_batch(self.ledger, id, attempt, f"run{self.chance.random()}", LEASE_S))
        except Fenced:
            return

    def work(self, batch: Batch) -> None:
        """Commit and give back; or live on, be given up for dead, or raise before the commit."""
        fate = self.chance.random()
        if batch.leases and fate < 0.7:
            status = "generating_notes" if batch.stage == "transcript" else "completed"
            version = f"{self.chance.random()}"
            changes = [Change(x.key, x.epoch, status, version) for x in batch.leases]  # type: ignore[arg-type]
            record(self.ledger, kind=batch.stage, object_id=version, size_bytes=1, changes=changes)
        elif batch.leases and fate < 0.8:
            leases.heartbeat(self.ledger, batch.leases[0].holder, LEASE_S)
        elif batch.leases and fate < 0.9:
            batches.next_attempt(self.ledger, batch.id)
            return
        batches.release(self.ledger, batch)


def count(ledger: Ledger, statement: sa.Select[tuple[int]]) -> int:
    """Count what should not be there."""
    with ledger.reading() as conn:
        return conn.execute(statement).scalar_one()


def test_no_work_is_ever_carried_by_a_closed_batch_and_no_batch_stays_open_without_work(ledger: Ledger) -> None:
    turmoil = Turmoil(ledger, random.Random(7))

    def repeat(act: Callable[[], None]) -> None:
        for _ in range(ROUNDS):
            act()

    acts = [turmoil.intake, turmoil.intake, *[turmoil.sensor] * 3, *[turmoil.backfill] * 3]
    with ThreadPoolExecutor(len(acts)) as pool:
        for done in [pool.submit(repeat, act) for act in acts]:
            done.result()

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
