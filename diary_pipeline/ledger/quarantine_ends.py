"""How a trouble leaves the quarantine: somebody has it tried again, or drops it.

What is in it stands in quarantine.py. The surprise: a refused file is tried again as a new submission, because the old
one's refusal is committed and its application was told so; a failed recording is tried again itself, and its jobs stay
failed until that has succeeded (settling.py).
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.core.batch import Stage
from diary_pipeline.ledger.again import locked, ready
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.quarantine import AGAIN, is_dropped
from diary_pipeline.ledger.retries import RETRY
from diary_pipeline.ledger.statements import each, now, upsert
from diary_pipeline.ledger.tables import recordings, seen_files, submissions, work
from diary_pipeline.ledger.tables_jobs import dropped_troubles, jobs
from diary_pipeline.ledger.turns import in_turn

_SHOWN: dict[Stage, str] = {"transcript": "pending", "note": "generating_notes"}
_COPIED = ("owner", "source", "uri", "file_name", "options", "priority")


@dataclass(frozen=True)
class TriedAgain:
    """What is tried again, and under which name."""

    id: str
    """As the quarantine called it."""
    now: str
    """Recording key, or id of the new submission."""


def retry(
    ledger: Ledger, ids: Sequence[str], owner: str | None = None, uploads: Mapping[str, str] | None = None
) -> list[TriedAgain]:
    """Have troubles of one owner, or of anybody, tried again with all retries that there are; others are left out.

    So are refused uploads, but for `uploads`: those whose bytes lie under a new id already, by the old one. Who puts
    them there is intake/quarantine.py, which is to be asked for a retry.
    """
    return ledger.write(lambda tx: _retry(tx, list(dict.fromkeys(ids)), owner, uploads or {})) if ids else []


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


def _retry(tx: sa.Connection, ids: Sequence[str], owner: str | None, uploads: Mapping[str, str]) -> list[TriedAgain]:
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
    troubled = _troubled(tx, submissions, ids, owner)
    refused = [row for row in troubled if row.id not in failed and (row.id in uploads or not is_upload(row.uri))]
    new = {row.id: uploads.get(row.id) or uuid.uuid4().hex for row in refused}
    for row in refused:
        copied = {name: getattr(row, name) for name in _COPIED}
        if row.id in uploads:
            copied["uri"] = f"upload:{new[row.id]}"
        begun = {"id": new[row.id], "status": "pending", "duplicate": False, "created_at": at}
        tx.execute(submissions.insert(), in_turn(tx, [{**copied, **begun}]))
        said = tx.execute(sa.select(jobs).where(jobs.c.submission_id == row.id)).one_or_none()
        if said is not None:
            tx.execute(jobs.insert().values({**said._mapping, "submission_id": new[row.id]}))
        # A second refusal of the same file is in view only under the submission that its file is known by.
        mine = (seen_files.c.owner == row.owner) & (seen_files.c.path == row.uri)
        known = seen_files.update().where(mine, seen_files.c.submission_id == row.id)
        tx.execute(known.values(submission_id=new[row.id]))
        _put_aside(tx, row.id, f"{AGAIN}{new[row.id]}", at)
    return [TriedAgain(id, new.get(id, id)) for id in ids if id in failed or id in new]


def _drop(tx: sa.Connection, ids: Sequence[str], by: str, owner: str | None) -> list[str]:
    there = {row.key for row in _troubled(tx, recordings, ids, owner)}
    there |= {row.id for row in _troubled(tx, submissions, ids, owner)}
    at = now(tx)
    for id in sorted(there):
        _put_aside(tx, id, by, at)
    return [id for id in ids if id in there]


def is_upload(uri: str | None) -> bool:
    """Whether bytes were handed in, which are kept for some days only."""
    return uri is not None and uri.startswith("upload:")


def _put_aside(tx: sa.Connection, id: str, by: str, at: float) -> None:
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
