"""What a job led to: the transcript and the note that it got when it ended, whatever was made of the recording since.

Reading the objects is the catalogue's business, laying the owner's corrections over them too.

What surprises: only the current version and the one before are kept for long (see catalogue/merge.py). A job whose own
is gone is shown the current one, and says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.core.batch import ENDED
from diary_pipeline.ledger.jobs_read import Job
from diary_pipeline.ledger.pointers import PointerKind, pointer
from diary_pipeline.ledger.tables import history, submissions

LOOKED_AT = 200
"""Of one recording's jobs, the latest ones."""
_HEARS = ("whisper_model", "language", "vocabulary")


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
    """Return the versions a job got; one that has not ended has a transcript once that is what it asked for."""
    if job.recording_key is None:
        return Results(None, None)
    if job.status not in ENDED:
        is_heard = job.stages["transcription"] == 100
        return Results(_current(conn, job.recording_key, "transcript", is_own=True) if is_heard else None, None)
    return Results(
        _kept(conn, job.recording_key, "transcript", job.transcript_version),
        _kept(conn, job.recording_key, "note", job.note_version),
    )


def heard_before(conn: sa.Connection, key: str, options: Mapping[str, object]) -> Result | None:
    """Return the transcript that an earlier job got that wanted a recording heard just so; None: none is kept."""
    s = submissions.c
    ended = sa.select(s.options, s.transcript_version).where(s.recording_key == key, s.transcript_version.is_not(None))
    for row in conn.execute(ended.order_by(s.created_at.desc()).limit(LOOKED_AT)):
        if all(row.options.get(name) == options.get(name) for name in _HEARS):
            found = _kept(conn, key, "transcript", row.transcript_version)
            if found is not None and found.is_own:
                return found
    return None


def _kept(conn: sa.Connection, key: str, kind: PointerKind, version: str | None) -> Result | None:
    if version is None:
        return None
    h = history.c
    same = (h.subject == key) & (h.kind == kind) & (h.version == version)
    # Whoever went back to it has written it down once more; the object is the same.
    row = conn.execute(sa.select(h.object_id, h.seq).where(same).order_by(h.seq.desc()).limit(1)).one_or_none()
    if row is None:
        return _current(conn, key, kind, is_own=False)
    return Result(version, row.object_id, row.seq, is_own=True)


def _current(conn: sa.Connection, key: str, kind: PointerKind, *, is_own: bool) -> Result | None:
    there = pointer(conn, key, kind)
    if there is None or there.object_id is None or there.version is None:
        return None
    return Result(there.version, there.object_id, there.seq, is_own)
