"""Which route is asked, in what order, under which key: decisions without a server."""

from dataclasses import replace
from typing import Any

import pytest

from diary_pipeline.notes.providers.completing import is_another_model
from diary_pipeline.notes.providers.exchange import Completion, Failure, Usage
from diary_pipeline.notes.providers.sizing import least_tokens, likely_tokens, most_tokens
from diary_pipeline.notes.routing.answer_key import answer_key
from diary_pipeline.notes.routing.choosing import Policy, fits, rank
from diary_pipeline.notes.routing.memory import Standing
from diary_pipeline.notes.routing.outcome import NoRoute, Why
from diary_pipeline.notes.routing.route import Price, Route
from diary_pipeline_tests.routing_builders import PRICE, PROMPT

ROUTE = Route("base", "openai", "model-1", api_key="key-1", price=PRICE)
DEAR = replace(ROUTE, price=Price(2.0, 4.0, "2026-11-27"))
HASTE = Policy(usd_per_second=0.001)


@pytest.mark.parametrize(
    ("better", "worse", "policy"),
    [
        ({}, {"route": replace(ROUTE, tier=1)}, Policy()),
        ({}, {"route": DEAR}, Policy()),
        ({"route": DEAR}, {"route": replace(ROUTE, tier=1)}, Policy()),
        ({}, {"standing": Standing(tried=20, accepted=10)}, Policy()),
        ({"standing": Standing(tried=2, accepted=1)}, {"route": DEAR}, Policy()),
        ({"route": replace(ROUTE, tier=5)}, {"cooling_s": 11.0}, Policy()),
        ({"cooling_s": 9.0}, {"route": replace(ROUTE, tier=1)}, Policy()),
        ({"route": replace(ROUTE, tier=5)}, {"is_probed": True}, Policy()),
        ({"standing": Standing(seconds=3)}, {"standing": Standing(seconds=30)}, HASTE),
        ({"queued": 3}, {"queued": 4}, HASTE),
        ({"route": DEAR}, {"standing": Standing(seconds=60)}, HASTE),
    ],
    ids=[
        "lower tier", "cheaper", "tier before price", "accepted more often", "one bad answer is no proof",
        "soon before tier", "a short rest is waited for", "a probe is under way", "faster, when waiting costs",
        "shorter line, when waiting costs", "dear but fast, when waiting costs",
    ],
)  # fmt: skip
def test_the_better_route_is_asked_first(better: dict[str, Any], worse: dict[str, Any], policy: Policy) -> None:
    def place(told: dict[str, Any]) -> tuple[bool, int, float]:
        usual = {"cooling_s": 0.0, "queued": 0, "is_probed": False}
        told = {"route": ROUTE, "standing": Standing(), **usual, **told}
        return rank(told.pop("route"), PROMPT, told.pop("standing"), policy, **told)

    assert place(better) < place(worse)


@pytest.mark.parametrize(("missing_tokens", "enough"), [(0, True), (1, False)], ids=["just enough", "one too few"])
def test_question_and_answer_must_fit_at_two_bytes_a_token(missing_tokens: int, enough: bool) -> None:
    needed = len(PROMPT.system + PROMPT.user) // 2 + PROMPT.max_output_tokens
    assert fits(replace(ROUTE, context_tokens=needed - missing_tokens), PROMPT) is enough


@pytest.mark.parametrize(
    ("text", "bytes_a_token"),
    [
        ("I went home with my sister.", 4.1),
        ("Ich ging mit meiner Schwester über die Straße.", 4.2),
        ("Je suis rentré à la maison.", 3.7),
        ("मैं घर गया।", 2.5),
        ("今天我和姐姐一起回家。", 2.1),
    ],
    ids=["English", "German", "French", "Hindi", "Chinese"],
)
def test_the_guesses_lie_on_both_sides_of_what_was_measured(text: str, bytes_a_token: float) -> None:
    text = text * 100
    measured = len(text.encode()) / bytes_a_token
    assert least_tokens(text) <= measured <= most_tokens(text)
    assert likely_tokens(text) == pytest.approx(measured, rel=0.25)


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({"name": "renamed"}, True),
        ({"api_key": "key-2"}, True),
        ({"price": None}, True),
        ({"tier": 3}, True),
        ({"service_tier": "flex"}, True),
        ({"model": "model-2"}, False),
        ({"provider": "mistral"}, False),
        ({"base_url": "http://127.0.0.1:8000/v1"}, False),
        ({"effort": "low"}, False),
        ({"extra": {"temperature": 0}}, False),
    ],
)
def test_regression_06_the_cache_key_contains_model_and_parameters_and_nothing_that_changes_no_answer(
    changes: dict[str, Any], is_same: bool
) -> None:
    assert (answer_key(ROUTE, PROMPT) == answer_key(replace(ROUTE, **changes), PROMPT)) is is_same


@pytest.mark.parametrize(
    "changes", [{"system": "x"}, {"user": "x"}, {"schema": {}}, {"shape": "note-2"}, {"max_output_tokens": 9}]
)
def test_another_question_has_another_key(changes: dict[str, Any]) -> None:
    assert answer_key(ROUTE, PROMPT) != answer_key(ROUTE, replace(PROMPT, **changes))


def test_a_key_does_not_depend_on_the_order_of_a_schema() -> None:
    turned = dict(reversed(PROMPT.schema.items()))
    assert answer_key(ROUTE, PROMPT) == answer_key(ROUTE, replace(PROMPT, schema=turned))


@pytest.mark.parametrize(
    ("base_url", "answered", "is_another"),
    [
        (None, "model-1-2026-10-01", False),
        (None, "something-else", False),
        ("http://127.0.0.1:8080/v1", "model-1", False),
        ("http://127.0.0.1:8080/v1", "model-1-2026-10-01", False),
        ("http://127.0.0.1:8080/v1", "tiny.gguf", True),
    ],
)
def test_a_server_of_ones_own_answers_with_the_model_it_was_asked_for(
    base_url: str | None, answered: str, is_another: bool
) -> None:
    route = replace(ROUTE, base_url=base_url)
    assert is_another_model(route, Completion("", Usage(), answered, failure=Failure.REFUSED)) is is_another


@pytest.mark.parametrize(
    ("reasons", "reason"),
    [
        ({}, "unusable"),
        ({"a": Why.UNUSABLE, "b": Why.PRIVATE}, "local_only"),
        ({"a": Why.TOO_LONG, "b": Why.UNUSABLE}, "too_long"),
        ({"a": Why.TOO_LONG, "b": Why.FAILED}, "failed"),
        ({"a": Why.FAILED, "b": Why.BUDGET}, "budget"),
    ],
    ids=["no routes at all", "private", "too long", "failed", "budget"],
)
def test_the_reason_is_the_one_that_a_person_can_do_something_about(reasons: dict[str, Why], reason: str) -> None:
    error = NoRoute("r-1", (), reasons)
    assert (error.reason, error.code) == (reason, f"llm_{reason}")
