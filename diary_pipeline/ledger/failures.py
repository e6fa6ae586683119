"""Each time something failed: when, at which stage, by which code, and whether it was to be tried again by itself.

Written in the transactions that note a failure; read by people who ask for the whole history of one. The surprise: a
recording that is well today keeps its rows, because why it took three tries is often asked afterwards.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.ledger.tables_jobs import failures


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
