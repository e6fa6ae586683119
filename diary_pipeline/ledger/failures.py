"""Each time something failed: when, at which stage, by which code, and whether it was to be tried again by itself.

Written in the transactions that note a failure; read by people who ask for the whole history of one. The surprise: a
recording that is well today keeps its rows for a while, because why it took three tries is often asked afterwards. Then
they go, of what failed for good too: its last code and sentence stand with it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.statements import CHUNK, each, now
from diary_pipeline.ledger.tables import recordings, submissions
from diary_pipeline.ledger.tables_jobs import failures

KEPT_S = 30 * 86_400.0
"""After their recording has ended; the events that told of it are kept as long."""


@dataclass(frozen=True)
class Failure:
    """One failure of a recording, or of a submission that became none."""

    subject: str
    """Recording key or submission id."""
    stage: str
    """`intake`, `transcript` or `note`."""
    code: str
    at: float
    again_at: float | None = None
    """When it was to be tried again by itself; None: it was not."""


def note_failures(tx: sa.Connection, some: Iterable[Failure]) -> None:
    """Write down what failed now."""
    if rows := [vars(failure) for failure in some]:
        tx.execute(failures.insert(), rows)


def failures_of(conn: sa.Connection, subject: str) -> list[Failure]:
    """Return how often and why one failed, the first time first."""
    columns = (failures.c[name] for name in Failure.__dataclass_fields__)
    rows = conn.execute(sa.select(*columns).where(failures.c.subject == subject).order_by(failures.c.id))
    return [Failure(*row) for row in rows]


def forget_old(ledger: Ledger, older_than_s: float = KEPT_S) -> int:
    """Forget the failures of what has ended longer ago, or is known no more; return how many went."""
    after, went = 0, 0
    while True:
        with ledger.writing() as tx:
            limit = now(tx) - older_than_s
            chosen = sa.select(failures.c.id, failures.c.subject, failures.c.at).where(failures.c.id > after)
            # Ids rise with time: behind the first young one is nothing old.
            rows = [row for row in tx.execute(chosen.order_by(failures.c.id).limit(CHUNK)) if row.at < limit]
            kept: set[str] = set()
            for id, ended_at in ((recordings.c.key, recordings.c.ended_at), (submissions.c.id, submissions.c.ended_at)):
                known = each(tx, sa.select(id, ended_at), id, sorted({row.subject for row in rows}))
                kept |= {subject for subject, ended in known if ended is None or ended >= limit}
            old = [row.id for row in rows if row.subject not in kept]
            tx.execute(failures.delete().where(failures.c.id.in_(old)))
        went += len(old)
        if len(rows) < CHUNK:
            return went
        after = rows[-1].id
