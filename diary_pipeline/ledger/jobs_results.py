"""What a job led to: the transcript and the note that it got when it ended, whatever was made of the recording since.

Reading the objects is the catalogue's business.

What surprises: only the current version and the one before are kept (see versions.py). A job whose own is gone is shown
the current one, and says so.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.ledger.commits import PointerKind, pointer
from diary_pipeline.ledger.jobs_read import Job
from diary_pipeline.ledger.tables import history


@dataclass(frozen=True)
class Result:
    """One committed version of a transcript or a note."""

    version: str
    object_id: str
    seq: int
    is_own: bool
    """The one that the job got; False: that is not kept any more, and this is what is current."""


@dataclass(frozen=True)
class Results:
    """What there is of a job to read; None: nothing, or not yet."""

    transcript: Result | None
    note: Result | None


def results(conn: sa.Connection, job: Job) -> Results:
    """Return the versions a job got; one that has not ended has what is current of its recording."""
    if job.recording_key is None:
        return Results(None, None)
    return Results(_result(conn, job, "transcript"), _result(conn, job, "note"))


def _result(conn: sa.Connection, job: Job, kind: PointerKind) -> Result | None:
    h = history.c
    if job.commit_seq is not None:
        mine = (h.subject == job.recording_key) & (h.kind == kind) & (h.seq <= job.commit_seq)
        newest = sa.select(h.version, h.object_id, h.seq).where(mine).order_by(h.seq.desc()).limit(1)
        row = conn.execute(newest).one_or_none()
        if row is not None:
            return Result(row.version, row.object_id, row.seq, is_own=True)
    there = pointer(conn, job.recording_key or "", kind)
    if there is None or there.object_id is None or there.version is None:
        return None
    return Result(there.version, there.object_id, there.seq, is_own=job.commit_seq is None)
