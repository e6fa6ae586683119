"""The jobs that somebody in this process waits for: whoever listens to events, and requests that wait for a transcript.

What surprises: they cost nothing but a queue each. One task asks the ledger for all these jobs in one statement, a
thousand waiting requests poll as much as one, and nobody asks while nobody waits.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from anyio import to_thread
from starlette.requests import ClientDisconnect

from diary_pipeline.api.problems import unavailable
from diary_pipeline.core.batch import ENDED
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.jobs_read import Job, find_all
from diary_pipeline.observability.logs import log

POLL_S = 0.5
"""Between two looks: hardly noticed beside the seconds that a transcript takes."""
HEARTBEAT_S = 15.0
"""Proxies end what is silent for longer, often after 30 or 60 s."""
GONE_LOOK_S = 1.0
"""Between two questions to a connection whether anybody is at its other end."""
MOST_LISTENERS = 250
"""To events, of one process: a quarter of its usual connections, so that whoever listens leaves room for whoever asks.
Requests that wait for a transcript take no such place: theirs is a connection, which ends with its client."""
MOST_OF_ONE = MOST_LISTENERS // 2
"""To the jobs of one owner, who thus leaves as many to all others."""
HEARD = ENDED | {"generating_notes"}
"""Statuses from which on a transcript is there, or will not be."""

logger = log(__name__)


@dataclass(eq=False)
class Place:
    """What somebody waits at, taken until it is left; only the newest state is kept for who reads slowly."""

    id: str
    owner: str
    counts: bool
    """As one of the listeners of whom there may be so many."""
    places: "dict[str, set[Place]]" = field(repr=False)
    newest: "asyncio.Queue[Job | None]" = field(default_factory=lambda: asyncio.Queue(1), repr=False)

    def tell(self, job: Job | None) -> None:
        """Put a state in the place of the one before."""
        if self.newest.full():
            self.newest.get_nowait()
        self.newest.put_nowait(job)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        mine = self.places.get(self.id, set())
        mine.discard(self)
        if not mine:
            self.places.pop(self.id, None)


class Watch:
    """Looks at the jobs that are waited for, all of them in one query; for one event loop."""

    def __init__(
        self, ledger: Ledger, poll_s: float = POLL_S, most: int = MOST_LISTENERS, most_of_one: int = MOST_OF_ONE
    ) -> None:
        self._ledger, self._poll_s, self._most, self._most_of_one = ledger, poll_s, most, most_of_one
        self._places: dict[str, set[Place]] = {}
        self._seen: dict[str, Job | None] = {}
        self._poller: asyncio.Task[None] | None = None
        self._is_ending = False

    def end(self) -> None:
        """Let everybody go, because the server stops; they come back to another replica, or to this one later."""
        self._is_ending = True
        for place in self._all():
            place.tell(None)

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return sum(1 for _ in self._all())

    def listen(self, id: str, owner: str) -> Place:
        """Take the place of a listener, who leaves it by its `with`; Problem 503 `events_full` where there is none."""
        listeners = [place.owner for place in self._all() if place.counts]
        if len(listeners) >= self._most or listeners.count(owner) >= self._most_of_one:
            raise unavailable("events_full", "Too many listen now; ask for the job itself, or come back soon.")
        return self._place(id, owner, counts=True)

    async def states(
        self, place: Place, first: Job | None = None, heartbeat_s: float = HEARTBEAT_S
    ) -> AsyncIterator[Job | float | None]:
        """Give a job as it stands at the next look and whenever that has changed, None when it was removed.

        `first` comes before all looks.
        A number, the seconds of silence, comes where nothing has changed for so long.
        """
        if first is not None:
            yield first
        while not self._is_ending:
            try:
                newest = await asyncio.wait_for(place.newest.get(), heartbeat_s)
            except TimeoutError:
                yield heartbeat_s
            else:
                if not self._is_ending:
                    yield newest

    async def until(
        self, id: str, statuses: Collection[str], most_s: float, is_gone: Callable[[], Awaitable[bool]]
    ) -> Job | None:
        """Return a job once it stands so, None when it was removed.

        TimeoutError after `most_s`, or at the end; ClientDisconnect soon after whoever waits `is_gone`.
        """
        async with asyncio.timeout(most_s):
            with self._place(id, "", counts=False) as place:
                async for job in self.states(place, heartbeat_s=GONE_LOOK_S):
                    if isinstance(job, float):
                        if await is_gone():
                            raise ClientDisconnect
                    elif job is None or job.status in statuses:
                        return job
        raise TimeoutError

    def _all(self) -> Iterator[Place]:
        return (place for some in self._places.values() for place in some)

    def _place(self, id: str, owner: str, *, counts: bool) -> Place:
        place = Place(id, owner, counts, self._places)
        self._places.setdefault(id, set()).add(place)
        self._seen.pop(id, None)  # told again, to this one for the first time
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        return place

    async def _poll(self) -> None:
        while self._places:
            ids = list(self._places)
            try:
                jobs = await to_thread.run_sync(self._look, ids)
            except Exception as error:  # noqa: BLE001 - a ledger that is away for a while must not end the waiting
                logger.warning("watch_waiting", error=type(error).__name__)
            else:
                for id in ids:
                    if id not in self._seen or jobs.get(id) != self._seen[id]:
                        for place in self._places.get(id, ()):
                            place.tell(jobs.get(id))
                self._seen = {id: jobs.get(id) for id in ids}
            await asyncio.sleep(self._poll_s)

    def _look(self, ids: list[str]) -> Mapping[str, Job]:
        with self._ledger.reading() as conn:
            return find_all(conn, ids)
