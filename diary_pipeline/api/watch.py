"""The jobs that somebody in this process waits for: whoever listens to events, and requests that wait for a transcript.

What surprises: they cost nothing but a queue each. One task asks the ledger for all these jobs in one statement, a
thousand waiting requests poll as much as one, and nobody asks while nobody waits.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from anyio import to_thread

from diary_pipeline.core.batch import ENDED
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.jobs_read import Job, find_all
from diary_pipeline.observability.logs import log

POLL_S = 0.5
"""Between two looks: hardly noticed beside the seconds that a transcript takes."""
HEARTBEAT_S = 15.0
"""Proxies end what is silent for longer, often after 30 or 60 s."""
MOST_LISTENERS = 250
"""Of one process; a quarter of its usual connections, so that whoever listens leaves room for whoever asks."""
MOST_OF_ONE = MOST_LISTENERS // 2
"""To the jobs of one owner, who thus leaves as many to all others."""
HEARD = ENDED | {"generating_notes"}
"""Statuses from which on a transcript is there, or will not be."""

logger = log(__name__)


@dataclass(eq=False)
class _Listener:
    """Somebody who waits; only the newest state is kept for who reads slowly."""

    owner: str
    newest: "asyncio.Queue[Job | None]" = field(default_factory=lambda: asyncio.Queue(1))

    def tell(self, job: Job | None) -> None:
        if self.newest.full():
            self.newest.get_nowait()
        self.newest.put_nowait(job)


class Watch:
    """Looks at the jobs that are waited for, all of them in one query; for one event loop."""

    def __init__(
        self, ledger: Ledger, poll_s: float = POLL_S, most: int = MOST_LISTENERS, most_of_one: int = MOST_OF_ONE
    ) -> None:
        self._ledger, self._poll_s, self._most, self._most_of_one = ledger, poll_s, most, most_of_one
        self._listeners: dict[str, set[_Listener]] = {}
        self._seen: dict[str, Job | None] = {}
        self._poller: asyncio.Task[None] | None = None
        self._is_ending = False

    def end(self) -> None:
        """Let everybody go, because the server stops; they come back to another replica, or to this one later."""
        self._is_ending = True
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.tell(None)

    @property
    def listeners(self) -> int:
        """How many wait now."""
        return sum(map(len, self._listeners.values()))

    def is_full(self, owner: str) -> bool:
        """Whether nobody else may listen to a job of this owner now."""
        theirs = sum(one.owner == owner for some in self._listeners.values() for one in some)
        return self.listeners >= self._most or theirs >= self._most_of_one

    async def states(
        self, id: str, owner: str, first: Job | None = None, heartbeat_s: float = HEARTBEAT_S
    ) -> AsyncGenerator[Job | float | None, None]:
        """Give a job as it stands at the next look and whenever that has changed, None when it was removed.

        `first` comes before all looks.
        A number, the seconds of silence, comes where nothing has changed for so long.
        """
        mine = _Listener(owner)
        self._listeners.setdefault(id, set()).add(mine)
        self._seen.pop(id, None)  # told again, to this listener for the first time
        try:
            if self._poller is None or self._poller.done():
                self._poller = asyncio.create_task(self._poll())
            if first is not None:
                yield first
            while not self._is_ending:
                try:
                    newest = await asyncio.wait_for(mine.newest.get(), heartbeat_s)
                except TimeoutError:
                    yield heartbeat_s
                else:
                    if not self._is_ending:
                        yield newest
        finally:
            self._listeners[id].discard(mine)
            if not self._listeners[id]:
                del self._listeners[id]

    async def until(self, id: str, owner: str, statuses: Collection[str], most_s: float) -> Job | None:
        """Return a job once it stands so, None when it was removed; TimeoutError after `most_s`, or at the end."""
        async with asyncio.timeout(most_s), aclosing(self.states(id, owner)) as states:
            async for job in states:
                if job is None or (isinstance(job, Job) and job.status in statuses):
                    return job
        raise TimeoutError

    async def _poll(self) -> None:
        while self._listeners:
            ids = list(self._listeners)
            try:
                jobs = await to_thread.run_sync(self._look, ids)
            except Exception as error:  # noqa: BLE001 - a ledger that is away for a while must not end the waiting
                logger.warning("watch_waiting", error=type(error).__name__)
            else:
                for id in ids:
                    if id not in self._seen or jobs.get(id) != self._seen[id]:
                        for listener in self._listeners.get(id, ()):
                            listener.tell(jobs.get(id))
                self._seen = {id: jobs.get(id) for id in ids}
            await asyncio.sleep(self._poll_s)

    def _look(self, ids: list[str]) -> Mapping[str, Job]:
        with self._ledger.reading() as conn:
            return find_all(conn, ids)
