"""Which ledger this is: an id of its own, when it was made, and whether it came back from a backup.

What a store makes of that is upkeep/belonging.py's business. The surprise: a restored ledger keeps its id, because the
objects are still its own, but it has never heard of what was written after its backup was taken.
"""

import uuid
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.statements import insert_missing, now
from diary_pipeline.ledger.tables import clock, identity

COURSE = 1_000_000_000
"""Ticks of the commit clock between two restores at least. A ledger that was put back counts on from the second when
that was, times this, so what was made from it tells by its watermark alone which course it followed."""


@dataclass(frozen=True)
class Identity:
    """The one row there is."""

    ledger_id: str
    made_at: float
    restored_at: float | None
    """When a backup was put back last; None: never."""


def begin_identity(tx: sa.Connection) -> None:
    """Give a ledger its id."""
    # There is one already where a backup from before this table was put back into a PostgreSQL that has it.
    insert_missing(tx, identity, {"id": 1, "ledger_id": uuid.uuid4().hex, "made_at": now(tx)})


def identity_of(conn: sa.Connection) -> Identity:
    """Return which ledger this is."""
    return Identity(*conn.execute(_IDENTITY).one())


def note_restored(ledger: Ledger) -> None:
    """Note that this ledger was just put back from a backup, and set its clock on to where it never was.

    What was made at an earlier tick, on whatever machine, may hold commits that are gone: see `restored_seq`.
    """
    with ledger.writing() as tx:
        at = now(tx)
        tx.execute(identity.update().values(restored_at=at))
        tx.execute(clock.update().values(n=_tick(at)).where(clock.c.n < _tick(at)))


def restored_seq(conn: sa.Connection) -> int:
    """Return the tick of the commit clock that restoring set it to; 0: never.

    A catalogue, index or mart with a lower watermark may be of a course that the diary did not take.
    """
    at = identity_of(conn).restored_at
    return 0 if at is None else _tick(at)


def course_of(seq: int) -> int:
    """Return which course of the diary a tick belongs to: another one after every restore."""
    return seq // COURSE


def ticks_between(seen: int, head: int) -> int:
    """Return how many ticks came after the one that was seen; after a restore those since, and that itself as one."""
    return head - seen if course_of(seen) == course_of(head) else head % COURSE + 1


def _tick(at: float) -> int:
    return int(at) * COURSE


_IDENTITY = sa.select(*(identity.c[name] for name in Identity.__dataclass_fields__))
