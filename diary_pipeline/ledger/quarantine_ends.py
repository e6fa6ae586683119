"""How a trouble leaves the quarantine: somebody has it tried again, or drops it.

What is in it stands in quarantine.py. The surprise: a refused file is tried again as a new submission, because the old
one's refusal is committed and its application was told so; a failed recording is tried again itself, and its jobs stay
failed until that has succeeded (settling.py).
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from diary_pipeline.core.batch import Stage
from diary_pipeline.core.upload_uris import is_upload, upload_uri
from diary_pipeline.ledger import refused_uploads
from diary_pipeline.ledger.again import locked, ready
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.quarantine import AGAIN, is_dropped
from diary_pipeline.ledger.retries import RETRY
from diary_pipeline.ledger.statements import each, now, upsert
from diary_pipeline.ledger.tables import recordings, seen_files, submissions, work
from diary_pipeline.ledger.tables_jobs import dropped_troubles, jobs
from diary_pipeline.ledger.turns import in_turn

_SHOWN: dict[Stage, str] = {"transcript": "pending", "note": "generating_notes"}
_COPIED = ("owner", "source", "file_name", "options", "priority")


@dataclass(frozen=True)
class TriedAgain:
    """What is tried again, and under which name."""

    id: str
    """As the quarantine called it."""
    now: str
    """Recording key, or id of the new submission."""


def retry(ledger: Ledger, ids: Sequence[str], owner: str | None = None) -> list[TriedAgain]:
    """Have troubles of one owner, or of anybody, tried again with all retries that there are.

    Others are left out, and so are refused uploads: whoever has their bytes asks for each with `retry_upload`.
    """

    return ledger.write(lambda tx: _retry(tx, list(dict.fromkeys(ids)), owner)) if ids else []


def retry_upload(ledger: Ledger, id: str, new_id: str, owner: str | None = None) -> list[TriedAgain]:
    """Have a refused upload tried again, whose bytes lie under `new_id` too; nothing when it is not in view."""

    def tried(tx: sa.Connection) -> list[TriedAgain]:
        rows = [row for row in _troubled(tx, submissions, [id], owner) if is_upload(row.uri)]
        return [TriedAgain(id, _begin_again(tx, row, new_id, upload_uri(new_id))) for row in rows]

    return ledger.write(tried)


def uploads_among(conn: sa.Connection, ids: Sequence[str], owner: str | None = None) -> list[str]:
    """Return those of these troubles in view that are refused uploads."""
    s = submissions.c
    in_view = sa.select(s.id, s.owner, s.status, s.uri).where(~is_dropped(s.id, s.ended_at))
    rows = each(conn, in_view, s.id, ids)
    return [r.id for r in rows if r.status == "refused" and owner in (None, r.owner) and is_upload(r.uri)]


def drop(ledger: Ledger, ids: Sequence[str], by: str, owner: str | None = None) -> list[str]:
    """Let troubles leave the view and return which did; they stay counted, and come back if they fail once more.

    `by`: who says so.
    """
    return ledger.write(lambda tx: _drop(tx, list(dict.fromkeys(ids)), by, owner)) if ids else []


def _retry(tx: sa.Connection, ids: Sequence[str], owner: str | None) -> list[TriedAgain]:
    failed = _retry_failed(tx, ids, owner)
    refused = [row for row in _troubled(tx, submissions, ids, owner) if not is_upload(row.uri)]
    new = {row.id: _begin_again(tx, row, uuid.uuid4().hex, row.uri) for row in refused if row.id not in failed}
    return [TriedAgain(id, new.get(id, id)) for id in ids if id in failed or id in new]


def _retry_failed(tx: sa.Connection, ids: Sequence[str], owner: str | None) -> set[str]:
    rows = locked(tx, ids)
    at = now(tx)
    failed = {row.key: _failed_stage(row.failed_stage) for row in _troubled(tx, recordings, ids, owner)}
    waiting = {key: stage for (key, stage), row in rows.items() if row.state == RETRY and key not in failed}
    if waiting:  # they need not wait for their pause
        theirs = each(tx, sa.select(recordings.c.key, recordings.c.owner), recordings.c.key, waiting)
        failed |= {row.key: _failed_stage(waiting[row.key]) for row in theirs if owner in (None, row.owner)}
    for stage, shown in _SHOWN.items():
        keys = [key for key, at_stage in failed.items() if at_stage == stage and (key, stage) in rows]
        again = work.update().where(work.c.stage == stage).values(**ready(at), epoch=work.c.epoch + 1)
        each(tx, again, work.c.recording_key, keys)
        cleared = dict.fromkeys(("failed_stage", "reason_code", "message", "ended_at"))
        # An expression, because a plain `status = ...` leads SQLite to walk all that have that status.
        mine = recordings.update().where(recordings.c.status.concat("") == "failed").values(status=shown, **cleared)
        each(tx, mine, recordings.c.key, keys)
    return set(failed)


def _begin_again(tx: sa.Connection, refused: sa.Row[Any], new_id: str, uri: str) -> str:
    """Open a new submission for what was refused and put the old one aside; return the new id."""
    at = now(tx)
    copied = {name: getattr(refused, name) for name in _COPIED}
    begun = {"id": new_id, "uri": uri, "status": "pending", "duplicate": False, "created_at": at}
    tx.execute(submissions.insert(), in_turn(tx, [{**copied, **begun}]))
    said = tx.execute(sa.select(jobs).where(jobs.c.submission_id == refused.id)).one_or_none()
    if said is not None:
        tx.execute(jobs.insert().values({**said._mapping, "submission_id": new_id}))
    # A second refusal of the same file is in view only under the submission that its file is known by.
    mine = (seen_files.c.owner == refused.owner) & (seen_files.c.path == refused.uri)
    tx.execute(seen_files.update().where(mine, seen_files.c.submission_id == refused.id).values(submission_id=new_id))
    _put_aside(tx, refused.id, f"{AGAIN}{new_id}", at)
    return new_id


def _drop(tx: sa.Connection, ids: Sequence[str], by: str, owner: str | None) -> list[str]:
    there = {row.key for row in _troubled(tx, recordings, ids, owner)}
    there |= {row.id for row in _troubled(tx, submissions, ids, owner)}
    at = now(tx)
    for id in sorted(there):
        _put_aside(tx, id, by, at)
    return [id for id in ids if id in there]


def _put_aside(tx: sa.Connection, id: str, by: str, at: float) -> None:
    refused_uploads.forget(tx, [id])
    upsert(tx, dropped_troubles, {"subject": id, "dropped_at": at, "dropped_by": by})


def _troubled(
    tx: sa.Connection, table: sa.Table, ids: Sequence[str], owner: str | None
) -> list[sa.Row[tuple[object, ...]]]:
    name, status = (table.c.id, "refused") if table is submissions else (table.c.key, "failed")
    # Two statements: PostgreSQL judges a row that it had to wait for by what was dropped before it waited.
    each(tx, sa.select(name).order_by(name).with_for_update(), name, ids)
    rows = each(tx, sa.select(table).where(~is_dropped(name, table.c.ended_at)).order_by(name), name, ids)
    return [row for row in rows if row.status == status and owner in (None, row.owner)]


def _failed_stage(said: str | None) -> Stage:
    return "note" if said == "note" else "transcript"
