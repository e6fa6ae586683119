"""How often somebody may ask: counted by user and by address, in Redis for all replicas, else in this process.

What surprises: when Redis is away nothing is let through uncounted: each replica goes on with a count of its own, which
begins at nothing, so that N replicas let through N times as much until Redis answers again.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import Request

from diary_pipeline.api.problems import Problem
from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.observability.logs import log
from diary_pipeline.settings_api import UNLIMITED

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.aio.strategies import SlidingWindowCounterRateLimiter as Limiter
    from redis.asyncio import ConnectionPool

Who = tuple[str, ...]
USUAL = ""
"""Stands for the tier of those who have none."""
Answer = TypeVar("Answer")
ITEMS_A_REQUEST = 50
"""So many items of a batch count as one request: a batch of 1,000 as 20, three of which fit into a minute of 60."""
AWAY_S = 5.0
"""For how long Redis is left alone after it did not answer."""
SAID_EVERY_S = 60.0
REDIS_PATIENCE_S = 1.0
"""For how long requests wait for a Redis that says nothing, once in AWAY_S. At 0.5 s a busy machine took a burst of 160
new connections for a Redis that was away."""
REDIS_CONNECTIONS = 16
MOST_COUNTED = 50_000
"""Counts in memory, some 15 MB, before all are dropped: who has many addresses would fill it."""
WALK_EVERY_S = 10.0
"""The library walks through all counts with each request (7 ms at 10,000): it is let do so no more often than that."""

logger = log(__name__)


@dataclass(frozen=True)
class Standing:
    """How much is left of the limit that is nearest to its end."""

    limit: int
    remaining: int
    reset_s: int
    """Seconds until something is free again."""
    policy: str

    def headers(self) -> dict[str, str]:
        """Give what the answer says of it (draft-ietf-httpapi-ratelimit-headers-06)."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_s),
            "RateLimit-Policy": self.policy,
        }


class Rates:
    """The limits of one deployment; for one event loop."""

    def __init__(
        self,
        usual: str,
        tiers: Mapping[str, str],
        redis_url: str | None,
        clock: Callable[[], float] = time.monotonic,
        most_counted: int = MOST_COUNTED,
    ) -> None:
        from limits import parse_many
        from limits.aio.storage import MemoryStorage, RedisStorage
        from limits.aio.strategies import SlidingWindowCounterRateLimiter

        said = {USUAL: usual, **tiers}
        self._limits = {name: [] if rates == UNLIMITED else parse_many(rates) for name, rates in said.items()}
        self._memory = MemoryStorage()
        self._alone = SlidingWindowCounterRateLimiter(self._memory)
        self._pool = _pool(redis_url) if redis_url else None
        self._together: Limiter | None = None
        if redis_url:
            shared: Any = {"connection_pool": self._pool}
            storage = RedisStorage(f"async+{redis_url}", True, "redispy", "diary-rates", **shared)
            self._together = SlidingWindowCounterRateLimiter(storage)
        self._clock = clock
        self._most_counted = most_counted
        self._away_until = -math.inf
        self._said_at = -math.inf

    async def take(self, user: str | None, address: str, tier: str | None = None, cost: int = 1) -> Standing | None:
        """Count a request for its user, if that is known, and its address; Problem 429 when there is too much of it.

        A tier holds for its users' addresses too, which are counted for it apart. None: nothing is limited.
        """
        tier = tier if tier in self._limits else None
        # The user goes first: what is refused for them is not counted against others at the same address.
        whom: list[Who] = [*([("user", user)] if user else []), ("address", address, *([tier] if tier else []))]
        return await self._take(whom, self._limits[tier or USUAL], cost)

    async def take_guess(self, address: str) -> None:
        """Count a request with a key that is none."""
        await self._take([("guess", address)], self._limits[USUAL], 1)

    async def may_guess(self, address: str) -> bool:
        """Tell whether an address may still show keys that nobody has seen."""
        limits = self._limits[USUAL]
        return await self._asked(lambda limiter: _all_open(limiter, limits, ("guess", address)))

    async def close(self) -> None:
        """Close the connections to Redis."""
        if self._pool is not None:
            await self._pool.aclose()

    async def _take(self, whom: Sequence[Who], limits: Sequence["RateLimitItem"], cost: int) -> Standing | None:
        if not limits:
            return None
        counted = [(limit, who) for who in whom for limit in limits]
        refusing, standing = await self._asked(lambda limiter: _hit(limiter, counted, cost))
        if refusing is not None:
            raise _too_many(refusing, standing, cost)
        return standing

    async def _asked(self, verb: Callable[["Limiter"], Awaitable[Answer]]) -> Answer:
        from limits.errors import StorageError

        if self._together is not None and self._clock() >= self._away_until:
            try:
                return await verb(self._together)
            except StorageError as error:
                self._away_until = self._clock() + AWAY_S
                self._say_away(error)
        return await self._counted_alone(verb)

    async def _counted_alone(self, verb: Callable[["Limiter"], Awaitable[Answer]]) -> Answer:
        memory = self._memory
        if len(memory.storage) > self._most_counted:
            await memory.reset()
        walks = memory.timer is None or memory.timer.done()
        answer = await verb(self._alone)
        if walks:  # it forgets what is over as long as no task of its own is under way
            memory.timer = asyncio.create_task(asyncio.sleep(WALK_EVERY_S))
        return answer

    def _say_away(self, error: Exception) -> None:
        if self._clock() >= self._said_at + SAID_EVERY_S:
            self._said_at = self._clock()
            logger.warning("rates_counted_alone", error=error)


async def take_items(request: Request, items: int) -> None:
    """Count what a batch holds beyond the one request that the door has counted; Problem 429 when it is too much."""
    more = math.ceil(items / ITEMS_A_REQUEST) - 1
    take_more: Callable[[int], Awaitable[None]] | None = getattr(request.state, "take_more", None)
    if more > 0 and take_more is not None:
        await take_more(more)


async def _hit(
    limiter: "Limiter", counted: Sequence[tuple["RateLimitItem", Who]], cost: int
) -> tuple["RateLimitItem | None", Standing]:
    refusing = None
    for limit, who in counted:
        if not await limiter.hit(limit, *who, cost=cost):
            refusing = limit
            counted = [(limit, who)]
            break
    windows = await asyncio.gather(*(limiter.get_window_stats(limit, *who) for limit, who in counted))
    left = [(limit, window) for (limit, _), window in zip(counted, windows, strict=True)]
    tightest, window = min(left, key=lambda pair: pair[1].remaining / pair[0].amount)
    policy = ", ".join(dict.fromkeys(f"{limit.amount};w={limit.get_expiry()}" for limit, _ in left))
    reset_s = max(1, math.ceil(window.reset_time - time.time()))
    return refusing, Standing(tightest.amount, window.remaining, reset_s, policy)


async def _all_open(limiter: "Limiter", limits: Sequence["RateLimitItem"], who: Who) -> bool:
    for limit in limits:
        if not await limiter.test(limit, *who):
            return False
    return True


def _too_many(limit: "RateLimitItem", standing: Standing, cost: int) -> Problem:
    article = "an" if limit.GRANULARITY.name == "hour" else "a"
    said = f"{limit.amount} {article} {limit.GRANULARITY.name}" if limit.multiples == 1 else str(limit)
    what = "This batch is too much at once; send a smaller one, or ask" if cost > 1 else "Ask"
    return Problem(
        429,
        "rate_limited",
        f"More than {said} is not taken. {what} again in {standing.reset_s} s.",
        {"Retry-After": str(standing.reset_s), **standing.headers()},
    )


def _pool(url: str) -> "ConnectionPool":
    try:
        from redis.asyncio import BlockingConnectionPool
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ModuleNotFoundError as error:
        raise ServiceMissing(
            "redis_driver_missing",
            "DIARY_REDIS_URL needs the Python package redis: install diary-pipeline[redis].",
        ) from error
    patience = {"socket_timeout": REDIS_PATIENCE_S, "socket_connect_timeout": REDIS_PATIENCE_S}
    return BlockingConnectionPool.from_url(
        url, max_connections=REDIS_CONNECTIONS, timeout=REDIS_PATIENCE_S, **patience, retry=Retry(NoBackoff(), 0)
    )
