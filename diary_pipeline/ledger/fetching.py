"""Who is bringing the bytes of a submission, and how far they have come.

A lease is a moment in `not_before`: until then nobody else looks at the submission, and afterwards it is anybody's, so
that a fetcher which was killed is forgotten by itself. The surprise: the moment is also the lease's only name. Whoever
finds another one there has lost the lease, to somebody else or to a cancellation.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.core.errors import DiaryError, Fenced
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.statements import now
from diary_pipeline.ledger.tables import WAITING, submissions


@dataclass(frozen=True)
class FetchLease:
    """The right to bring the bytes of one submission, for a while."""

    submission_id: str
    until: float
    """By the database's clock."""


def begin(ledger: Ledger, id: str, lease_s: float) -> FetchLease | None:
    """Take a waiting submission; None: it is somebody else's, pauses, or waits no longer."""
    with ledger.writing() as tx:
        at = now(tx)
        free = (submissions.c.id == id) & (submissions.c.not_before <= at)
        lease = FetchLease(id, at + lease_s)
        taken = tx.execute(
            submissions.update().where(free, WAITING).values(not_before=lease.until, fetching_since=at, **_NO_REASON)
        ).rowcount
        return lease if taken else None


def renew(
    ledger: Ledger, lease: FetchLease, lease_s: float, received_bytes: int, expected_bytes: int | None
) -> FetchLease:
    """Say how far it has come and keep the lease for so long from now; Fenced when it is lost."""
    with ledger.writing() as tx:
        longer = FetchLease(lease.submission_id, now(tx) + lease_s)
        values = {"not_before": longer.until, "received_bytes": received_bytes, "expected_bytes": expected_bytes}
        if not tx.execute(_held(lease).values(**values)).rowcount:
            raise Fenced("fetch_lease_lost", "The submission was cancelled, or another worker fetches it now.")
        return longer


def release(ledger: Ledger, lease: FetchLease, wait_s: float = 0.0, *, failed: DiaryError | None = None) -> None:
    """Let others take it after `wait_s`; nothing happens when the lease is lost.

    `failed` counts an attempt, and is shown until the next one begins.
    """
    counted: dict[str, object] = {}
    if failed is not None:
        counted = {"attempts": submissions.c.attempts + 1, "fetching_since": None}
        counted |= {"reason_code": failed.code, "message": failed.message}
    with ledger.writing() as tx:
        tx.execute(_held(lease).values(not_before=now(tx) + wait_s if wait_s else 0.0, **counted))


_NO_REASON = {"reason_code": None, "message": None}


def _held(lease: FetchLease) -> sa.Update:
    mine = (submissions.c.id == lease.submission_id) & (submissions.c.not_before == lease.until)
    return submissions.update().where(mine, WAITING)
