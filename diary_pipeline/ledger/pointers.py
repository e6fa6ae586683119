"""Pointers: which object is current for each subject and kind, and what was before.

Whether a pointer may move is decided by who moves it, inside its own transaction: commits.py, versions.py (going back).

What surprises: an erasure leaves a pointer at nothing, so that who reads on from a watermark learns of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import sqlalchemy as sa

from diary_pipeline.ledger.stale import first_again_at
from diary_pipeline.ledger.statements import each, now
from diary_pipeline.ledger.tables import history, pointers

PointerKind = Literal["transcript", "note", "outcome", "correction"]


@dataclass(frozen=True, slots=True)  # a rebuild holds one for everything there is
class Pointer:
    """What is current for one subject: a recording key or, for a refusal, a submission id."""

    subject: str
    kind: PointerKind
    owner: str
    version: str | None
    object_id: str | None
    """None: erased."""
    seq: int
    made_with: str | None = None
    """Of a note; see tables.py."""


def pointer(conn: sa.Connection, subject: str, kind: PointerKind) -> Pointer | None:
    """Return what is current for one subject, or None when nothing ever was."""
    row = conn.execute(_POINTERS.where(pointers.c.subject == subject, pointers.c.kind == kind)).one_or_none()
    return Pointer(*row) if row else None


def pointers_of(conn: sa.Connection, subjects: Sequence[str], kind: PointerKind) -> dict[str, Pointer]:
    """Return what is current for each of many subjects; those without a pointer are left out."""
    rows = each(conn, _POINTERS.where(pointers.c.kind == kind), pointers.c.subject, subjects)
    return {row.subject: Pointer(*row) for row in rows}


def pointers_since(conn: sa.Connection, watermark: int) -> list[Pointer]:
    """Return every pointer that moved after a watermark, erased ones too, in commit order."""
    rows = conn.execute(_POINTERS.where(pointers.c.seq > watermark).order_by(pointers.c.seq, pointers.c.subject))
    # A rebuild holds a pointer for everything there is: 181 bytes each with what they share kept once, else 505.
    same: dict[Any, Any] = {}
    return [Pointer(row[0], *(same.setdefault(value, value) for value in row[1:])) for row in rows]


def current_of(conn: sa.Connection, subjects: Sequence[str]) -> Mapping[tuple[str, str], Pointer]:
    """Return what is current for many subjects, by subject and kind."""
    rows = each(conn, _POINTERS, pointers.c.subject, subjects)
    return {(row.subject, row.kind): Pointer(*row) for row in rows}


def move(tx: sa.Connection, kind: PointerKind, moved: Sequence[Pointer]) -> None:
    """Replace pointers of one kind and remember them; delete and insert is an upsert that both databases know."""
    if not moved:
        return
    subjects = [p.subject for p in moved]
    each(tx, pointers.delete().where(pointers.c.kind == kind), pointers.c.subject, subjects)
    rows = [asdict(p) for p in moved]
    at = now(tx)
    again = [{"again_at": first_again_at(p.made_with, at)} for p in moved]
    tx.execute(pointers.insert(), [row | due for row, due in zip(rows, again, strict=True)])
    tx.execute(history.insert(), [{name: row[name] for name in history.c.keys()} for row in rows])  # noqa: SIM118 - a collection of columns


_POINTERS = sa.select(*(pointers.c[name] for name in Pointer.__dataclass_fields__))
