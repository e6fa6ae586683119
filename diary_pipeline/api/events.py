"""`GET /jobs/{id}/events`: how far a job has come, as server-sent events, until it ends.

One look at the ledger serves all listeners of this process, whatever their number, and none is made while nobody
listens. The surprise: an event's id is a fingerprint of what it says. Whoever comes back with the last one is told only
what is different, by any replica; and whoever has the end already is answered 204, on which browsers stop coming back.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Header, Request
from fastapi.responses import Response, StreamingResponse

from diary_pipeline.api.auth import Asking
from diary_pipeline.api.jobs import NO_JOB, JobId, find_job
from diary_pipeline.api.parts import Given
from diary_pipeline.api.problems import answers, unavailable
from diary_pipeline.core.batch import ENDED
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.jobs_read import Job, find_all
from diary_pipeline.observability.logs import log

POLL_S = 1.0
HEARTBEAT_S = 15.0
"""Proxies end what is silent for longer, often after 30 or 60 s."""
MOST_LISTENERS = 250
"""Of one process; a quarter of its usual connections, so that whoever listens leaves room for whoever asks."""
COME_BACK_MS = 3_000
REMOVED = "removed"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx would keep events until a buffer is full

logger = log(__name__)
router = APIRouter(tags=["jobs"])


@dataclass(eq=False)
class _Listener:
    """Somebody who waits; only the newest state is kept for who reads slowly."""

    newest: "asyncio.Queue[Job | None]" = field(default_factory=lambda: asyncio.Queue(1))

    def tell(self, job: Job | None) -> None:
        if self.newest.full():
            self.newest.get_nowait()
        self.newest.put_nowait(job)


class Watch:
    """Looks at the jobs that somebody listens to, all of them in one query; for one event loop."""

    def __init__(self, ledger: Ledger, poll_s: float = POLL_S, most: int = MOST_LISTENERS) -> None:
        self._ledger, self._poll_s, self._most = ledger, poll_s, most
        self._listeners: dict[str, set[_Listener]] = {}
        self._seen: dict[str, str] = {}
        self._poller: asyncio.Task[None] | None = None
        self._is_ending = False

    def end(self) -> None:
        """Let all listeners go, because the server stops; they come back to another replica, or to this one later."""
        self._is_ending = True
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.tell(None)

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return sum(map(len, self._listeners.values()))

    @property
    def is_full(self) -> bool:
        """Whether nobody else may listen now."""
        return self.listeners >= self._most

    async def states(self, job: Job, heartbeat_s: float = HEARTBEAT_S) -> AsyncGenerator[Job | float | None, None]:
        """Give a job as it stands now and whenever that has changed, None when it was removed.

        A number, the seconds of silence, comes where nothing has changed for so long.
        """
        mine = _Listener()
        self._listeners.setdefault(job.id, set()).add(mine)
        self._seen.pop(job.id, None)  # told again: it may have changed since this listener's look at it
        try:
            if self._poller is None or self._poller.done():
                self._poller = asyncio.create_task(self._poll())
            yield job
            while not self._is_ending:
                try:
                    newest = await asyncio.wait_for(mine.newest.get(), heartbeat_s)
                except TimeoutError:
                    yield heartbeat_s
                else:
                    if not self._is_ending:
                        yield newest
        finally:
            self._listeners[job.id].discard(mine)
            if not self._listeners[job.id]:
                del self._listeners[job.id]

    async def _poll(self) -> None:
        while self._listeners:
            ids = list(self._listeners)
            try:
                jobs = await to_thread.run_sync(self._look, ids)
            except Exception as error:  # noqa: BLE001 - a ledger that is away for a while must not end the listening
                logger.warning("events_waiting", error=type(error).__name__)
            else:
                marks = {id: _mark(jobs.get(id)) for id in ids}
                for id in ids:
                    if marks[id] != self._seen.get(id):
                        for listener in self._listeners.get(id, ()):
                            listener.tell(jobs.get(id))
                self._seen = marks
            await asyncio.sleep(self._poll_s)

    def _look(self, ids: list[str]) -> Mapping[str, Job]:
        with self._ledger.reading() as conn:
            return find_all(conn, ids)


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
    if watch.is_full:
        raise unavailable("events_full", "Too many listen now; ask for the job itself, or come back soon.")
    return StreamingResponse(_events(watch, job, last_event_id), media_type="text/event-stream", headers=_HEADERS)


async def _events(watch: Watch, job: Job, last: str | None) -> AsyncIterator[str]:
    yield f"retry: {COME_BACK_MS}\n\n"
    async with aclosing(watch.states(job)) as states:
        async for state in states:
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
