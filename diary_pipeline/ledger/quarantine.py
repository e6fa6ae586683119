"""What went wrong and is still wrong: refused submissions and failed recordings, by the time they ended.

How it is shown, page by page, is intake/quarantine.py's business. The surprise: a refusal is forgotten here once its
file was submitted again, because `seen_files` then names the later submission; the row itself stays in `submissions`.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from diary_pipeline.core.batch import ENDED
from diary_pipeline.ledger.tables import recordings, seen_files, submissions
from diary_pipeline.ledger.tables_jobs import dropped_troubles, failures

AGAIN = "tried again as "
"""Before the new id, where it stands by whom a refused file was dropped."""


@dataclass(frozen=True)
class Trouble:
    """One refused submission or one failed recording."""

    id: str
    """Submission id or recording key."""
    ended_at: float
    owner: str
    file_name: str
    stage: str
    """`intake`, `transcript` or `note`."""
    code: str
    message: str
    key: str | None
    """Partition key; None for what was refused at the door."""
    uri: str | None
    """Where a refused file lies: what to submit to try again."""

    @property
    def at(self) -> dt.datetime:
        """`ended_at` as an aware instant, UTC; the float is exact, so pages are cut by that."""
        return dt.datetime.fromtimestamp(self.ended_at, dt.UTC)


def troubles(
    conn: sa.Connection,
    *,
    limit: int,
    before: tuple[float, str] | None = None,
    owner: str | None = None,
    code: str | None = None,
) -> list[Trouble]:
    """Return what is in quarantine, the latest first; `before` is (ended_at, id) of the last one of the page before."""
    s, r, seen = submissions.c, recordings.c, seen_files.c
    same_file = (seen.owner == s.owner) & (seen.path == s.uri)
    refused = _REFUSED.select_from(submissions.outerjoin(seen_files, same_file)).where(
        s.status == "refused", seen.submission_id.is_(None) | (seen.submission_id == s.id)
    )
    failed = _FAILED.where(r.status == "failed")
    found: list[Trouble] = []
    for chosen, t, id in ((refused, s, s.id), (failed, r, r.key)):
        narrowed = chosen.where(~is_dropped(id, t.ended_at))
        if owner is not None:
            narrowed = narrowed.where(t.owner == owner)
        if code is not None:
            narrowed = narrowed.where(t.reason_code == code)
        if before is not None:
            narrowed = narrowed.where(sa.tuple_(t.ended_at, id) < sa.tuple_(*map(sa.literal, before)))
        ordered = narrowed.order_by(t.ended_at.desc(), id.desc()).limit(limit)
        found += map(_trouble, conn.execute(ordered))
    return sorted(found, key=lambda trouble: (trouble.ended_at, trouble.id), reverse=True)[:limit]


def find(conn: sa.Connection, id: str, owner: str | None = None) -> Trouble | None:
    """Return one trouble, a dropped one too; None: there is none of that id, or it is somebody else's."""
    s, r = submissions.c, recordings.c
    for chosen in (
        _FAILED.where(r.key == id, r.status.concat("") == "failed"),
        _REFUSED.where(s.id == id, s.status.concat("") == "refused"),
    ):
        row = conn.execute(chosen).one_or_none()
        if row is not None and owner in (None, row.owner):
            return _trouble(row)
    return None


def dropped(conn: sa.Connection, trouble: Trouble) -> tuple[float, str] | None:
    """Say when and by whom a trouble was dropped; None: it was not."""
    mine = (dropped_troubles.c.subject == trouble.id) & (dropped_troubles.c.dropped_at >= trouble.ended_at)
    row = conn.execute(sa.select(dropped_troubles).where(mine)).one_or_none()
    return None if row is None else (row.dropped_at, row.dropped_by)


def goes_on_as(conn: sa.Connection, id: str, owner: str | None = None) -> str | None:
    """Say under which name a trouble that was tried again is being worked on, or was since; None: it was not."""
    r = recordings.c
    failed_once = sa.exists().where(failures.c.subject == r.key)
    row = conn.execute(sa.select(r.owner, r.status).where(r.key == id, failed_once)).one_or_none()
    if row is not None:
        return id if row.status not in ENDED and owner in (None, row.owner) else None
    trouble = find(conn, id, owner)
    by = dropped(conn, trouble) if trouble else None
    return by[1].removeprefix(AGAIN) if by and by[1].startswith(AGAIN) else None


def is_dropped(id: sa.ColumnElement[str], ended_at: sa.ColumnElement[float]) -> sa.ColumnElement[bool]:
    """Whether somebody has dropped a trouble since it last ended."""
    since = (dropped_troubles.c.subject == id) & (dropped_troubles.c.dropped_at >= ended_at)
    return sa.exists().where(since)


_s, _r = submissions.c, recordings.c
_REFUSED = sa.select(
    *(_s.id, _s.ended_at, _s.owner, _s.file_name, sa.literal("intake")),
    *(_s.reason_code, _s.message, sa.null(), _s.uri),
)
_FAILED = sa.select(
    *(_r.key, _r.ended_at, _r.owner, _r.file_name, _r.failed_stage),
    *(_r.reason_code, _r.message, _r.key, sa.null()),
)


def _trouble(row: sa.Row[Any]) -> Trouble:
    id, at, owner, name, stage, code, message, key, uri = row
    return Trouble(id, at, owner, name, stage or "", code or "", message or "", key, uri)
