"""What the tests of batches and claims share: recordings accepted, planned, claimed, committed, looked at."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from diary_pipeline.core.batch import Batch, Stage
from diary_pipeline.ledger import batches, recordings
from diary_pipeline.ledger.commits import Change, record
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.planner import PlanLimits
from diary_pipeline.ledger.tables import batch_items, work
from diary_pipeline.ledger.tables import holders as holders_table
from diary_pipeline_tests.builders import make_recording
from diary_pipeline_tests.contract.test_ledger_submissions import submit

LIMITS = PlanLimits(max_minutes=60, max_recordings=3, max_open=2)
LEASE_S = 600.0


def accept(ledger: Ledger, count: int, priority: int = 1, **changes: Any) -> list[str]:
    """Accept recordings of a minute and return their keys."""
    keys = []
    for _ in range(count):
        id = submit(ledger, owner=changes.get("owner", "me"))
        recording = make_recording(file_name=f"{id}.m4a", **changes)
        keys.append(recordings.accept(ledger, id, recording, priority, 60.0).key)
    return sorted(keys)


def plan(ledger: Ledger, limits: PlanLimits = LIMITS, stage: Stage = "transcript") -> list[str]:
    """Plan and request."""
    ids = batches.plan_waiting(ledger, stage, limits)
    batches.mark_requested(ledger, ids)
    return ids


def batch_of(ledger: Ledger, count: int = 3) -> tuple[str, list[str]]:
    """Accept recordings, and plan and request one batch of them."""
    keys = accept(ledger, count)
    (id,) = plan(ledger)
    return id, keys


def claim(ledger: Ledger, id: str, attempt: int = 1, holder: str = "run1") -> Batch:
    """Claim a batch for a run."""
    return batches.claim_batch(ledger, id, attempt, holder, LEASE_S)


def claim_keys(ledger: Ledger, keys: Iterable[str], holder: str = "backfill", stage: Stage = "transcript") -> Batch:
    """Claim recordings for a backfill."""
    return batches.claim_keys(ledger, stage, list(keys), holder, LEASE_S)


def commit(ledger: Ledger, batch: Batch, version: str = "v1", keys: Iterable[str] | None = None) -> Any:
    """Commit what a batch holds, or some of it."""
    chosen = [lease for lease in batch.leases if keys is None or lease.key in keys]
    status, needs = ("generating_notes", None) if batch.stage == "transcript" else ("completed", ("transcript", "v1"))
    changes = [Change(x.key, x.epoch, status, version, requires=needs) for x in chosen]  # type: ignore[arg-type]
    return record(ledger, kind=batch.stage, object_id=f"{batch.id}/{version}", size_bytes=1, changes=changes)


def expire(ledger: Ledger, holder: str) -> None:
    """Let a holder have been silent for longer than its lease."""
    with ledger.writing() as tx:
        tx.execute(work.update().where(work.c.holder == holder).values(expires_at=1.0))
        tx.execute(holders_table.update().where(holders_table.c.holder == holder).values(expires_at=1.0))


def open_(ledger: Ledger, stage: Stage = "transcript") -> dict[str, batches.OpenBatch]:
    """Return the open batches by id."""
    with ledger.reading() as conn:
        return {b.id: b for b in batches.open_batches(conn, stage)}


def outcomes(ledger: Ledger, id: str) -> dict[str, str | None]:
    """Return what became of each recording of a batch."""
    with ledger.reading() as conn:
        columns = (batch_items.c.recording_key, batch_items.c.outcome)
        return dict(conn.execute(sa.select(*columns).where(batch_items.c.batch_id == id)).tuples().all())


def works(ledger: Ledger, stage: Stage = "transcript") -> dict[str, Any]:
    """Return the work rows of a stage by key."""
    with ledger.reading() as conn:
        return {r.recording_key: r for r in conn.execute(sa.select(work).where(work.c.stage == stage))}


def status(ledger: Ledger, key: str) -> str:
    """Return the status of a recording."""
    with ledger.reading() as conn:
        return recordings.rows(conn, [key])[0].status


def release(ledger: Ledger, batch: Batch) -> None:
    """Give back what a batch holds, to be planned again at once."""
    batches.release(ledger, batch, retry_s=0)


def held(batch: Batch) -> list[str]:
    """Return the keys a batch may commit."""
    return [lease.key for lease in batch.leases]


# planning
