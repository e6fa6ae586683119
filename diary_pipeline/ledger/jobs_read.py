"""Jobs as an application sees them: one, or a page of them, each with its status, its progress and what it is told.

Opening one is jobs.py's business, ending one that of jobs_end.py, what it led to stands in jobs_results.py.

What surprises: a job is a submission that may have come in any way, so one of a folder or of the command line is a job
too; it has said nothing and wants no call. And the status shown is an expression that two indices hold, word for word.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.core.batch import PRIORITIES
from diary_pipeline.ledger.tables import submissions
from diary_pipeline.ledger.tables_jobs import jobs

Cursor = tuple[float, str]
"""`created_at` and `id` of the last job of a page: the next one begins behind it."""

WORDS: Mapping[int, str] = {rank: word for word, rank in PRIORITIES.items()}


@dataclass(frozen=True)
class Job:
    """A submission as the API shows it."""

    id: str
    owner: str
    source: str
    uri: str
    file_name: str
    status: str
    """pending | downloading | transcribing | generating_notes | completed | degraded | failed | cancelled."""
    progress: int
    """0 to 100, of the whole."""
    stages: Mapping[str, int]
    """download | transcription | notes -> 0 to 100."""
    reason_code: str | None
    message: str | None
    recording_key: str | None
    duplicate: bool
    priority: str
    options: Mapping[str, object]
    said: object
    """`metadata` of the request: any JSON."""
    callback_url: str | None
    created_at: float
    ended_at: float | None
    commit_seq: int | None
    received_bytes: int | None
    expected_bytes: int | None

    @property
    def cursor(self) -> Cursor:
        """Where a page goes on behind this job."""
        return self.created_at, self.id


def find(conn: sa.Connection, id: str, owner: str | None = None) -> Job | None:
    """Return one job, or None when there is none, or none of this owner's; no `owner`: anybody's."""
    chosen = _ROWS.where(submissions.c.id == id)
    row = conn.execute(chosen if owner is None else chosen.where(submissions.c.owner == owner)).one_or_none()
    return None if row is None else _job(row)


def page(
    conn: sa.Connection,
    *,
    owner: str | None = None,
    status: str | None = None,
    limit: int,
    before: Cursor | None = None,
) -> list[Job]:
    """Return jobs, the newest first, from behind a cursor on; `status` as shown, `owner` None: everybody's."""
    s = submissions.c
    chosen = _ROWS.order_by(s.created_at.desc(), s.id.desc()).limit(limit)
    if owner is not None:
        chosen = chosen.where(s.owner == owner)
    if status is not None:
        chosen = chosen.where(_SHOWN.op("=")(status))
    if before is not None:
        chosen = chosen.where(sa.tuple_(s.created_at, s.id) < sa.tuple_(*map(sa.literal, before)))
    return [_job(row) for row in conn.execute(chosen)]


_SHOWN = sa.case(
    (submissions.c.status == "refused", "failed"),
    (
        (submissions.c.status == "pending")
        & submissions.c.recording_key.is_(None)
        & submissions.c.fetching_since.is_not(None),
        "downloading",
    ),
    else_=submissions.c.status,
)
_OF_SUBMISSIONS = (
    *("id", "owner", "source", "uri", "file_name", "reason_code", "message", "recording_key", "duplicate", "options"),
    *("created_at", "ended_at", "commit_seq", "received_bytes", "expected_bytes"),
)
_ROWS = sa.select(
    *(submissions.c[name] for name in _OF_SUBMISSIONS),
    submissions.c.priority.label("rank"),
    _SHOWN.label("shown"),
    jobs.c.said,
    jobs.c.callback_url,
).select_from(submissions.outerjoin(jobs, jobs.c.submission_id == submissions.c.id))


def _job(row: sa.Row[tuple[object, ...]]) -> Job:
    is_well = row.shown in ("completed", "degraded")
    done = 100 if is_well else 0
    return Job(
        **{name: getattr(row, name) for name in _OF_SUBMISSIONS},
        status=row.shown,
        progress=done,
        stages=dict.fromkeys(("download", "transcription", "notes"), done),
        priority=WORDS[row.rank],
        said=row.said,
        callback_url=row.callback_url,
    )
