"""What went wrong and is still wrong: refused submissions and failed recordings, by the time they ended.

How it is shown, page by page, is intake/quarantine.py's business. The surprise: a refusal is forgotten here once its
file was submitted again, because `seen_files` then names the later submission; the row itself stays in `submissions`.
"""

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.ledger.tables import recordings, seen_files, submissions


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
    conn: sa.Connection, *, limit: int, before: tuple[float, str] | None = None, owner: str | None = None
) -> list[Trouble]:
    """Return what is in quarantine, the latest first; `before` is (ended_at, id) of the last one of the page before."""
    s, r, seen = submissions.c, recordings.c, seen_files.c
    same_file = (seen.owner == s.owner) & (seen.path == s.uri)
    refused = (
        sa.select(
            s.id, s.ended_at, s.owner, s.file_name, sa.literal("intake"), s.reason_code, s.message, sa.null(), s.uri
        )
        .select_from(submissions.outerjoin(seen_files, same_file))
        .where(s.status == "refused", seen.submission_id.is_(None) | (seen.submission_id == s.id))
    )
    failed = sa.select(
        r.key, r.ended_at, r.owner, r.file_name, r.failed_stage, r.reason_code, r.message, r.key, sa.null()
    ).where(r.status == "failed")
    found: list[Trouble] = []
    for chosen, t, id in ((refused, s, s.id), (failed, r, r.key)):
        narrowed = chosen if owner is None else chosen.where(t.owner == owner)
        if before is not None:
            narrowed = narrowed.where(sa.tuple_(t.ended_at, id) < sa.tuple_(*map(sa.literal, before)))
        ordered = narrowed.order_by(t.ended_at.desc(), id.desc()).limit(limit)
        found += [
            Trouble(id, at, owner, name, stage or "", code or "", message or "", key, uri)
            for id, at, owner, name, stage, code, message, key, uri in conn.execute(ordered)
        ]
    return sorted(found, key=lambda trouble: (trouble.ended_at, trouble.id), reverse=True)[:limit]
