"""How much one process asks of a route at once: slots, requests and tokens a minute, one probe while it is in doubt.

What processes tell one another (cool-downs) is RouteMemory's; which route is asked, choosing.py's. A lane belongs to
one event loop.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from diary_pipeline.notes.providers.exchange import Failure, Provider
from diary_pipeline.notes.routing.route import Route

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


class Bucket:
    """A token bucket that holds a minute's worth. Who takes more than is there waits; the next waits behind them."""

    def __init__(self, per_minute: float, *, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._holds = per_minute
        self._level = per_minute
        self._clock = clock
        self._sleep = sleep
        self._at = clock()

    async def take(self, amount: float) -> None:
        """Take an amount; more than a whole minute's counts as a minute's, or nobody could ever send it."""
        if math.isinf(self._holds):
            return
        a_second = self._holds / 60
        now = self._clock()
        self._level = min(self._holds, self._level + (now - self._at) * a_second) - min(amount, self._holds)
        self._at = now
        if self._level < 0:
            await self._sleep(-self._level / a_second)


@dataclass(eq=False)
class Lane:
    """A route as this process uses it."""

    route: Route
    requests: Bucket
    tokens: Bucket
    slots: asyncio.Semaphore
    provider: Provider | None = None
    off: Failure | None = None
    """Why it is not asked any more in this run."""
    is_proved: bool = False
    """Whether it took our key and knew our model; until then notes that start together wait for the first."""
    queued: int = 0
    """Notes that are being answered or wait for a slot."""
    probe: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def turn(self, in_doubt: Callable[[], bool]) -> AsyncIterator[None]:
        """Wait for a slot, and while the route is in doubt for the one before to find out."""
        self.queued += 1
        try:
            async with self.slots, AsyncExitStack() as alone:
                if in_doubt():
                    await alone.enter_async_context(self.probe)
                    if not in_doubt():
                        await alone.aclose()
                yield
        finally:
            self.queued -= 1


def lane_of(route: Route, clock: Clock, sleep: Sleep) -> Lane:
    """Make the lane of a route."""
    return Lane(
        route,
        requests=Bucket(route.requests_per_minute, clock=clock, sleep=sleep),
        tokens=Bucket(route.tokens_per_minute, clock=clock, sleep=sleep),
        slots=asyncio.Semaphore(route.concurrency),
    )
