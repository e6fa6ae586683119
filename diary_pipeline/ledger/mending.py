"""What the ledger does about objects that are lost, and about published rows that do not follow its pointers.

Finding either is upkeep/differences' business.

What surprises: a pointer to a lost object keeps its version and its seq and loses only the object, and history keeps
where it lay. Users go on seeing what was published, because a fold looks at what moved; the work is planned again, and
its commit moves the pointer as any other. And a subject whose rows are to be folded again gets a new seq: publishers,
marts and the search index follow that by themselves.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from diary_pipeline.core.batch import Stage
from diary_pipeline.ledger.clock import clock_now, next_seq, tick
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.log_objects import Holding
from diary_pipeline.ledger.pointers import PointerKind
from diary_pipeline.ledger.settling import Settlement
from diary_pipeline.ledger.statements import each
from diary_pipeline.ledger.tables import commits, history, pointers, recordings

SHOWN: Mapping[Stage, str] = {"transcript": "pending", "note": "generating_notes"}


@dataclass(frozen=True)
class Planned:
    """What is made again because its object is lost, by recording key."""

    transcripts: Sequence[str]
    notes: Sequence[str]


def pointed_to(conn: sa.Connection, object_ids: Iterable[str]) -> set[str]:
    """Return which of these objects something current is in."""
    rows = each(conn, sa.select(pointers.c.object_id).distinct(), pointers.c.object_id, object_ids)
    return {row.object_id for row in rows}


def plan_of(conn: sa.Connection, object_id: str) -> Planned:
    """Say what would have to be made again if the bytes of an object were lost: transcripts, or else notes."""
    return _plan(conn, object_id)[1]


def plan_lost(ledger: Ledger, object_id: str, silent: Set[str] = frozenset()) -> Planned:
    """Let go of an object whose bytes are lost and plan what it held, but for transcripts of `silent` recordings.

    History still knows where it lay, until `forget_lost` finds that all of it was made again.
    """
    return ledger.write(lambda tx: _plan_lost(tx, object_id, silent))


def point_back(ledger: Ledger, held: Iterable[Holding]) -> None:
    """Point again to what was let go of and is there after all; what has moved on since is left as it is."""
    with ledger.writing() as tx:
        next_seq(tx)
        for h in held:
            is_there = sa.exists().where(
                *(history.c[name] == getattr(h, name) for name in ("subject", "kind", "seq", "object_id"))
            )
            mine = (pointers.c.subject == h.subject) & (pointers.c.kind == h.kind) & (pointers.c.seq == h.seq)
            let_go = pointers.c.object_id.is_(None) & (pointers.c.version == h.version)
            tx.execute(pointers.update().where(mine, let_go, is_there).values(object_id=h.object_id))


def is_replaced(conn: sa.Connection, object_id: str) -> bool:
    """Tell whether something else is current of all that an object held."""
    theirs = (pointers.c.subject == history.c.subject) & (pointers.c.kind == history.c.kind)
    waits = pointers.c.object_id.is_(None) | (pointers.c.object_id == object_id)
    waiting = sa.select(history.c.subject).join(pointers, theirs).where(history.c.object_id == object_id, waits)
    return conn.execute(waiting.limit(1)).first() is None


def forget_lost(ledger: Ledger, object_id: str) -> bool:
    """Forget an object whose bytes are lost once it is replaced in full; False: not yet."""
    with ledger.writing() as tx:
        next_seq(tx)
        if not is_replaced(tx, object_id):
            return False
        tx.execute(history.delete().where(history.c.object_id == object_id))
        tx.execute(commits.delete().where(commits.c.object_id == object_id))
        return True


def first_seq_since(conn: sa.Connection, at: float) -> int:
    """Return the seq of the first commit from an instant on; one more than the last when there is none."""
    first = conn.execute(sa.select(sa.func.min(commits.c.seq)).where(commits.c.committed_at >= at)).scalar()
    return clock_now(conn) + 1 if first is None else int(first)


def sum_current(conn: sa.Connection, kind: PointerKind, first: int, last: int) -> tuple[int, int]:
    """Return how many subjects have something of a kind committed from `first` to `last`, and the sum of their seqs.

    What was corrected counts as committed with its corrections.
    """
    shown = _shown(kind, first, last).subquery()
    count, total = conn.execute(sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(shown.c.seq), 0))).one()
    return int(count), int(total)


def current(conn: sa.Connection, kind: PointerKind, first: int, last: int) -> list[tuple[str, int]]:
    """Return the same subjects one by one, each with its seq."""
    return list(conn.execute(_shown(kind, first, last)).tuples())


def fold_again(ledger: Ledger, subjects: Mapping[str, tuple[PointerKind, str]]) -> int:
    """Give everything of some subjects, at least one, a new seq in the order that it has; return the clock's last.

    The value is the kind and the owner of a subject that users see and nothing points to: its rows go.
    """
    return ledger.write(lambda tx: _fold_again(tx, subjects))


def _shown(kind: PointerKind, first: int, last: int) -> sa.Select[tuple[str, int]]:
    chosen = [pointers.c.kind == kind, pointers.c.object_id.is_not(None)]
    if kind == "note":  # nothing was said: that there is no note is a version too (catalogue/commit.py)
        chosen.append(pointers.c.version.not_like("none-%"))
    if kind == "outcome":
        return sa.select(pointers.c.subject, pointers.c.seq).where(*chosen, pointers.c.seq.between(first, last))
    # Rows take the seq of what their owner put right in them since; see catalogue/fold_corrections.py.
    put_right = pointers.alias("put_right")
    theirs = (put_right.c.subject == pointers.c.subject) & (put_right.c.kind == "correction")
    seq = sa.case((put_right.c.seq > pointers.c.seq, put_right.c.seq), else_=pointers.c.seq).label("seq")
    both = sa.select(pointers.c.subject, seq).outerjoin_from(pointers, put_right, theirs)
    return both.where(*chosen, seq.between(first, last))


def _plan(conn: sa.Connection, object_id: str) -> tuple[Mapping[str, set[str]], Planned]:
    """Return the subjects that an object is current for, of which kinds, and what that means."""
    lost: dict[str, set[str]] = {}
    for row in conn.execute(sa.select(pointers.c.subject, pointers.c.kind).where(pointers.c.object_id == object_id)):
        lost.setdefault(row.subject, set()).add(row.kind)
    heard = (pointers.c.kind == "transcript") & pointers.c.object_id.is_not(None)
    there = {row.subject for row in each(conn, sa.select(pointers.c.subject).where(heard), pointers.c.subject, lost)}
    unheard = [s for s, kinds in sorted(lost.items()) if "transcript" in kinds or s not in there]
    return lost, Planned(unheard, sorted(lost.keys() - set(unheard)))


def _plan_lost(tx: sa.Connection, object_id: str, silent: Set[str]) -> Planned:
    next_seq(tx)
    lost, plan = _plan(tx, object_id)
    planned = Planned([key for key in plan.transcripts if key not in silent], plan.notes)
    gone = pointers.update().where(pointers.c.object_id == object_id).values(object_id=None)
    each(tx, gone, pointers.c.subject, (*planned.transcripts, *planned.notes))
    # Found to be current already, it would not be committed, and the outcome that is lost goes with it.
    each(tx, pointers.update().where(pointers.c.kind == "note").values(object_id=None), pointers.c.subject, plan.notes)
    again: Mapping[Stage, Sequence[str]] = {"transcript": planned.transcripts, "note": planned.notes}
    for stage, keys in again.items():
        settlement = Settlement(tx, stage, sorted(lost))
        for key in keys:
            settlement.plan_again(key)
        waiting = {"status": SHOWN[stage], **dict.fromkeys(("failed_stage", "reason_code", "message", "ended_at"))}
        each(tx, recordings.update().values(**waiting), recordings.c.key, keys)
    return planned


def _fold_again(tx: sa.Connection, subjects: Mapping[str, tuple[PointerKind, str]]) -> int:
    first = next_seq(tx)
    rows = each(tx, sa.select(pointers).order_by(pointers.c.seq), pointers.c.subject, subjects)
    ranks: dict[str, list[int]] = {}
    for row in rows:  # a note younger than its transcript stays so: by that commits.py tells what belongs together
        seqs = ranks.setdefault(row.subject, [])
        if row.seq not in seqs:
            seqs.append(row.seq)
    last = first
    for row in rows:
        if row.object_id is None and row.version is not None:
            continue  # lost: users go on seeing its rows, which a fold would take away
        seq = first + ranks[row.subject].index(row.seq)
        last = max(last, seq)
        # A fold deletes no rows of a refusal of which it hears for the first time.
        version = "refused:again" if row.version == "refused" else row.version
        mine = (pointers.c.subject == row.subject) & (pointers.c.kind == row.kind)
        tx.execute(pointers.update().where(mine).values(seq=seq, version=version))
        _move_history(tx, row, seq, version)
    for subject, (kind, owner) in subjects.items():
        if subject not in ranks:
            tx.execute(pointers.insert().values(subject=subject, kind=kind, owner=owner, seq=first))
    tick(tx, last)
    return last


def _move_history(tx: sa.Connection, row: sa.Row[Any], seq: int, version: str | None) -> None:
    mine = (history.c.subject == row.subject) & (history.c.kind == row.kind) & (history.c.seq == row.seq)
    if row.kind != "transcript":
        tx.execute(history.update().where(mine).values(seq=seq, version=version))
        return
    # The old place stays too: notes made between the two belong to this transcript (versions.py).
    for there in tx.execute(sa.select(history).where(mine)).all():
        tx.execute(history.insert().values({**there._mapping, "seq": seq}))
