"""Jobs as they stand: one, a page of them, and the end of one that nobody wants any more."""

import base64
import binascii
import math
from typing import Annotated, cast

from fastapi import APIRouter, Path, Query

from diary_pipeline.api.auth import Asking, Caller
from diary_pipeline.api.models import JOB, Gone, Job, JobList, JobStatus, Priority, Progress
from diary_pipeline.api.opening import instant
from diary_pipeline.api.parts import Given, Parts
from diary_pipeline.api.problems import Problem, answers, problem
from diary_pipeline.core.batch import ENDED
from diary_pipeline.ledger import jobs as ledger_jobs
from diary_pipeline.ledger.jobs import Cursor
from diary_pipeline.ledger.statements import now

one = APIRouter(tags=["jobs"])
"""Of both apps."""
listing = APIRouter(tags=["jobs"])
"""Of the status API."""

NO_SPEECH = "No words were understood in it, so it has no note."
NO_JOB = "job_missing: There is no job of this id, or it is somebody else's."
JobId = Annotated[str, Path(alias="job_id", description="As `POST /jobs` answered it.", examples=[JOB])]
"""Any text: what can be no id is unknown, as others that there are not."""
_ENDED = "job_ended: It has ended, and nothing was to be erased."
MOST_LISTED = 200
_LONGEST_ID = 64


@one.get("/jobs/{job_id}", operation_id="getJob", responses=answers(401, 403, 405, 422, 429, 503, s404=NO_JOB))
def get_job(id: JobId, parts: Given, caller: Asking) -> Job:
    """Tell how a job stands."""
    caller.require("read")
    job = find_job(parts, caller, id)
    if job.status in ENDED:
        return shown(job, None)
    with parts.ledger.reading() as conn:
        at = now(conn)
    return shown(job, at + parts.estimates.left_s(job.id))


@one.delete(
    "/jobs/{job_id}",
    operation_id="deleteJob",
    responses=answers(401, 403, 405, 422, 429, 503, s404=NO_JOB, s409=_ENDED),
)
def delete_job(
    id: JobId,
    parts: Given,
    caller: Asking,
    erase: Annotated[bool, Query(description="`false`: only cancel, however often it is sent.")] = True,
) -> Gone:
    """Cancel an unfinished job; remove an ended one, a cancelled one too, with its recording when no other holds it."""
    caller.require("submit")
    find_job(parts, caller, id)
    gone = ledger_jobs.cancel_or_remove(parts.ledger, parts.seal, id, caller.owner, erase=erase)
    if gone.upload is not None:
        parts.store.delete(gone.upload)
    return Gone(job_id=id, status=gone.how, erasure_id=gone.erasure_id)


@listing.get("/jobs", operation_id="listJobs", responses=answers(401, 403, 405, 422, 429, 503))
def list_jobs(  # noqa: PLR0917 - the framework's way to declare a query
    parts: Given,
    caller: Asking,
    status: Annotated[JobStatus | None, Query(description="Only those that stand so.")] = None,
    user_id: Annotated[str | None, Query(min_length=1, max_length=64, description="Only those of this person.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 50,
    cursor: Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before.")] = None,
) -> JobList:
    """List jobs, the newest first."""
    caller.require("read")
    if user_id is not None and ("\0" in user_id or caller.owner not in (None, user_id)):
        return JobList(jobs=[], next_cursor=None)
    owner = caller.owner or user_id
    before = None if cursor is None else _read(cursor)
    with parts.ledger.reading() as conn:
        found = ledger_jobs.page(conn, owner=owner, status=status, limit=limit + 1, before=before)
    some = found[:limit]
    more = len(found) > limit
    return JobList(jobs=[shown(job, None) for job in some], next_cursor=_write(some[-1].cursor) if more else None)


def find_job(parts: Parts, caller: Caller, id: str) -> ledger_jobs.Job:
    """Return a job that the caller may see; Problem 404, for others' jobs too."""
    if len(id) <= _LONGEST_ID and id.isascii() and id.isalnum():
        with parts.ledger.reading() as conn:
            job = ledger_jobs.find(conn, id, caller.owner)
        if job is not None:
            return job
    raise problem(404, NO_JOB)


def shown(job: ledger_jobs.Job, done_at: float | None) -> Job:
    """Give a job as it goes over the wire; `done_at`: when it will have ended, by the backlog."""
    return Job(
        job_id=job.id,
        status=cast("JobStatus", job.status),
        progress=job.progress,
        stages=Progress.model_validate(dict(job.stages)),
        user_id=job.owner,
        source=job.source,
        file_name=job.file_name,
        priority=cast("Priority", job.priority),
        whisper_model=_said(job, "whisper_model"),
        language=_said(job, "language"),
        metadata=cast("None", job.said),
        recording_key=job.recording_key,
        duplicate=job.duplicate,
        created_at=instant(job.created_at),
        ended_at=None if job.ended_at is None else instant(job.ended_at),
        estimated_completion=None if done_at is None else instant(done_at),
        error=job.reason_code,
        message=NO_SPEECH if job.message is None and job.reason_code == "audio_no_speech" else job.message,
        next_try_at=None if job.again_at is None else instant(job.again_at),
        received_bytes=job.received_bytes,
        expected_bytes=job.expected_bytes,
        links=_links(job),
    )


def _said(job: ledger_jobs.Job, option: str) -> str | None:
    value = job.options.get(option)
    return None if value is None else str(value)


def _links(job: ledger_jobs.Job) -> dict[str, str]:
    """Name what there is to read."""
    here = f"/jobs/{job.id}"
    links = {"self": here, "events": f"{here}/events"}
    if job.status in ("completed", "degraded"):
        links["transcription"] = f"{here}/transcription"
        if job.reason_code is None:
            links["diary_note"] = f"{here}/diary-note"
    return links


def _write(cursor: Cursor) -> str:
    at, id = cursor
    return base64.urlsafe_b64encode(f"{at!r}~{id}".encode()).decode().rstrip("=")


def _read(cursor: str) -> Cursor:
    try:
        at, _, id = base64.urlsafe_b64decode(cursor.encode("ascii") + b"==").decode("ascii").partition("~")
        if id.isalnum() and math.isfinite(float(at)):
            return float(at), id
    except (ValueError, binascii.Error):
        pass
    raise Problem(422, "cursor_invalid", "This is no cursor of this list; begin without one.")
