"""What the ledger does about objects that are lost, and about published rows that do not follow its pointers.

Finding either is upkeep/differences' business.

What surprises: a pointer to a lost object keeps its version and its seq and loses only the object. Users go on seeing
what was published, because a fold looks at what moved; the work is planned again, and its commit moves the pointer as
any other. And a subject whose rows are to be folded again gets a new seq: publishers, marts and the search index follow
that by themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.core.batch import Stage
from diary_pipeline.ledger.commits import PointerKind
from diary_pipeline.ledger.connect import Ledger, each
from diary_pipeline.ledger.settling import Settlement
from diary_pipeline.ledger.tables import clock, commits, history, pointers, recordings

SHOWN: Mapping[Stage, str] = {"transcript": "pending", "note": "generating_notes"}


@dataclass(frozen=True)
class Planned:
    """What is made again because its object is lost."""

    transcripts: int = 0
    notes: int = 0


def plan_lost(ledger: Ledger, object_id: str) -> Planned:
    """Let go of an object whose bytes are lost and plan what it held: transcripts, or else notes."""
    return ledger.write(lambda tx: _plan_lost(tx, object_id))


def first_seq_since(conn: sa.Connection, at: float) -> int:
    """Return the seq of the first commit from an instant on; one more than the last when there is none."""
    first = conn.execute(sa.select(sa.func.min(commits.c.seq)).where(commits.c.committed_at >= at)).scalar()
    return int(conn.execute(sa.select(clock.c.n)).scalar_one()) + 1 if first is None else int(first)


def sum_current(conn: sa.Connection, kind: PointerKind, first: int, last: int) -> tuple[int, int]:
    """Return how many subjects have something of a kind committed from `first` to `last`, and the sum of their seqs."""
    summed = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(pointers.c.seq), 0)).where(
        *_shown(kind, first, last)
    )
    count, total = conn.execute(summed).one()
    return int(count), int(total)


def current(conn: sa.Connection, kind: PointerKind, first: int, last: int) -> list[tuple[str, int]]:
    """Return the same subjects one by one, each with its seq."""
    chosen = sa.select(pointers.c.subject, pointers.c.seq).where(*_shown(kind, first, last))
    return list(conn.execute(chosen).tuples())


def fold_again(ledger: Ledger, subjects: Mapping[str, tuple[PointerKind, str]]) -> int:
    """Give everything of some subjects, at least one, a new seq in the order that it has; return the clock's last.

    The value is the kind and the owner of a subject that users see and nothing points to: its rows go.
    """
    return ledger.write(lambda tx: _fold_again(tx, subjects))


def _shown(kind: PointerKind, first: int, last: int) -> list[sa.ColumnElement[bool]]:
    chosen = [pointers.c.kind == kind, pointers.c.seq.between(first, last), pointers.c.object_id.is_not(None)]
    # Nothing was said: that there is no note is a version too (catalogue/commit.py).
    return [*chosen, pointers.c.version.not_like("none-%")] if kind == "note" else chosen


def _plan_lost(tx: sa.Connection, object_id: str) -> Planned:
    tx.execute(sa.select(clock.c.n).with_for_update()).scalar_one()
    lost: dict[str, set[str]] = {}
    for row in tx.execute(sa.select(pointers.c.subject, pointers.c.kind).where(pointers.c.object_id == object_id)):
        lost.setdefault(row.subject, set()).add(row.kind)
    heard = (pointers.c.kind == "transcript") & pointers.c.object_id.is_not(None)
    there = {row.subject for row in each(tx, sa.select(pointers.c.subject).where(heard), pointers.c.subject, lost)}
    again: dict[Stage, list[str]] = {"transcript": [], "note": []}
    for subject, kinds in sorted(lost.items()):
        again["transcript" if "transcript" in kinds or subject not in there else "note"].append(subject)
    tx.execute(pointers.update().where(pointers.c.object_id == object_id).values(object_id=None))
    # Found to be current already, it would not be committed, and the outcome that is lost goes with it.
    noted = pointers.update().where(pointers.c.kind == "note").values(object_id=None)
    each(tx, noted, pointers.c.subject, again["note"])
    tx.execute(history.delete().where(history.c.object_id == object_id))
    tx.execute(commits.delete().where(commits.c.object_id == object_id))
    for stage, keys in again.items():
        settlement = Settlement(tx, stage, sorted(lost))
        for key in keys:
            settlement.plan_again(key)
        waiting = {"status": SHOWN[stage], **dict.fromkeys(("failed_stage", "reason_code", "message", "ended_at"))}
        each(tx, recordings.update().values(**waiting), recordings.c.key, keys)
    return Planned(len(again["transcript"]), len(again["note"]))


def _fold_again(tx: sa.Connection, subjects: Mapping[str, tuple[PointerKind, str]]) -> int:
    n = int(tx.execute(sa.select(clock.c.n).with_for_update()).scalar_one())
    rows = each(tx, sa.select(pointers).order_by(pointers.c.seq), pointers.c.subject, subjects)
    ranks: dict[str, list[int]] = {}
    for (
        row
    ) in rows:  # a note that is younger than its transcript stays so: commits.py tells by that what belongs together
        seqs = ranks.setdefault(row.subject, [])
        if row.seq not in seqs:
            seqs.append(row.seq)
    moved: list[dict[str, object]] = []
    for row in rows:
        # A fold deletes no rows of a refusal of which it hears for the first time.
        version = "refused:again" if row.version == "refused" else row.version
        seq = n + 1 + ranks[row.subject].index(row.seq)
        moved.append({**row._mapping, "version": version, "seq": seq})
    for subject, (kind, owner) in subjects.items():
        if subject not in ranks:
            gone = dict.fromkeys(("version", "object_id", "made_with", "again_at"))
            moved.append({"subject": subject, "kind": kind, "owner": owner, "seq": n + 1, **gone})
    each(tx, pointers.delete(), pointers.c.subject, subjects)
    tx.execute(pointers.insert(), moved)
    placed = [{name: row[name] for name in history.c.keys()} for row in moved if row["object_id"]]  # noqa: SIM118
    if placed:
        tx.execute(history.insert(), placed)
    last = max(int(str(row["seq"])) for row in moved)
    tx.execute(clock.update().values(n=last))
    return last
