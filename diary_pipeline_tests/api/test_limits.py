"""How often somebody may ask: over a real Redis, without one, and when it dies in between."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator

import pytest

from diary_pipeline.api import limits
from diary_pipeline.api.limits import Rates
from diary_pipeline.api.problems import Problem
from diary_pipeline_tests.servers import Redis, redis_server

USUAL = "3/hour"


@pytest.fixture
def mortal_redis() -> Iterator[Redis]:
    """A server that this test may kill."""
    with redis_server() as server:
        yield server


def using(redis_url: str | None, verb: Callable[..., Awaitable[None]], replicas: int = 1, usual: str = USUAL) -> None:
    """Run a story with the rates of some replicas of one deployment."""

    async def story() -> None:
        some = [Rates(usual, {"gold": "6/hour"}, redis_url) for _ in range(replicas)]
        try:
            await verb(*some)
        finally:
            for rates in some:
                await rates.close()

    asyncio.run(story())


async def taken(rates: Rates, user: str | None, address: str, tier: str | None = None, tries: int = 10) -> int:
    """Count how many of some requests are taken, one after the other."""
    got = 0
    for _ in range(tries):
        try:
            await rates.take(user, address, tier)
        except Problem as problem:
            assert problem.status == 429
            continue
        got += 1
    return got


@pytest.fixture(params=["memory", "redis"])
def redis_or_none(request: pytest.FixtureRequest) -> str | None:
    return str(request.getfixturevalue("redis_url")) if request.param == "redis" else None


def test_a_user_and_an_address_are_counted_each_for_itself(redis_or_none: str | None) -> None:
    async def story(rates: Rates) -> None:
        assert await taken(rates, "ada", "192.0.2.1") == 3
        assert await taken(rates, "ada", "192.0.2.2") == 0, "the user, from wherever"
        assert await taken(rates, "ben", "192.0.2.2") == 3
        assert await taken(rates, "cyd", "192.0.2.2") == 0, "the address, whoever asks from there"
        assert await taken(rates, None, "192.0.2.3") == 3

    using(redis_or_none, story)


def test_what_a_user_is_refused_is_not_counted_against_the_address(redis_or_none: str | None) -> None:
    async def story(rates: Rates) -> None:
        await taken(rates, "ada", "192.0.2.1", tries=2)
        assert await taken(rates, "ada", "192.0.2.9", tries=50) == 1
        assert await taken(rates, "ben", "192.0.2.9") == 2

    using(redis_or_none, story)


def test_a_tier_has_limits_of_its_own_at_its_address_too(redis_or_none: str | None) -> None:
    async def story(rates: Rates) -> None:
        assert await taken(rates, "ada", "192.0.2.1", "gold") == 6
        assert await taken(rates, "ben", "192.0.2.1") == 3
        assert await taken(rates, "cyd", "192.0.2.2", "tier-of-last-year") == 3, "an unknown tier is none"

    using(redis_or_none, story)


def test_the_answer_says_what_is_left_and_when_to_come_back(redis_or_none: str | None) -> None:
    async def story(rates: Rates) -> None:
        standing = await rates.take("ada", "192.0.2.1")
        assert standing is not None
        told = standing.headers()
        assert (told["RateLimit-Limit"], told["RateLimit-Remaining"]) == ("3", "2")
        assert told["RateLimit-Policy"] == "3;w=3600, 90;w=86400"
        assert 1 <= int(told["RateLimit-Reset"]) <= 3600
        await taken(rates, "ada", "192.0.2.1")
        with pytest.raises(Problem) as refused:
            await rates.take("ada", "192.0.2.1")
        assert refused.value.headers["RateLimit-Remaining"] == "0"
        assert 1 <= int(refused.value.headers["Retry-After"]) <= 3600
        assert "3 an hour" in refused.value.message

    using(redis_or_none, story, usual="3/hour;90/day")


def test_a_batch_counts_by_what_it_holds(redis_or_none: str | None) -> None:
    async def story(rates: Rates) -> None:
        await rates.take("ada", "192.0.2.1", cost=2)
        with pytest.raises(Problem, match="smaller"):
            await rates.take("ada", "192.0.2.1", cost=2)
        await rates.take("ada", "192.0.2.1", cost=1)

    using(redis_or_none, story)


def test_no_limits_count_nothing(redis_or_none: str | None) -> None:
    async def story(rates: Rates) -> None:
        assert await rates.take("ada", "192.0.2.1") is None
        assert await taken(rates, "ada", "192.0.2.1", tries=200) == 200
        assert await rates.may_guess("192.0.2.1")

    using(redis_or_none, story, usual="none")


def test_replicas_count_together(redis_url: str) -> None:
    async def story(one: Rates, other: Rates) -> None:
        await asyncio.gather(*(rates.take("ada", "192.0.2.1") for rates in (one, other, one)))
        assert await taken(one, "ada", "192.0.2.1") == 0
        assert await taken(other, "ada", "192.0.2.1") == 0

    using(redis_url, story, replicas=2)


def test_requests_at_the_same_moment_are_not_taken_twice(redis_or_none: str | None) -> None:
    async def story(one: Rates, other: Rates) -> None:
        asked = [(one if redis_or_none is None or n % 2 else other).take("ada", "192.0.2.1") for n in range(40)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(not isinstance(answer, Problem) for answer in answers) == 3

    using(redis_or_none, story, replicas=2)


def test_a_redis_that_is_killed_leaves_each_replica_with_a_limit_of_its_own(
    mortal_redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(rates: Rates) -> None:
        assert await taken(rates, "ada", "192.0.2.1") == 3
        mortal_redis.kill()
        assert await taken(rates, "ada", "192.0.2.1") == 3, "counted anew, and still limited"

    with caplog.at_level(logging.WARNING):
        using(mortal_redis.url, story)
    assert [getattr(record, "event", "") for record in caplog.records] == ["rates_counted_alone"]
    assert mortal_redis.url not in caplog.text


def test_a_redis_that_comes_back_is_counted_in_again() -> None:
    clock = [0.0]

    async def story() -> None:
        with redis_server() as server:
            one, other = (Rates(USUAL, {}, server.url, lambda: clock[0]) for _ in range(2))
            await one.take("ada", "192.0.2.1")
            server.kill()
            await one.take("ada", "192.0.2.1")
            server.start()
            await one.take("ben", "192.0.2.2")
            assert await taken(other, "ben", "192.0.2.2") == 3, "one still counts alone"
            clock[0] += limits.AWAY_S
            assert await taken(one, "ben", "192.0.2.2") == 0, "and now together"
            assert await taken(one, "ada", "192.0.2.1") == 2, "what Redis had counted was on its disk"
            for rates in (one, other):
                await rates.close()

    asyncio.run(story())


def test_many_addresses_do_not_fill_the_memory() -> None:
    async def story(rates: Rates) -> None:
        for n in range(600):
            await rates.take(f"user-{n}", f"2001:db8:{n:x}::/64")
            assert len(rates._memory.storage) <= 1002

    asyncio.run(story(Rates(USUAL, {}, None, most_counted=1000)))
