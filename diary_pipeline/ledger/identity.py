"""Which ledger this is: an id of its own, when it was made, and whether it came back from a backup.

What a store makes of that is upkeep/belonging.py's business. The surprise: a restored ledger keeps its id, because the
objects are still its own, but it has never heard of what was written after its backup was taken.
"""

import uuid
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.ledger.connect import Ledger, now
from diary_pipeline.ledger.tables import identity


@dataclass(frozen=True)
class Identity:
    """The one row there is."""

    ledger_id: str
    made_at: float
    restored_at: float | None
    """When a backup was put back last; None: never."""


def begin_identity(tx: sa.Connection) -> None:
    """Give a ledger its id."""
    tx.execute(identity.insert().values(id=1, ledger_id=uuid.uuid4().hex, made_at=now(tx)))


def identity_of(conn: sa.Connection) -> Identity:
    """Return which ledger this is."""
    return Identity(*conn.execute(_IDENTITY).one())


def note_restored(ledger: Ledger) -> None:
    """Note that this ledger was just put back from a backup."""
    with ledger.writing() as tx:
        tx.execute(identity.update().values(restored_at=now(tx)))


_IDENTITY = sa.select(*(identity.c[name] for name in Identity.__dataclass_fields__))
