"""How a job is ended by whoever asked for it: cancelled while it is unfinished, removed once it has ended."""

from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from diary_pipeline.core.batch import ENDED
from diary_pipeline.core.errors import NotFound
from diary_pipeline.core.seal import Seal
from diary_pipeline.ledger.connect import Ledger, now
from diary_pipeline.ledger.tables import submissions
from diary_pipeline.ledger.tables_jobs import idempotency_keys, jobs


@dataclass(frozen=True)
class Gone:
    """What became of a job that nobody wants any more."""

    how: Literal["cancelled", "removed"]
    erasure_id: str | None = None
    """Of its recording, hidden now, which upkeep erases for good; None: another job holds it, or there is none."""


def cancel_or_remove(ledger: Ledger, seal: Seal, id: str, owner: str | None = None) -> Gone:
    """Cancel an unfinished job, remove an ended one. NotFound `job_missing`, also for somebody else's job."""
    return ledger.write(lambda tx: _cancel_or_remove(tx, id, owner))


def _cancel_or_remove(tx: sa.Connection, id: str, owner: str | None) -> Gone:
    mine = submissions.c.id == id
    row = tx.execute(sa.select(submissions).where(mine).with_for_update()).one_or_none()
    if row is None or owner not in (None, row.owner):
        raise NotFound("job_missing", f"There is no job {id}.")
    if row.status not in ENDED:
        tx.execute(submissions.update().where(mine).values(status="cancelled", ended_at=now(tx)))
        return Gone("cancelled")
    for column in (jobs.c.submission_id, idempotency_keys.c.submission_id, submissions.c.id):
        tx.execute(column.table.delete().where(column == id))
    return Gone("removed")
