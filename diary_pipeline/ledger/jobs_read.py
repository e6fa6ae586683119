"""Jobs as an application sees them: one, or a page of them, each with its status, its progress and what it is told.

Opening one is jobs.py's business, ending one that of jobs_end.py, what it led to stands in jobs_results.py.

What surprises: a job is a submission that may have come in any way, so one of a folder or of the command line is a job
too; it has said nothing and wants no call. And the status shown is an expression that two indices hold, word for word.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.core.batch import ENDED, PRIORITIES
from diary_pipeline.ledger.job_progress import DONE, Standing, stages, whole
from diary_pipeline.ledger.retries import RETRY
from diary_pipeline.ledger.statements import each
from diary_pipeline.ledger.tables import submissions, work
from diary_pipeline.ledger.tables_jobs import jobs, shown_status

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
    """0 to 100, of the whole; job_progress.py says how it comes about."""
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
    transcript_version: str | None
    """What it got when it ended; see jobs_results.py."""
    note_version: str | None
    received_bytes: int | None
    expected_bytes: int | None
    again_at: float | None
    """When what failed is tried again by itself; None: nothing failed, or nobody tries."""

    @property
    def cursor(self) -> Cursor:
        """Where a page goes on behind this job."""
        return self.created_at, self.id


def find(conn: sa.Connection, id: str, owner: str | None = None) -> Job | None:
    """Return one job, or None when there is none, or none of this owner's; no `owner`: anybody's."""
    chosen = _ROWS.where(submissions.c.id == id)
    row = conn.execute(chosen if owner is None else chosen.where(submissions.c.owner == owner)).one_or_none()
    return None if row is None else _job(row)


def find_all(conn: sa.Connection, ids: Iterable[str]) -> dict[str, Job]:
    """Return these jobs by id, whoever's they are, without what they `said`; unknown ones are left out."""
    return {row.id: _job(row) for row in each(conn, _SILENT, submissions.c.id, ids)}


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
        chosen = chosen.where(shown_status == status)
    if before is not None:
        chosen = chosen.where(sa.tuple_(s.created_at, s.id) < sa.tuple_(*map(sa.literal, before)))
    return [_job(row) for row in conn.execute(chosen)]


_heard, _noted = work.alias(), work.alias()
_PAUSES = (submissions.c.attempts > 0) & submissions.c.recording_key.is_(None) & submissions.c.fetching_since.is_(None)
_AS_THEY_ARE = (
    *("id", "owner", "source", "uri", "file_name", "reason_code", "message", "recording_key", "duplicate", "options"),
    *("created_at", "ended_at", "commit_seq", "transcript_version", "note_version", "received_bytes", "expected_bytes"),
)
_ROWS = sa.select(
    *(submissions.c[name] for name in _AS_THEY_ARE),
    submissions.c.priority,
    shown_status.label("shown"),
    jobs.c.said,
    jobs.c.callback_url,
    _heard.c.wanted.label("transcript_wanted"),
    _heard.c.done_s,
    _heard.c.audio_s,
    _noted.c.wanted.label("note_wanted"),
    sa.case(
        (submissions.c.ended_at.is_not(None), sa.null()),
        (_PAUSES, submissions.c.not_before),
        (_heard.c.state == RETRY, _heard.c.ready_at),
        (_noted.c.state == RETRY, _noted.c.ready_at),
    ).label("again_at"),
).select_from(
    submissions.outerjoin(jobs, jobs.c.submission_id == submissions.c.id)
    .outerjoin(_heard, (_heard.c.recording_key == submissions.c.recording_key) & (_heard.c.stage == "transcript"))
    .outerjoin(_noted, (_noted.c.recording_key == submissions.c.recording_key) & (_noted.c.stage == "note"))
)
_SILENT = _ROWS.with_only_columns(*(column for column in _ROWS.selected_columns if column is not jobs.c.said))
"""For whoever asks for a thousand of them every second."""


def _job(row: sa.Row[tuple[object, ...]]) -> Job:
    is_well = row.shown in ("completed", "degraded")
    of_stages = DONE if is_well else stages(_standing(row))
    return Job(
        **{name: getattr(row, name) for name in _AS_THEY_ARE},
        status=row.shown,
        progress=100 if is_well else whole(of_stages),
        stages=of_stages,
        priority=WORDS[row.priority],
        said=getattr(row, "said", None),
        callback_url=row.callback_url,
        again_at=row.again_at,
    )


def _standing(row: sa.Row[tuple[object, ...]]) -> Standing:
    return Standing(
        has_ended=row.shown in ENDED,
        is_taken_in=row.recording_key is not None,
        received_bytes=row.received_bytes,
        expected_bytes=row.expected_bytes,
        has_transcript=row.transcript_version is not None,
        transcript_wanted=row.transcript_wanted,
        transcript_s=row.done_s,
        audio_s=row.audio_s,
        note_wanted=row.note_wanted,
    )
