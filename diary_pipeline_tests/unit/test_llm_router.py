"""What becomes of a note when routes fail, over the three real SDKs and loopback servers that speak their protocols.

Each scenario is run with every provider in the first place, the next one in the second.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from diary_pipeline.notes.routing.choosing import Policy
from diary_pipeline.notes.routing.memory import Allowance
from diary_pipeline.notes.routing.route import Price, ProviderName
from diary_pipeline_tests.provider_servers import Reply, failure
from diary_pipeline_tests.routing_builders import PROMPT, PROVIDERS, Benches

ONE_OK = [("one", "accepted")]
TWO_OK = ("two", "accepted")


@pytest.fixture(scope="module")
def benches() -> Iterator[Benches]:
    """Servers that live as long as the module; each scenario starts its own."""
    with Benches() as started:
        yield started


@dataclass(frozen=True)
class Scenario:
    """What the first route answers, and what should come of it; a tuple in `first` is (status, code, message, headers)."""

    name: str
    first: list[Reply | tuple[Any, ...]]
    told: list[tuple[str, str]]
    waited: tuple[float, ...] = ()
    """Seconds that were waited, to the next half second where they are jittered."""


def fails(status: int, code: str = "server_error", message: str = "no", **headers: str) -> tuple[Any, ...]:
    return status, code, message, headers


SCENARIOS = [
    Scenario("all is well", [], ONE_OK),
    Scenario("a rate limit that ends soon is waited for", [fails(429, retry_after="5")],
             [("one", "rate_limited"), *ONE_OK], (5.0,)),
    Scenario("one that ends late is not", [fails(429, retry_after="30")], [("one", "rate_limited"), TWO_OK]),
    Scenario("one in milliseconds", [fails(429, retry_after_ms="2500")],
             [("one", "rate_limited"), *ONE_OK], (2.5,)),
    Scenario("one with a fraction", [fails(429, retry_after="1.5")], [("one", "rate_limited"), *ONE_OK], (1.5,)),
    Scenario("one until a day far away", [fails(429, retry_after="Fri, 31 Dec 2100 23:59:59 GMT")],
             [("one", "rate_limited"), TWO_OK]),
    Scenario("overloaded for a moment", [fails(529, "overloaded_error")], [("one", "overloaded"), *ONE_OK]),
    Scenario("unavailable for a moment", [fails(503)], [("one", "overloaded"), *ONE_OK]),
    Scenario("flex has no room", [fails(429, "resource_unavailable")], [("one", "overloaded"), *ONE_OK]),
    Scenario("a server error, twice", [fails(500), fails(500)], [("one", "server")] * 2 + ONE_OK),
    Scenario("a server error, always", [fails(500)] * 9, [("one", "server")] * 3 + [TWO_OK]),
    Scenario("the gateway waited in vain", [fails(504)], [("one", "timeout"), *ONE_OK]),
    Scenario("a conflict", [fails(409)], [("one", "server"), *ONE_OK]),
    Scenario("the line breaks", [Reply(way="dropped")], [("one", "connection"), *ONE_OK]),
    Scenario("the body breaks off", [Reply(way="half")], [("one", "connection"), *ONE_OK]),
    Scenario("a captive portal", [Reply(body="<html>sign in</html>")], [("one", "server"), *ONE_OK]),
    Scenario("JSON of something else", [Reply(body={"ok": True})], [("one", "server"), *ONE_OK]),
    Scenario("a redirect", [Reply(body="", status=302, headers={"Location": "http://127.0.0.1:9/"})],
             [("one", "server"), *ONE_OK]),
    Scenario("a wrong key", [fails(401, "invalid_api_key")], [("one", "auth"), TWO_OK]),
    Scenario("a forbidden one", [fails(403, "permission_error")], [("one", "auth"), TWO_OK]),
    Scenario("nothing left to pay with", [fails(402)], [("one", "quota"), TWO_OK]),
    Scenario("a quota told as a rate limit", [fails(429, "insufficient_quota")], [("one", "quota"), TWO_OK]),
    Scenario("a spend limit told as a rate limit", [fails(429, "rate_limit_error", "Over your spend limit.")],
             [("one", "quota"), TWO_OK]),
    Scenario("an unknown model", [fails(404, "not_found_error")], [("one", "model"), TWO_OK]),
    Scenario("too long a prompt", [fails(400, "error", "prompt is too long")], [("one", "too_long"), TWO_OK]),
    Scenario("too large a body", [fails(413)], [("one", "too_long"), TWO_OK]),
    Scenario("a request it does not like", [fails(400, "invalid_request_error")], [("one", "rejected"), TWO_OK]),
    Scenario("a refusal", [Reply(ended="refusal")], [("one", "refused"), TWO_OK]),
    Scenario("a content filter", [Reply(ended="filtered")], [("one", "refused"), TWO_OK]),
    Scenario("a filter before the model", [fails(400, "content_filter")], [("one", "refused"), TWO_OK]),
    Scenario("no words", [Reply(text=" ")], [("one", "refused"), TWO_OK]),
    Scenario("cut once", [Reply(text="{", ended="length", output=1000)], [("one", "truncated"), *ONE_OK]),
    Scenario("cut twice", [Reply(text="{", ended="length", output=n) for n in (1000, 2000)],
             [("one", "truncated")] * 2 + [TWO_OK]),
    Scenario("cut by a full context", [Reply(text="{", ended="context_full")], [("one", "too_long"), TWO_OK]),
    Scenario("no JSON once", [Reply(text="Sure! Here is")], [("one", "invalid"), *ONE_OK]),
    Scenario("no JSON twice", [Reply(text="Sure!"), Reply(text="Well")], [("one", "invalid")] * 2 + [TWO_OK]),
    Scenario("something nobody said, once", [Reply(text="ungrounded")], [("one", "ungrounded"), *ONE_OK]),
    Scenario("something nobody said, twice", [Reply(text="ungrounded")] * 2, [("one", "ungrounded")] * 2 + [TWO_OK]),
    Scenario("cut, then invalid: each is told once", [Reply(text="{", ended="length", output=1000), Reply(text="x")],
             [("one", "truncated"), ("one", "invalid"), *ONE_OK]),
]  # fmt: skip


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_what_a_note_goes_through(benches: Benches, provider: ProviderName, scenario: Scenario) -> None:
    bench = benches(provider, PROVIDERS[PROVIDERS.index(provider) - 1])
    first = [failure(provider, r[0], r[1], r[2], **r[3]) if isinstance(r, tuple) else r for r in scenario.first]
    bench.servers["one"].script.extend(first)

    outcome = asyncio.run(bench.ask())

    assert outcome.told == scenario.told
    assert outcome.accepted
    assert outcome.accepted.value == "good"
    assert bench.calls == [sum(route == name for route, _ in scenario.told) for name in ("one", "two")]
    if scenario.waited:
        assert bench.memory.waited == list(scenario.waited)
    else:
        assert all(wait < 2 for wait in bench.memory.waited), "back-off begins with half a second"
    assert [a.outcome for a in bench.memory.attempts] == [told for _, told in scenario.told]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_server_that_drips_is_cut_off_at_the_deadline(benches: Benches, provider: ProviderName) -> None:
    bench = benches(provider, "openai", changes=[{"timeout_s": 0.4}], policy=Policy(tries=1))
    bench.servers["one"].script.append(Reply(way="drip"))
    outcome = asyncio.run(bench.ask())
    assert outcome.told == [("one", "timeout"), TWO_OK]
    worst_usd = outcome.accepted.attempts[0].cost_usd if outcome.accepted else 0
    assert worst_usd == pytest.approx(bench.routes[0].usd(_worst())), "nobody knows what it will be billed as"


def _worst() -> Any:
    from diary_pipeline.notes.routing.choosing import worst_case

    return worst_case(PROMPT)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_nobody_listens(benches: Benches, provider: ProviderName) -> None:
    bench = benches(provider, "openai", changes=[{"base_url": "http://127.0.0.1:9"}])
    assert asyncio.run(bench.ask()).told == [("one", "connection")] * 3 + [TWO_OK]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_key_that_no_header_can_carry_is_a_wrong_key_and_is_not_shown(
    benches: Benches, provider: ProviderName
) -> None:
    bench = benches(provider, changes=[{"api_key": "sk-secret\n"}])
    outcome = asyncio.run(bench.ask())
    assert outcome.told == [("one", "auth")]
    assert bench.calls == [0]
    assert "secret" not in f"{outcome.no_route!r}{bench.routes}"


def test_all_down_says_what_each_said(benches: Benches) -> None:
    bench = benches("openai", "anthropic", "mistral", policy=Policy(tries=2))
    bench.servers["one"].script.extend([failure("openai", 500)] * 9)
    bench.servers["two"].script.extend([failure("anthropic", 529, "overloaded_error")] * 9)
    bench.servers["three"].script.extend([failure("mistral", 401)] * 9)
    outcome = asyncio.run(bench.ask("2026-11-27-walk-aabbccddeeff"))
    assert sorted(outcome.told) == [
        ("one", "server"), ("one", "server"), ("three", "auth"), ("two", "overloaded"), ("two", "overloaded"),
    ]  # fmt: skip
    assert outcome.reason == "failed"
    assert outcome.no_route
    assert "2026-11-27-walk-aabbccddeeff" in outcome.no_route.message


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_repair_tells_the_model_what_was_wrong(benches: Benches, provider: ProviderName) -> None:
    bench = benches(provider)
    bench.servers["one"].script.append(Reply(text="ungrounded"))
    asyncio.run(bench.ask())
    first, second = bench.servers["one"].asked
    assert "Nobody spoke of Paris." not in first.text
    assert second.text.endswith("Nobody spoke of Paris.")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_cut_answer_is_asked_for_with_twice_the_room(benches: Benches, provider: ProviderName) -> None:
    bench = benches(provider)
    bench.servers["one"].script.append(Reply(text="{", ended="length", output=1000))
    asyncio.run(bench.ask())
    assert [asked.body["max_tokens"] for asked in bench.servers["one"].asked] == [1000, 2000]


def test_a_kept_answer_costs_nothing_and_sends_nothing(benches: Benches) -> None:
    bench = benches("openai")
    asyncio.run(bench.ask())
    again = asyncio.run(bench.ask())
    assert bench.calls == [1]
    assert again.told == [("one", "cached")]
    assert again.accepted
    assert again.accepted.attempts[0].cost_usd == 0.0
    assert bench.memory.standings(["one"])["one"].tried == 1


def test_a_kept_bad_answer_is_judged_again_and_not_asked_for_again(benches: Benches) -> None:
    bench = benches("openai")
    bench.servers["one"].script.extend([Reply(text="bad"), Reply(text="bad")])
    first, second = asyncio.run(bench.ask()), asyncio.run(bench.ask())
    assert [first.told, second.told] == [[("one", "invalid")] * 2, [("one", "cached")] * 2]
    assert bench.calls == [2]


def test_an_answer_is_kept_before_it_is_judged(benches: Benches) -> None:
    bench = benches("anthropic")

    def crash(text: str, route: Any) -> str:
        raise ZeroDivisionError

    async def crash_then_ask() -> Any:
        async with bench.router() as router:
            with pytest.raises(ZeroDivisionError):
                await bench.ask_with(router, accept=crash)
        return await bench.ask()

    assert asyncio.run(crash_then_ask()).told == [("one", "cached")]
    assert bench.calls == [1]
    assert [a.outcome for a in bench.memory.attempts] == ["invalid", "cached"], "what was paid is remembered"


@pytest.mark.parametrize(
    ("changes", "local_only", "reason"),
    [
        ({"api_key": None}, False, "unusable"),
        ({}, True, "local_only"),
        ({"context_tokens": 2000}, False, "too_long"),
        ({"price": Price(input=1000.0, output=1000.0, as_of="2026-11-27")}, False, "budget"),
    ],
    ids=["no key", "not private", "does not fit", "too dear"],
)
def test_a_route_that_cannot_be_asked_is_not(
    benches: Benches, changes: dict[str, Any], local_only: bool, reason: str
) -> None:
    bench = benches("openai", changes=[changes])
    outcome = asyncio.run(bench.ask(local_only=local_only))
    assert (bench.calls, outcome.told, outcome.reason) == ([0], [], reason)


def test_a_private_diary_goes_to_the_private_route_though_it_needs_no_key(benches: Benches) -> None:
    bench = benches("openai", "openai", changes=[{}, {"local": True, "api_key": None, "price": None}])
    outcome = asyncio.run(bench.ask(local_only=True))
    assert (outcome.told, bench.calls) == ([TWO_OK], [0, 1])
    assert bench.servers["two"].asked[0].key == "none"
    assert outcome.accepted
    assert outcome.accepted.attempts[0].cost_usd == 0.0


def test_a_smaller_fallback_is_skipped(benches: Benches) -> None:
    bench = benches("openai", "anthropic", "mistral", changes=[{}, {"context_tokens": 2000}])
    bench.servers["one"].script.append(Reply(ended="refusal"))
    assert asyncio.run(bench.ask()).told == [("one", "refused"), ("three", "accepted")]


def test_a_budget_is_held_for_the_worst_and_settled_for_what_it_was(benches: Benches) -> None:
    purse = Allowance(1.0)
    bench = benches("openai", purse=purse)
    outcome = asyncio.run(bench.ask())
    usd = (1200 * 1.0 + 200 * 2.0) / 1_000_000
    assert outcome.accepted
    assert outcome.accepted.attempts[0].cost_usd == pytest.approx(usd)
    assert purse.left_usd == pytest.approx(1.0 - usd)


def test_refused_and_cut_answers_are_paid_and_errors_are_not(benches: Benches) -> None:
    purse = Allowance(1.0)
    bench = benches("openai", "anthropic", purse=purse)
    bench.servers["one"].script.extend([failure("openai", 500), Reply(ended="refusal")])
    asyncio.run(bench.ask())
    assert purse.left_usd == pytest.approx(1.0 - 2 * (1200 * 1.0 + 200 * 2.0) / 1_000_000)


def test_an_unpriced_route_says_that_its_cost_is_unknown(benches: Benches) -> None:
    outcome = asyncio.run(benches("openai", changes=[{"price": None}]).ask())
    assert outcome.accepted
    assert outcome.accepted.attempts[0].cost_usd is None


def test_a_budget_that_ends_in_the_middle_is_told_as_one(benches: Benches) -> None:
    bench = benches("openai", purse=Allowance(0.005))
    bench.servers["one"].otherwise = lambda asked: Reply(text="bad", input=2000, cached=0, output=1000)
    outcome = asyncio.run(bench.ask())
    assert (outcome.told, outcome.reason) == ([("one", "invalid")], "budget")


def test_a_note_does_not_wait_longer_than_its_deadline(benches: Benches) -> None:
    bench = benches("openai", policy=Policy(deadline_s=60))
    bench.servers["one"].script.append(failure("openai", 429, retry_after="61"))
    outcome = asyncio.run(bench.ask())
    assert (outcome.told, outcome.reason, bench.memory.waited) == ([("one", "rate_limited")], "cooling", [])


def test_a_rest_that_another_process_found_out_is_kept_here_too(benches: Benches) -> None:
    bench = benches("openai", "mistral")
    bench.memory.cool("one", bench.memory.now() + 120, failures=1)
    assert asyncio.run(bench.ask()).told == [TWO_OK]
    assert bench.calls == [0, 1]


def test_another_model_than_asked_for_is_told(benches: Benches, caplog: pytest.LogCaptureFixture) -> None:
    bench = benches("openai", changes=[{"local": True}])
    bench.servers["one"].script.append(Reply(model="tiny-135m.gguf"))
    outcome = asyncio.run(bench.ask())
    assert outcome.accepted
    assert (outcome.accepted.model, outcome.accepted.attempts[0].model) == ("tiny-135m.gguf",) * 2
    assert [r.message for r in caplog.records if "another_model_answered" in r.message]


def test_a_prompt_that_a_local_server_cut_in_silence_counts_as_too_long(benches: Benches) -> None:
    bench = benches("openai", changes=[{"local": True}])
    bench.servers["one"].script.append(Reply(input=300, cached=0))
    assert asyncio.run(bench.ask()).told == [("one", "too_long")]


def test_each_route_gets_the_prompt_made_for_it(benches: Benches) -> None:
    bench = benches("openai", "anthropic", changes=[{}, {"prose": False}])
    bench.servers["one"].script.append(Reply(ended="refusal"))

    async def ask() -> None:
        async with bench.router() as router:
            await router.run(
                lambda route: PROMPT if route.prose else replace(PROMPT, user="[1] only find it"),
                lambda text, route: text,
                recording_key="r-1",
                owner="ann",
            )

    asyncio.run(ask())
    assert "only find it" in bench.servers["two"].asked[0].text
