"""Erasures in the ledger: asked for and hidden in one transaction, remembered until the bytes are gone, then anonymous.

Removing the bytes is upkeep/erase.py's business. The surprise: hiding *is* deleting. What the ledger tells of a
recording goes at once (hiding.py), so that nobody who reads it has to know of erasures; only the pointers stay, at no
object, until every published file has followed them, and `erasure_subjects`, which lead to the bytes.
"""

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from diary_pipeline.core.errors import NotFound
from diary_pipeline.core.seal import Seal
from diary_pipeline.ledger import api_keys, hiding, tombstones
from diary_pipeline.ledger.clock import next_seq
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.identity import restored_seq
from diary_pipeline.ledger.leases import holder_is_live
from diary_pipeline.ledger.statements import each, now
from diary_pipeline.ledger.tables import UNFINISHED, erasure_subjects, erasures, recordings, submissions

Scope = Literal["recording", "user"]
Found = Mapping[str, Mapping[str, int]]
"""Store -> what -> how many."""
TOGETHER = "together"
"""Stands among what was found: no store, but of how many erasures the counts of all stores but the ledger tell."""


@dataclass(frozen=True)
class Erasure:
    """One request to erase, and how far it is."""

    id: str
    scope: Scope
    target_hash: str
    hidden_at: float
    hidden_seq: int
    """The tick of the commit clock that moved its pointers; 0: nothing of it was ever committed."""
    waits_for: Sequence[str]
    """Who worked on it when it was hidden and may still write bytes."""
    found: Found
    """What there was, counted before it was removed; of the ledger when it was hidden."""
    removed_at: float | None
    receipt: Mapping[str, object]
    """Begun when it is hidden with what stands for each subject; signed when it is finished."""


@dataclass(frozen=True)
class Subject:
    """What an unfinished erasure knows of one recording or refused submission, or, in one row, of its owner."""

    subject: str
    """As in `pointers`; empty: the owner alone."""
    owner: str
    content_sha256: str | None
    """None: it never became a recording."""
    object_key: str | None
    """Of its audio, which may lie in somebody else's bucket."""
    names: tuple[str, ...]
    """File names and URIs under which it was handed in."""


def target_hash(seal: Seal, scope: Scope, target: str) -> str:
    """Return what stands for that which was to be erased."""
    return seal.hash(scope, target)


def subject_hash(seal: Seal, subject: str) -> str:
    """Return what stands for a recording or refused submission in receipts."""
    return seal.hash("subject", subject)


def hide(ledger: Ledger, seal: Seal, scope: Scope, target: str) -> Erasure:
    """Write the request and hide what it is about, in one transaction: nobody who asks the ledger sees it any more.

    `target`: a recording key, the id of a refused submission, or an owner. Work in flight can no longer commit.
    NotFound when there is nothing of that name; asked again before it is finished, it answers with the same erasure.
    """
    return ledger.write(lambda tx: hide_now(tx, seal, scope, target))


def hide_now(tx: sa.Connection, seal: Seal, scope: Scope, target: str) -> Erasure:
    """Hide as `hide` does, in a transaction that has no lock yet, or that of the clock first."""
    hash = target_hash(seal, scope, target)
    # The first look is before the clock's lock: asking again must find what a rival has just written.
    seq = next_seq(tx)
    same = tx.execute(_ROWS.where(erasures.c.target_hash == hash, UNFINISHED)).first()
    about = hiding.owned_by(tx, target) if scope == "user" else hiding.one(tx, target)
    if not about and not (scope == "user" and api_keys.count_of(tx, target)):
        if same is not None:
            return _erasure(same)
        raise NotFound("nothing_to_erase", f"There is nothing of {scope} {target} in this diary.")
    id = uuid.uuid4().hex
    hidden = hiding.hide(tx, about, seq)
    rows = Counter(hidden.rows)
    if scope == "user":
        rows.update(hiding.lock_out(tx, target))
        about.append({"subject": "", "owner": target, "content_sha256": None, "object_key": None, "names": []})
    tx.execute(erasure_subjects.insert(), [{"erasure_id": id, **row} for row in about])
    brought = [row for row in about if row["content_sha256"]]
    hashes = [tombstones.tombstone(seal, str(row["owner"]), str(row["content_sha256"])) for row in brought]
    tombstones.set_up(tx, seal, id, hashes)
    begun = {"subjects": sorted(subject_hash(seal, str(row["subject"])) for row in about if row["subject"])}
    erasure = Erasure(id, scope, hash, now(tx), hidden.seq, hidden.holders, {"ledger": dict(rows)}, None, begun)
    tx.execute(erasures.insert().values(**_row(erasure)))
    return erasure


def about(conn: sa.Connection, scope: Scope, target: str) -> list[Subject]:
    """Return what would go if this were hidden now."""
    rows = hiding.owned_by(conn, target) if scope == "user" else hiding.one(conn, target)
    return [_subject(row) for row in rows]


def rows_of(conn: sa.Connection, subjects: Sequence[Subject]) -> dict[str, int]:
    """Count by table the ledger's rows about them."""
    return hiding.count(conn, [s.subject for s in subjects if s.subject])


def known_since(conn: sa.Connection) -> list[tuple[str, str, float]]:
    """Return every recording key and every submission without one, with its owner and the time when it came."""
    accepted = sa.select(recordings.c.key, recordings.c.owner, recordings.c.created_at)
    others = sa.select(submissions.c.id, submissions.c.owner, submissions.c.created_at)
    refused = others.where(submissions.c.recording_key.is_(None))
    return [*conn.execute(accepted).tuples(), *conn.execute(refused).tuples()]


def take_over(ledger: Ledger, seal: Seal, erasure: Erasure, stones: Sequence[str]) -> None:
    """Remember an erasure of before this ledger was put back; nothing happens when it is known.

    Of one that was never finished only the tombstones stand: what comes of it is a new erasure.
    """
    with ledger.writing() as tx:
        if get(tx, erasure.id) is not None:
            return
        tombstones.set_up(tx, seal, erasure.id, stones)
        if erasure.removed_at is not None:
            tx.execute(erasures.insert().values(**_row(erasure)))


def get(conn: sa.Connection, id: str) -> Erasure | None:
    """Return one erasure, or None."""
    row = conn.execute(_ROWS.where(erasures.c.id == id)).one_or_none()
    return _erasure(row) if row else None


def unfinished(conn: sa.Connection) -> list[Erasure]:
    """Return the erasures whose bytes are not all gone, oldest first."""
    return [_erasure(row) for row in conn.execute(_ROWS.where(UNFINISHED).order_by(erasures.c.hidden_at))]


def finished(conn: sa.Connection, limit: int) -> list[Erasure]:
    """Return the last erasures that are finished, the latest first."""
    done = _ROWS.where(erasures.c.removed_at.is_not(None)).order_by(erasures.c.removed_at.desc())
    return [_erasure(row) for row in conn.execute(done.limit(limit))]


def last_hidden_seq(conn: sa.Connection) -> int:
    """Return the commit seq of the last erasure that hid something, or of the last restore; 0: never.

    What is derived from an earlier state may hold what was erased, or what the diary never came to.
    """
    hidden = conn.execute(sa.select(sa.func.max(erasures.c.hidden_seq))).scalar()
    return max(int(hidden or 0), restored_seq(conn))


def last_removed_seq(conn: sa.Connection) -> int:
    """Return the highest seq whose pointers are deleted, or to which restoring set the clock; 0: none.

    A catalogue, twin or index with a lower watermark cannot learn from the pointers any more what it has to drop.
    """
    done = sa.select(sa.func.max(erasures.c.hidden_seq)).where(erasures.c.removed_at.is_not(None))
    return max(int(conn.execute(done).scalar() or 0), restored_seq(conn))


def subjects_of(conn: sa.Connection, id: str) -> list[Subject]:
    """Return what an erasure is about; empty once its ledger rows are cleared.

    What was handed in anew since is left out: a refused file that still lies in a folder has the same id again.
    """
    columns = [erasure_subjects.c[name] for name in Subject.__dataclass_fields__]
    mine = sa.select(*columns).where(erasure_subjects.c.erasure_id == id).order_by(erasure_subjects.c.subject)
    found = [_subject(dict(row._mapping)) for row in conn.execute(mine)]
    new = _known(conn, [s.subject for s in found])
    return [s for s in found if s.subject not in new]


def at_work(conn: sa.Connection, erasure: Erasure) -> list[str]:
    """Return the holders that worked on it and live still: they may write a checkpoint or pay for an answer."""
    return [holder for holder in erasure.waits_for if holder_is_live(conn, holder)]


def note_found(ledger: Ledger, ids: Sequence[str], found: Found) -> None:
    """Note what there is of some erasures in some stores before it is removed; the first count of a store stands."""
    counted = {**found, TOGETHER: {"erasures": len(ids)}}
    with ledger.writing() as tx:
        for id in ids:
            there = tx.execute(sa.select(erasures.c.found).where(erasures.c.id == id)).scalar_one()
            tx.execute(erasures.update().where(erasures.c.id == id).values(found={**counted, **there}))


def clear(ledger: Ledger, id: str) -> None:
    """Delete every row that the ledger still has of it; of what was handed in anew since, what was hidden alone."""
    ledger.write(lambda tx: _clear(tx, id))


def finish(ledger: Ledger, id: str, receipt: Mapping[str, object], removed_at: float) -> None:
    """Note that the bytes are gone, with the receipt that says so; done once, and nothing is about it any more."""
    ledger.write(lambda tx: _finish(tx, id, receipt, removed_at))


_ROWS = sa.select(*(erasures.c[name] for name in Erasure.__dataclass_fields__))


def _subject(row: Mapping[str, Any]) -> Subject:
    return Subject(**{**row, "names": tuple(row["names"])})


def _erasure(row: sa.Row[tuple[object, ...]]) -> Erasure:
    return Erasure(**row._mapping)


def _row(erasure: Erasure) -> dict[str, object]:
    return {name: getattr(erasure, name) for name in Erasure.__dataclass_fields__}


def _known(conn: sa.Connection, subjects: Sequence[str]) -> set[str]:
    columns = (recordings.c.key, submissions.c.id)
    return {row[0] for column in columns for row in each(conn, sa.select(column), column, subjects)}


def _clear(tx: sa.Connection, id: str) -> None:
    next_seq(tx)
    about = subjects_of(tx, id)
    hiding.delete_all(
        tx,
        subjects=[s.subject for s in about if s.subject],
        owners=[s.owner for s in about if not s.subject],
    )
    _let_go(tx, id)


def _finish(tx: sa.Connection, id: str, receipt: Mapping[str, object], removed_at: float) -> None:
    next_seq(tx)
    # With `removed_at`, or a publisher would pass by what was hidden and never learn of it: last_removed_seq.
    _let_go(tx, id)
    done = {"removed_at": removed_at, "receipt": dict(receipt), "waits_for": []}
    tx.execute(erasures.update().where(erasures.c.id == id, UNFINISHED).values(**done))


def _let_go(tx: sa.Connection, id: str) -> None:
    """Delete what was hidden of subjects that were handed in anew since, and the subjects."""
    mine = erasure_subjects.c.erasure_id == id
    subjects = tx.execute(sa.select(erasure_subjects.c.subject).where(mine)).scalars().all()
    seq = tx.execute(sa.select(erasures.c.hidden_seq).where(erasures.c.id == id)).scalar_one()
    hiding.delete_hidden(tx, subjects, seq)
    tx.execute(erasure_subjects.delete().where(mine))
