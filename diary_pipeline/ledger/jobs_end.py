"""How a job is ended by whoever asked for it: cancelled while it is unfinished, removed once it has ended.

What surprises: cancelling wins over whoever works on it, because it raises the epoch of the work, as a takeover does;
but the recording goes on when another unfinished job wants it. And a job that ends between the request and its turn is
removed, as any other that has ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from diary_pipeline.core.batch import ENDED
from diary_pipeline.core.errors import NotFound, UsageError
from diary_pipeline.core.seal import Seal
from diary_pipeline.core.upload_uris import upload_uri
from diary_pipeline.ledger import erasures
from diary_pipeline.ledger.acceptance import CANCELLED
from diary_pipeline.ledger.claims import settle
from diary_pipeline.ledger.clock import next_seq
from diary_pipeline.ledger.connect import GaveWay, Ledger
from diary_pipeline.ledger.endings import count_endings
from diary_pipeline.ledger.job_versions import NOTHING, current_transcript
from diary_pipeline.ledger.outbox import tell_ended
from diary_pipeline.ledger.settling import Settlement
from diary_pipeline.ledger.statements import now
from diary_pipeline.ledger.tables import pointers, recordings, seen_files, submissions, work
from diary_pipeline.ledger.tables_jobs import idempotency_keys, jobs, outbox
from diary_pipeline.ledger.uploads import abandon
from diary_pipeline.storage.keys import upload_key

Row = sa.Row[tuple[object, ...]]


@dataclass(frozen=True)
class Gone:
    """What became of a job that nobody wants any more."""

    how: Literal["cancelled", "removed"]
    erasure_id: str | None = None
    """Of its recording, which is hidden now; None: another job holds that, or the job was only cancelled."""
    upload: str | None = None
    """The object that holds what came of its bytes: the caller deletes it, or maintenance does a day later."""


def cancel_or_remove(ledger: Ledger, seal: Seal, id: str, owner: str | None = None, *, erase: bool = True) -> Gone:
    """Cancel an unfinished job, remove an ended one. NotFound `job_missing`, also for somebody else's job.

    Without `erase` an ended one stays: a cancelled one is said to be that again, of others UsageError `job_ended`.
    """
    return ledger.write(lambda tx: _cancel_or_remove(tx, seal, id, owner, erase=erase))


def _cancel_or_remove(tx: sa.Connection, seal: Seal, id: str, owner: str | None, *, erase: bool) -> Gone:
    seen = tx.execute(sa.select(submissions).where(submissions.c.id == id)).one_or_none()
    if seen is None or owner not in (None, seen.owner):
        raise NotFound("job_missing", f"There is no job {id}; GET /jobs lists those that there are.")
    if seen.status in ENDED:
        next_seq(tx)  # the first of all locks; two removals, of the last two jobs of a recording, come one by one
    # Everybody's order of locks ends with submissions, so what was seen without one is looked at once more.
    settlement = Settlement(tx, "transcript", [seen.recording_key] if seen.recording_key else [])
    row = tx.execute(sa.select(submissions).where(submissions.c.id == id).with_for_update()).one_or_none()
    if row is None or (row.recording_key, row.status in ENDED) != (seen.recording_key, seen.status in ENDED):
        raise GaveWay
    if row.status not in ENDED:
        return _cancel(tx, settlement, row)
    if erase:
        return _remove(tx, seal, row)
    if row.status != "cancelled":
        raise UsageError("job_ended", f"Job {id} has ended; a DELETE that may erase removes it with its recording.")
    return Gone("cancelled")


def _cancel(tx: sa.Connection, settlement: Settlement, row: Row) -> Gone:
    key, got = row.recording_key, NOTHING
    if key is not None:
        transcript = settlement.work.get((key, "transcript"))
        if transcript is not None and not transcript.wanted:
            got = current_transcript(key)
        others = (submissions.c.recording_key == key) & (submissions.c.id != row.id)
        if tx.execute(sa.select(submissions.c.id).where(others, submissions.c.ended_at.is_(None))).first() is None:
            _stop(tx, settlement, key)
    ended = {"status": "cancelled", "reason_code": None, "message": None, "ended_at": now(tx), "fetching_since": None}
    tx.execute(submissions.update().where(submissions.c.id == row.id).values({**ended, **got}))
    abandon(tx, row.id)
    tell_ended(tx, [row.id])
    count_endings(tx, [("cancelled", None)])
    return Gone("cancelled", upload=upload_key(row.id) if row.uri == upload_uri(row.id) else None)


def _stop(tx: sa.Connection, settlement: Settlement, key: str) -> None:
    """Let nobody go on with a recording, and show it as it stood before it was asked for, if it had ended before."""
    mine = pointers.c.subject == key
    rows = tx.execute(sa.select(pointers.c.kind, pointers.c.version, pointers.c.object_id).where(mine)).all()
    there: Mapping[str, str] = {row.kind: row.version for row in rows if row.object_id is not None}
    idle: dict[str, object] = {"wanted": False, "epoch": work.c.epoch + 1, "reason_code": CANCELLED, "message": None}
    idle |= dict.fromkeys(("batch_id", "holder", "expires_at", "done_s"))
    for (_, stage), found in settlement.work.items():
        if found.wanted:
            if found.batch_id is not None:
                settle(tx, found.batch_id, {key: "released"})
            of_stage = (work.c.recording_key == key) & (work.c.stage == stage)
            tx.execute(work.update().where(of_stage).values(state="done" if stage in there else "failed", **idle))
    status, _, code = there.get("outcome", "cancelled").partition(":")
    stage = "note" if "transcript" in there else "transcript"
    shown = {"status": status, "reason_code": code or None, "failed_stage": stage if status == "failed" else None}
    stands = recordings.update().where(recordings.c.key == key).values(**shown, message=None, ended_at=settlement.at)
    tx.execute(stands)


def _remove(tx: sa.Connection, seal: Seal, row: Row) -> Gone:
    key = row.recording_key
    others = sa.select(submissions.c.id).where(submissions.c.recording_key == key, submissions.c.id != row.id)
    other = tx.execute(others.order_by(submissions.c.created_at).limit(1)).scalar() if key is not None else None
    if other is None:
        return Gone("removed", erasures.hide_now(tx, seal, "recording", key or row.id).id)
    # What it brought along belongs to a job that stays: forgotten, the file in its folder would be taken for a new one.
    for column in (seen_files.c.submission_id, recordings.c.submission_id):
        tx.execute(column.table.update().where(column == row.id).values({column.name: other}))
    for column in (jobs.c.submission_id, idempotency_keys.c.submission_id, outbox.c.submission_id, submissions.c.id):
        tx.execute(column.table.delete().where(column == row.id))
    return Gone("removed")
