"""Which rows of the ledger belong to a recording, a refused submission or a person, and how they go.

Used by erasures.py inside its transactions, and by nobody else. A table that stands in none of the lists below fails
a test, so that a new one cannot be forgotten.

What surprises: deleting work is what fences whoever is at it, as raising its epoch would: no commit finds the row.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.ledger.claims import settle
from diary_pipeline.ledger.clock import tick
from diary_pipeline.ledger.connect import GaveWay
from diary_pipeline.ledger.statements import chunks, each, now
from diary_pipeline.ledger.tables import (
    batch_items,
    batches,
    history,
    llm_calls,
    llm_holds,
    llm_spent,
    pointers,
    recordings,
    seen_files,
    submissions,
    work,
)
from diary_pipeline.ledger.tables_jobs import (
    api_keys,
    dropped_troubles,
    failures,
    idempotency_keys,
    jobs,
    outbox,
    source_cursors,
)
from diary_pipeline.ledger.tables_uploads import refused_uploads, upload_parts, uploads

Row = Mapping[str, object]

OF_SUBMISSIONS: Sequence[sa.Column[str]] = (
    seen_files.c.submission_id,
    jobs.c.submission_id,
    idempotency_keys.c.submission_id,
    outbox.c.submission_id,
    upload_parts.c.submission_id,
    uploads.c.submission_id,
)
"""Where a submission stands, of which a subject may have had several."""
AT_ONCE: Sequence[sa.Column[str]] = (
    *OF_SUBMISSIONS,
    work.c.recording_key,
    batch_items.c.recording_key,
    recordings.c.key,
    submissions.c.recording_key,
    submissions.c.id,
    llm_calls.c.recording_key,
    failures.c.subject,
    dropped_troubles.c.subject,
    refused_uploads.c.submission_id,
)
"""Where a subject stands in what people and workers are told; gone with the transaction that hides it."""
AT_LAST: Sequence[sa.Column[str]] = (pointers.c.subject, history.c.subject)
"""What leads publishers and the rewriting of objects; gone when those are done."""
OF_OWNERS: Sequence[sa.Column[str]] = (
    seen_files.c.owner,
    llm_holds.c.owner,
    refused_uploads.c.owner,
)
OF_OWNERS_AT_ONCE: Sequence[sa.Column[str]] = (
    idempotency_keys.c.owner,
    api_keys.c.owner,
)
"""What a person could still ask with; whoever has a key made for that name later keeps it."""
KEPT: Mapping[str, str] = {
    "batches": "counts and run ids",
    "holders": "run ids",
    "clock": "a number",
    "commits": "names of objects, which are rewritten without the subject under another name",
    "replaced_objects": "names of objects whose bytes are about to go",
    "publications": "numbers, a host and a path of the deployment",
    "llm_routes": "how routes do",
    "source_cursors": "how far a bucket was listed: a name that the next look replaces; emptied for a whole person",
    "llm_route_days": "sums over everybody",
    "endings": "sums over everybody",
    "erasures": "hashes and counts",
    "erasure_subjects": "emptied by erasures.clear",
    "tombstones": "hashes",
    "identity": "a random id and times",
    "schema_version": "a number",
}
"""Tables that hold nothing of a person, and why."""


@dataclass(frozen=True)
class Hidden:
    """What hiding did."""

    seq: int
    """0: no pointer moved."""
    holders: Sequence[str]
    """Who is at work on it now."""
    rows: Mapping[str, int]
    """Table -> how many rows told of it."""


def one(conn: sa.Connection, target: str) -> list[Row]:
    """Return what there is of a recording key, or of the id of a submission that became none."""
    return _recordings(conn, recordings.c.key == target) or _unaccepted(conn, submissions.c.id == target)


def owned_by(conn: sa.Connection, owner: str) -> list[Row]:
    """Return what there is of an owner."""
    return [*_recordings(conn, recordings.c.owner == owner), *_unaccepted(conn, submissions.c.owner == owner)]


def hide(tx: sa.Connection, about: Sequence[Row], seq: int) -> Hidden:
    """Move the pointers to no object and delete what the ledger tells; the clock ticks when a pointer moved."""
    subjects = [str(row["subject"]) for row in about]
    rows = count(tx, subjects)
    holders = _take_from_workers(tx, [str(row["subject"]) for row in about if row["content_sha256"]])
    nothing = {"object_id": None, "version": None, "made_with": None, "again_at": None, "seq": seq}
    moved = 0
    for some in chunks(subjects):
        moved += tx.execute(pointers.update().where(pointers.c.subject.in_(some)).values(**nothing)).rowcount
    if moved:
        tick(tx, seq)
    _delete(tx, AT_ONCE, subjects)
    return Hidden(seq if moved else 0, holders, rows)


def lock_out(tx: sa.Connection, owner: str) -> dict[str, int]:
    """Delete what an owner could still ask with, and count it; where buckets were listed to may be their name."""
    tx.execute(source_cursors.delete())
    at_once = {c.table.name: tx.execute(c.table.delete().where(c == owner)).rowcount for c in OF_OWNERS_AT_ONCE}
    return {name: rows for name, rows in at_once.items() if rows}


def delete_all(tx: sa.Connection, subjects: Sequence[str], owners: Collection[str]) -> None:
    """Delete whatever names these subjects and owners, what late workers wrote since included."""
    _delete(tx, (*AT_ONCE, *AT_LAST), subjects)
    for owner in owners:
        for column in OF_OWNERS:
            tx.execute(column.table.delete().where(column == owner))
        # Subjects of people are `owner/<ISO date>/<owner>`, of which the name begins after 17 characters.
        spent = llm_spent.c.subject
        tx.execute(llm_spent.delete().where(spent.startswith("owner/"), sa.func.substr(spent, 18) == owner))


def delete_hidden(tx: sa.Connection, subjects: Sequence[str], seq: int) -> None:
    """Delete the pointers that hiding left at no object, but for those that were hidden after `seq`."""
    hidden = pointers.c.object_id.is_(None) & (pointers.c.seq <= seq)
    each(tx, pointers.delete().where(hidden), pointers.c.subject, subjects)


def count(conn: sa.Connection, subjects: Sequence[str]) -> dict[str, int]:
    """Count by table the rows that still name these subjects."""
    found: dict[str, int] = {}
    handed_in = _ids_of(conn, subjects)
    for column in (*AT_ONCE, *AT_LAST):
        known = [*subjects, *handed_in] if column in OF_SUBMISSIONS else subjects
        rows = sum(
            int(conn.execute(sa.select(sa.func.count()).select_from(column.table).where(column.in_(some))).scalar_one())
            for some in chunks(known)
        )
        if rows:
            found[column.table.name] = found.get(column.table.name, 0) + rows
    return found


def _take_from_workers(tx: sa.Connection, keys: Sequence[str]) -> list[str]:
    """Release the items of batches, in everybody's order of locks, and return who may still write of them."""
    ids = _carrying(tx, keys)
    locked = sa.select(batches.c.run_id, batches.c.reported_at).order_by(batches.c.id).with_for_update()
    carried = each(tx, locked, batches.c.id, sorted(ids))
    held = sa.select(work.c.holder, work.c.expires_at).order_by(work.c.recording_key, work.c.stage)
    leases = each(tx, held.with_for_update(), work.c.recording_key, sorted(keys))
    if not _carrying(tx, keys) <= ids:
        raise GaveWay
    at = now(tx)
    for id in sorted(ids):
        settle(tx, id, dict.fromkeys(keys, "released"))
    each(tx, batch_items.delete(), batch_items.c.recording_key, keys)
    # Nothing of such a batch is left to be shown to Dagster.
    told = ~sa.exists().where(batch_items.c.batch_id == batches.c.id) & (batches.c.state == "closed")
    each(tx, batches.update().where(told, batches.c.reported_at.is_(None)).values(reported_at=at), batches.c.id, ids)
    working = {row.holder for row in leases if row.holder and row.expires_at and row.expires_at > at}
    # A run that has committed and not yet told Dagster holds no lease any more.
    telling = {row.run_id for row in carried if row.run_id and row.reported_at is None}
    return sorted(working | telling)


def _carrying(tx: sa.Connection, keys: Sequence[str]) -> set[str]:
    return {row.batch_id for row in each(tx, sa.select(batch_items.c.batch_id), batch_items.c.recording_key, keys)}


def _recordings(conn: sa.Connection, which: sa.ColumnElement[bool]) -> list[Row]:
    columns = (recordings.c.key, recordings.c.owner, recordings.c.content_sha256, recordings.c.object_key)
    rows = conn.execute(sa.select(*columns, recordings.c.file_name).where(which)).all()
    handed_in = sa.select(submissions.c.recording_key, submissions.c.uri, submissions.c.file_name)
    names: dict[str, set[str]] = {}
    for key, *said in each(conn, handed_in, submissions.c.recording_key, [row.key for row in rows]):
        names.setdefault(key, set()).update(said)
    return [
        {
            "subject": row.key,
            "owner": row.owner,
            "content_sha256": row.content_sha256,
            "object_key": row.object_key,
            "names": sorted({row.file_name} | names.get(row.key, set())),
        }
        for row in rows
    ]


def _unaccepted(conn: sa.Connection, which: sa.ColumnElement[bool]) -> list[Row]:
    rows = conn.execute(sa.select(submissions).where(which, submissions.c.recording_key.is_(None))).all()
    empty: Row = {"content_sha256": None, "object_key": None}
    return [{"subject": row.id, "owner": row.owner, "names": sorted({row.uri, row.file_name}), **empty} for row in rows]


def _ids_of(conn: sa.Connection, keys: Sequence[str]) -> list[str]:
    return [row.id for row in each(conn, sa.select(submissions.c.id), submissions.c.recording_key, keys)]


def _delete(tx: sa.Connection, columns: Sequence[sa.Column[str]], subjects: Sequence[str]) -> None:
    """Delete by subject; what hangs on a submission goes before it."""
    handed_in = _ids_of(tx, subjects)
    for column in columns:
        known = [*subjects, *handed_in] if column in OF_SUBMISSIONS else subjects
        each(tx, column.table.delete(), column, known)
