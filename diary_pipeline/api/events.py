"""`GET /jobs/{id}/events`: how far a job has come, as server-sent events, until it ends.

How jobs are looked at stands in watch.py. The surprise: an event's id is a fingerprint of what it says. Whoever comes
back with the last one is told only what is different, by any replica; and whoever has the end already is answered 204,
on which browsers stop coming back.
"""

import hashlib
import json
from collections.abc import AsyncIterator
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Header, Request
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from diary_pipeline.api.auth import Asking
from diary_pipeline.api.jobs import NO_JOB, JobId, find_job
from diary_pipeline.api.parts import Given
from diary_pipeline.api.problems import answers
from diary_pipeline.api.watch import Place, Watch
from diary_pipeline.core.batch import ENDED
from diary_pipeline.ledger.jobs_read import Job

COME_BACK_MS = 3_000
REMOVED = "removed"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx would keep events until a buffer is full

router = APIRouter(tags=["jobs"])


@router.get(
    "/jobs/{job_id}/events",
    operation_id="listenToJob",
    response_class=StreamingResponse,
    responses={
        200: {"description": "Events until the job ends.", "content": {"text/event-stream": {}}},
        204: {"description": "The job has ended, and you know how."},
        **answers(401, 403, 405, 422, 429, 503, s404=NO_JOB),
    },
)
async def listen_to_job(
    id: JobId,
    request: Request,
    parts: Given,
    caller: Asking,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> Response:
    """Tell how far a job has come, whenever that changes."""
    caller.require("read")
    job = await to_thread.run_sync(find_job, parts, caller, id)
    if job.status in ENDED and last_event_id == _mark(job):
        return Response(status_code=204)
    watch: Watch = request.app.state.watch
    return _Events(watch, watch.listen(job.id, job.owner), job, last_event_id)


class _Events(StreamingResponse):
    """The stream of one listener, whose place is left however it ends: also where it never began."""

    def __init__(self, watch: Watch, place: Place, job: Job, last: str | None) -> None:
        super().__init__(_events(watch, place, job, last), media_type="text/event-stream", headers=_HEADERS)
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._place:
            await super().__call__(scope, receive, send)


async def _events(watch: Watch, place: Place, job: Job, last: str | None) -> AsyncIterator[str]:
    yield f"retry: {COME_BACK_MS}\n\n"
    async for state in watch.states(place, job):
        if isinstance(state, float):
            yield ": still here\n\n"
            continue
        mark = _mark(state)
        if mark != last:
            yield _event(state, job.id, mark)
            last = mark
        if state is None or state.status in ENDED:
            return


def _event(job: Job | None, id: str, mark: str) -> str:
    name = REMOVED if job is None else "ended" if job.status in ENDED else "progress"
    data = {"job_id": id, "status": REMOVED} if job is None else _told(job)
    return f"id: {mark}\nevent: {name}\ndata: {json.dumps(data)}\n\n"


def _told(job: Job) -> dict[str, object]:
    return {
        "job_id": job.id,
        "status": job.status,
        "progress": job.progress,
        "stages": dict(job.stages),
        "error": job.reason_code,
    }


def _mark(job: Job | None) -> str:
    said = REMOVED if job is None else json.dumps(_told(job), sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]
