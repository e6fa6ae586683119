"""The log's objects as the ledger knows them, and the one transaction that puts new ones in the place of old ones.

Which rows the new ones hold is for those who write them to say (catalogue/rewrite.py, catalogue/merge.py).

What surprises: `seq` does not move, because what users see does not change; the published file is left alone. And a
replaced object stays on a list until its bytes are gone, so that a crash before that leaves nothing that erasure could
not find.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from diary_pipeline.ledger.clock import next_seq
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.pointers import PointerKind
from diary_pipeline.ledger.statements import each, now
from diary_pipeline.ledger.tables import commits, history, pointers, replaced_objects


@dataclass(frozen=True)
class Holding:
    """One row of `history`: an object holds the rows of a subject."""

    subject: str
    kind: PointerKind
    seq: int
    version: str | None
    object_id: str
    made_with: str | None = None


@dataclass(frozen=True)
class LogObject:
    """An object and the commit that brought it."""

    object_id: str
    kind: PointerKind
    size_bytes: int
    committed_at: float


@dataclass(frozen=True)
class NewObject:
    """A staged object that is to hold what older ones hold now."""

    object_id: str
    size_bytes: int
    holds: Sequence[Holding]
    """As they stand in the older ones."""


def objects_of(conn: sa.Connection, subjects: Iterable[str]) -> list[str]:
    """Return the ids of all objects that hold rows of these subjects, superseded ones too."""
    rows = each(conn, sa.select(history.c.object_id).distinct(), history.c.subject, subjects)
    return sorted({row.object_id for row in rows})


def holdings(conn: sa.Connection, object_ids: Iterable[str]) -> list[Holding]:
    """Return what the ledger says that these objects hold."""
    return [Holding(*row) for row in each(conn, _HOLDINGS, history.c.object_id, object_ids)]


def of_month(conn: sa.Connection, prefix: str) -> list[str]:
    """Return the ids of the committed objects that begin with a prefix: those of a month, or all."""
    return list(conn.execute(sa.select(commits.c.object_id).where(commits.c.object_id.startswith(prefix))).scalars())


def newest(conn: sa.Connection, count: int) -> list[str]:
    """Return the ids of the objects that were committed last."""
    ids = sa.select(commits.c.object_id).order_by(commits.c.seq.desc()).limit(count)
    return list(conn.execute(ids).scalars())


def commit_of(conn: sa.Connection, object_id: str) -> LogObject | None:
    """Return what brought an object; None: another has taken its place."""
    row = conn.execute(_OBJECTS.where(commits.c.object_id == object_id)).one_or_none()
    return LogObject(*row) if row else None


def let_go(conn: sa.Connection) -> list[Holding]:
    """Return what current pointers would name if the bytes of its objects had not been lost."""
    gone = sa.and_(pointers.c.object_id.is_(None), pointers.c.version.is_not(None))
    return [Holding(*row) for row in conn.execute(_HOLDINGS.join(pointers, IS_THAT_OF_POINTER).where(gone))]


def replace(ledger: Ledger, old: Sequence[str], seen: Iterable[Holding], new: Sequence[NewObject]) -> bool:
    """Let `new` take the place of `old`, and drop from history what none of them holds; False: nothing was done.

    False means that the old objects no longer hold what was `seen`, or that something current would be dropped. What
    is current must be in the first of the new ones.
    """
    if len(new) > len(old):
        raise ValueError("objects are replaced by at most as many, because each takes over the seq of one of them")
    return ledger.write(lambda tx: _replace(tx, old, set(seen), new))


def mergeable(conn: sa.Connection, committed_before: float, smaller_than: int) -> list[LogObject]:
    """Return the objects that were committed before an instant and have fewer bytes, the oldest first."""
    small = _OBJECTS.where(commits.c.committed_at < committed_before, commits.c.size_bytes < smaller_than, ~IS_LET_GO)
    return [LogObject(*row) for row in conn.execute(small.order_by(commits.c.committed_at, commits.c.object_id))]


def history_of(conn: sa.Connection, subjects: Iterable[str]) -> list[Holding]:
    """Return all versions of these subjects that there still are, superseded ones too."""
    return [Holding(*row) for row in each(conn, _HOLDINGS, history.c.subject, subjects)]


def current_of(conn: sa.Connection, subjects: Iterable[str]) -> set[tuple[str, PointerKind]]:
    """Return for which subjects, and of which kinds, something is current."""
    rows = each(conn, _CURRENT, pointers.c.subject, subjects)
    return {(row.subject, row.kind) for row in rows}


def forget(ledger: Ledger, object_id: str, subjects: Iterable[str]) -> None:
    """Drop from history that an object, whose bytes are lost, held rows of these subjects."""
    gone = history.delete().where(history.c.object_id == object_id)
    ledger.write(lambda tx: each(tx, gone, history.c.subject, sorted(subjects)))


def replaced(conn: sa.Connection) -> list[str]:
    """Return the objects that were replaced and whose bytes may still be there."""
    return list(conn.execute(sa.select(replaced_objects.c.object_id)).scalars())


def forget_replaced(ledger: Ledger, object_ids: Sequence[str]) -> None:
    """Note that the bytes of these objects are gone."""
    if object_ids:
        with ledger.writing() as tx:
            each(tx, replaced_objects.delete(), replaced_objects.c.object_id, object_ids)


IS_THAT_OF_POINTER = sa.and_(
    pointers.c.subject == history.c.subject, pointers.c.kind == history.c.kind, pointers.c.seq == history.c.seq
)
IS_LET_GO = sa.exists().where(
    history.c.object_id == commits.c.object_id,
    IS_THAT_OF_POINTER,
    pointers.c.object_id.is_(None),
    pointers.c.version.is_not(None),
)
"""Of a commit: its object was found lost, and something that it held is being made again (mending.py)."""
_OBJECTS = sa.select(*(commits.c[name] for name in LogObject.__dataclass_fields__))
# What is lost for now counts: of it the version before must not be let go. What is erased has no version.
_CURRENT = sa.select(pointers.c.subject, pointers.c.kind).where(
    pointers.c.object_id.is_not(None) | pointers.c.version.is_not(None)
)
_HOLDINGS = sa.select(*(history.c[name] for name in Holding.__dataclass_fields__))


def _replace(tx: sa.Connection, old: Sequence[str], seen: set[Holding], new: Sequence[NewObject]) -> bool:
    next_seq(tx)  # commits move pointers too: stand in their queue
    there = each(tx, sa.select(commits), commits.c.object_id, old)
    if len(there) < len(old) or set(holdings(tx, old)) != seen:
        return False
    current = {(h.subject, h.kind, h.seq) for n in new[:1] for h in n.holds}
    pointed = each(tx, sa.select(pointers.c.subject, pointers.c.kind, pointers.c.seq), pointers.c.object_id, old)
    if not {tuple(row) for row in pointed} <= current:
        return False
    each(tx, history.delete(), history.c.object_id, old)
    each(tx, commits.delete(), commits.c.object_id, old)
    seqs = sorted((row.seq for row in there), reverse=True)
    at = max(row.committed_at for row in there)  # when it was committed, not when it was moved
    for number, n in enumerate(new):
        head = {"object_id": n.object_id, "kind": there[0].kind, "size_bytes": n.size_bytes}
        tx.execute(commits.insert().values(**head, seq=seqs[number], committed_at=at))
        tx.execute(history.insert(), [{**asdict(h), "object_id": n.object_id} for h in n.holds])
    if new:
        each(tx, pointers.update().values(object_id=new[0].object_id), pointers.c.object_id, old)
    gone = now(tx)
    tx.execute(replaced_objects.insert(), [{"object_id": i, "replaced_at": gone} for i in old])
    return True
