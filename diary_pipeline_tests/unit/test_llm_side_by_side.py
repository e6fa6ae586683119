"""Many notes at once over the same routes: what is found out once holds for all, and calls are counted."""

import asyncio
from collections.abc import Iterator

import pytest

from diary_pipeline.notes.routing.choosing import Policy
from diary_pipeline.notes.routing.memory import Allowance
from diary_pipeline.notes.routing.pacing import Bucket
from diary_pipeline.notes.routing.route import ProviderName
from diary_pipeline_tests.provider_servers import Reply, failure
from diary_pipeline_tests.routing_builders import PROMPT, PROVIDERS, Bench, Benches, Outcome, prompt_about


@pytest.fixture
def benches() -> Iterator[Benches]:
    """Servers that live as long as the test."""
    with Benches() as started:
        yield started


def notes(bench: Bench, number: int) -> list[Outcome]:
    """Write so many different notes at once with one router."""

    async def write() -> list[Outcome]:
        async with bench.router() as router:
            return await asyncio.gather(
                *(bench.ask_with(router, f"r-{n}", prompt_about(f"day {n}")) for n in range(number))
            )

    return asyncio.run(write())


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("status", "code"), [(401, "invalid_api_key"), (429, "insufficient_quota"), (404, "gone")])
def test_a_dead_route_costs_one_call_and_not_one_a_note(
    benches: Benches, provider: ProviderName, status: int, code: str
) -> None:
    bench = benches(provider, "openai")
    bench.servers["one"].otherwise = failure(provider, status, code)
    outcomes = notes(bench, 12)
    assert bench.calls == [1, 12]
    assert all(outcome.accepted for outcome in outcomes)


def test_two_hundred_notes_are_two_hundred_calls(benches: Benches) -> None:
    bench = benches("openai", changes=[{"concurrency": 8}])
    outcomes = notes(bench, 200)
    assert bench.calls == [200]
    assert len({asked.text for asked in bench.servers["one"].asked}) == 200
    assert all(outcome.told == [("one", "accepted")] for outcome in outcomes)


def test_calls_at_once_that_all_fail_count_as_one_failure(benches: Benches) -> None:
    bench = benches("openai", "anthropic", changes=[{"concurrency": 8}], policy=Policy(patience_s=0))

    async def write() -> list[Outcome]:
        async with bench.router() as router:
            await bench.ask_with(router, "first", prompt_about("the first day"))  # it works, the others start together
            bench.servers["one"].otherwise = failure("openai", 503)
            return await asyncio.gather(*(bench.ask_with(router, f"r-{n}", prompt_about(f"day {n}")) for n in range(8)))

    outcomes = asyncio.run(write())
    assert [outcome.told for outcome in outcomes] == [[("one", "overloaded"), ("two", "accepted")]] * 8
    assert bench.memory.standings(["one"])["one"].failures == 1


def test_while_a_route_is_failing_one_note_finds_out_for_all(benches: Benches) -> None:
    bench = benches("openai", "anthropic", changes=[{"concurrency": 8}])

    async def write() -> list[Outcome]:
        async with bench.router() as router:
            await bench.ask_with(router, "first", prompt_about("the first day"))
            bench.memory.cool("one", bench.memory.now() - 1, failures=6)
            bench.servers["one"].otherwise = failure("openai", 503)
            return await asyncio.gather(
                *(bench.ask_with(router, f"r-{n}", prompt_about(f"day {n}")) for n in range(12))
            )

    outcomes = asyncio.run(write())
    assert bench.calls == [1 + 1, 12]
    assert all(outcome.accepted for outcome in outcomes)


def test_once_a_probe_succeeds_the_others_go_on_together(benches: Benches) -> None:
    bench = benches("openai", changes=[{"concurrency": 4}])
    bench.memory.cool("one", bench.memory.now() - 1, failures=6)
    bench.servers["one"].otherwise = Reply(after_s=0.05)
    notes(bench, 12)
    assert bench.calls == [12]
    assert bench.servers["one"].most_at_once == 4
    assert bench.memory.standings(["one"])["one"].failures == 0


def test_a_late_success_does_not_end_the_rest_that_was_asked_for(benches: Benches) -> None:
    bench = benches("openai", "anthropic", changes=[{"concurrency": 2}])

    async def write() -> list[Outcome]:
        async with bench.router() as router:
            await bench.ask_with(router, "warm", prompt_about("a warm day"))
            bench.servers["one"].script.extend([failure("openai", 429, retry_after="120"), Reply(after_s=0.3)])
            return await asyncio.gather(
                *(bench.ask_with(router, f"r-{n}", prompt_about(f"day {n}")) for n in range(2)),
            )

    told = [outcome.told for outcome in asyncio.run(write())]
    assert sorted(told) == [[("one", "accepted")], [("one", "rate_limited"), ("two", "accepted")]]
    assert bench.memory.standings(["one"])["one"].cool_until > bench.memory.now() + 100


def test_no_more_calls_are_under_way_than_the_route_allows(benches: Benches) -> None:
    bench = benches("openai", changes=[{"concurrency": 3}])
    bench.servers["one"].otherwise = Reply(after_s=0.02)
    notes(bench, 30)
    assert bench.servers["one"].most_at_once == 3


def test_notes_stop_at_the_budget_and_say_so(benches: Benches) -> None:
    bench = benches("openai", purse=Allowance(0.02), changes=[{"concurrency": 8}])
    outcomes = notes(bench, 40)
    written = [outcome for outcome in outcomes if outcome.accepted]
    assert 0 < len(written) == bench.calls[0] < 40
    assert {outcome.reason for outcome in outcomes if not outcome.accepted} == {"budget"}
    assert sum(a.cost_usd or 0 for a in bench.memory.attempts) <= 0.02


def test_a_route_whose_answers_are_thrown_away_is_passed_over_in_time(benches: Benches) -> None:
    bench = benches("openai", "anthropic", changes=[{"tier": 1}, {"tier": 1}])
    bench.servers["one"].otherwise = Reply(text="bad")

    async def one_after_another() -> list[Outcome]:
        async with bench.router() as router:
            return [await bench.ask_with(router, f"r-{n}", prompt_about(f"day {n}")) for n in range(6)]

    outcomes = asyncio.run(one_after_another())
    assert all(outcome.accepted for outcome in outcomes)
    assert outcomes[0].told[0] == ("one", "invalid")
    assert outcomes[-1].told == [("two", "accepted")]


def test_a_minute_of_requests_is_not_sent_in_a_second(benches: Benches) -> None:
    bench = benches("openai", changes=[{"requests_per_minute": 10, "concurrency": 1}])
    notes(bench, 13)
    assert bench.memory.waited == pytest.approx([6.0] * 3, abs=0.1)


@pytest.mark.parametrize(
    ("amounts", "waits"),
    [((60,), []), ((60, 1), [1.0]), ((61,), []), ((1000, 60), [60.0]), ((30, 30, 6), [6.0])],
    ids=[
        "a minute's worth is there",
        "the next waits",
        "more counts as a minute's",
        "which the next waits for",
        "sums",
    ],
)
def test_a_bucket_holds_a_minute(amounts: tuple[int, ...], waits: list[float]) -> None:
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    async def take() -> None:
        bucket = Bucket(60, clock=lambda: 0.0, sleep=wait)
        for amount in amounts:
            await bucket.take(amount)

    asyncio.run(take())
    assert waited == pytest.approx(waits)


def test_tokens_a_minute_count_question_and_answer(benches: Benches) -> None:
    bench = benches("openai", changes=[{"tokens_per_minute": 2500}])
    asyncio.run(bench.ask("a", PROMPT))
    notes(bench, 2)
    assert sum(bench.memory.waited) > 0
