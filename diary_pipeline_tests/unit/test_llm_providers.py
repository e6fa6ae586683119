"""What the three SDKs send and what is read from their answers; and that no word of a diary leaves by another door."""

import asyncio
import logging
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from diary_pipeline.core.errors import UsageError
from diary_pipeline.notes.providers.exchange import Completion, Failure, LLMError, Prompt, Usage
from diary_pipeline.notes.providers.opening import open_provider
from diary_pipeline.notes.routing.route import ProviderName, Route
from diary_pipeline_tests.provider_servers import ProviderDouble, Reply, failure, provider_server
from diary_pipeline_tests.routing_builders import PROMPT, PROVIDERS, SCHEMA, Benches


@pytest.fixture(params=PROVIDERS)
def server(request: pytest.FixtureRequest) -> Iterator[ProviderDouble]:
    """A server of each provider in turn."""
    with provider_server(request.param) as double:
        yield double


@pytest.fixture
def openai_server() -> Iterator[ProviderDouble]:
    """A server that speaks OpenAI's protocol."""
    with provider_server("openai") as double:
        yield double


def route_to(server: ProviderDouble, **changes: Any) -> Route:
    """A route to a server."""
    route = Route("here", server.provider, "model-1", base_url=server.url, api_key="key-1", timeout_s=20)
    return replace(route, **changes)


def ask(route: Route, prompt: Prompt = PROMPT) -> Completion:
    """Ask once, as the router does."""

    async def call() -> Completion:
        provider = open_provider(route)
        try:
            return await provider(prompt)
        finally:
            await provider.close()

    return asyncio.run(call())


def test_an_answer_comes_with_its_bill_and_its_maker(server: ProviderDouble) -> None:
    answer = ask(route_to(server))
    assert (answer.text, answer.usage, answer.model, answer.failure) == (
        "good",
        Usage(1200, 1000, 200),
        "model-1",
        None,
    )
    assert answer.request_id == {"mistral": "answer-1"}.get(server.provider, "req-1")
    assert len(server.asked) == 1
    assert server.asked[0].key == "key-1"
    assert PROMPT.system in server.asked[0].text
    assert PROMPT.user in server.asked[0].text


def test_a_strict_schema_the_effort_and_what_else_a_route_sets_are_sent(server: ProviderDouble) -> None:
    extra = {"openai": {"top_k": 1}, "anthropic": {"metadata": {"user_id": "x"}}, "mistral": {"random_seed": 7}}
    ask(route_to(server, effort="low", service_tier="auto", extra=extra[server.provider]))
    sent = server.asked[0].body
    if server.provider == "anthropic":
        assert sent["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}, "effort": "low"}
    else:
        assert sent["response_format"]["json_schema"] == {"name": "note-1", "schema": SCHEMA, "strict": True}
        assert sent["reasoning_effort"] == "low"
    assert sent["service_tier"] == "auto"
    assert sent.items() >= extra[server.provider].items()
    assert "temperature" not in sent, "anthropic's SDK refuses it"


def test_flex_is_sent_to_openai(openai_server: ProviderDouble) -> None:
    ask(route_to(openai_server, service_tier="flex"))
    assert openai_server.asked[0].body["service_tier"] == "flex"


@pytest.mark.parametrize("changes", [{"extra": {"top_k_typo": 1}}, {"service_tier": "flex"}], ids=["extra", "tier"])
def test_what_mistrals_sdk_cannot_send_is_told_without_the_prompt(changes: dict[str, Any]) -> None:
    with provider_server("mistral") as server, pytest.raises(UsageError) as raised:
        ask(route_to(server, **changes))
    assert "here" in raised.value.message
    assert "I went home" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(ended="length", output=1000), Failure.TRUNCATED),
        (Reply(ended="length", output=300), Failure.TOO_LONG),
        (Reply(ended="context_full", output=300), Failure.TOO_LONG),
        (Reply(ended="refusal"), Failure.REFUSED),
        (Reply(ended="filtered"), Failure.REFUSED),
        (Reply(text="\n"), Failure.REFUSED),
        (Reply(input=400, cached=0), Failure.TOO_LONG),
        (Reply(input=0, cached=0), None),
        (Reply(), None),
    ],
    ids=["cut", "cut early", "context full", "refusal", "filter", "empty", "saw a part", "told no usage", "whole"],
)
def test_how_an_answer_ended_is_read(server: ProviderDouble, reply: Reply, expected: Failure | None) -> None:
    server.script.append(reply)
    assert ask(route_to(server)).failure is expected


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"code": 429, "message": "slow down"}}, Failure.RATE_LIMITED),
        ({"error": {"message": "exceeds the available context size"}}, Failure.TOO_LONG),
        ({"error": "context length exceeded"}, Failure.TOO_LONG),
    ],
)
def test_an_error_inside_a_200_is_found(openai_server: ProviderDouble, body: dict[str, Any], kind: Failure) -> None:
    openai_server.script.append(Reply(body=body))
    with pytest.raises(LLMError) as raised:
        ask(route_to(openai_server))
    assert raised.value.kind is kind


@pytest.mark.parametrize(
    "body", ["<html></html>", "", "null", "[]", {}, {"choices": []}, {"choices": [{}]}, {"content": None}, {"a": 1}]
)
def test_a_200_that_is_no_answer_is_a_fault_of_the_server(server: ProviderDouble, body: Any) -> None:
    server.script.append(Reply(body=body))
    with pytest.raises(LLMError) as raised:
        ask(route_to(server))
    assert (raised.value.kind, raised.value.provider_code) == (Failure.SERVER, "unreadable_response")


def test_what_the_environment_says_of_proxies_and_addresses_is_ignored(
    server: ProviderDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    with provider_server("openai") as elsewhere:
        address = elsewhere.url.removesuffix("/v1")
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, address)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
            monkeypatch.setenv(name, address)
        for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "MISTRAL_API_KEY"):
            monkeypatch.setenv(name, "sk-of-the-environment")
        ask(route_to(server, api_key=None, local=True))
        assert (len(server.asked), len(elsewhere.asked)) == (1, 0)
    assert server.asked[0].key == "none"
    assert "sk-of-the-environment" not in str(server.asked[0].headers)


SECRET = "SECRET DIARY"
ECHOES: dict[str, Callable[[ProviderName], Reply]] = {
    "in an answer": lambda _: Reply(text=SECRET),
    "in a cut answer": lambda _: Reply(text=SECRET, ended="length", output=1000),
    "in the model's name": lambda _: Reply(model=SECRET),
    "in a message": lambda p: failure(p, 400, "invalid_request_error", SECRET),
    "in a code": lambda p: failure(p, 429, SECRET, SECRET),
    "in a 422": lambda _: Reply(
        status=422, body={"detail": [{"type": "x", "loc": ["b"], "msg": "m", "input": SECRET}]}
    ),
    "in a 500": lambda _: Reply(status=500, body=f"<html>{SECRET}</html>"),
    "in a page": lambda _: Reply(body=f"<html>{SECRET}</html>"),
    "in other JSON": lambda _: Reply(body={"said": SECRET, "choices": SECRET, "content": SECRET}),
    "in a header": lambda p: failure(p, 500, request_id=SECRET, x_request_id=SECRET, retry_after=SECRET),
    "in half an answer": lambda _: Reply(text=SECRET, way="half"),
    "in a redirect": lambda _: Reply(status=307, body=SECRET, headers={"Location": f"http://127.0.0.1:9/{SECRET}"}),
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("where", ECHOES)
def test_no_word_of_a_diary_gets_into_logs_errors_or_attempts(
    provider: ProviderName, where: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_LOG", "ANTHROPIC_LOG"):
        monkeypatch.setenv(name, "debug")
    monkeypatch.setenv("MISTRAL_DEBUG", "1")
    caplog.set_level(logging.DEBUG)
    prompt = replace(PROMPT, system=f"{SECRET} rules", user=f"[1] {SECRET}. " * 200)
    with Benches() as benches:
        bench = benches(provider)
        bench.servers["one"].otherwise = ECHOES[where](provider)
        outcome = asyncio.run(bench.ask(prompt=prompt))
        assert SECRET in bench.servers["one"].asked[0].text
    seen = [caplog.text, repr(bench.memory.attempts), repr(outcome), repr(bench.routes)]
    if outcome.no_route is not None:
        seen += traceback.format_exception(outcome.no_route)
    assert SECRET not in "".join(seen)
    assert "key-1" not in "".join(seen)


def test_an_error_does_not_carry_the_one_it_came_from(server: ProviderDouble) -> None:
    server.script.append(failure(server.provider, 400, "invalid_request_error", SECRET))
    with pytest.raises(LLMError) as raised:
        ask(route_to(server))
    assert SECRET not in "".join(traceback.format_exception(raised.value))


WITHOUT_SDK = """
import sys
sys.modules[sys.argv[2]] = None
from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.notes.providers.opening import open_provider
from diary_pipeline.notes.routing.route import Route
try:
    open_provider(Route("home", sys.argv[1], "m", api_key="k"))
except ServiceMissing as error:
    print(error.code, error.message)
"""


@pytest.mark.parametrize(
    ("provider", "sdk"), [("openai", "openai"), ("anthropic", "anthropic"), ("mistral", "mistralai")]
)
def test_a_missing_sdk_is_named_with_what_to_install(provider: str, sdk: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", WITHOUT_SDK, provider, sdk], capture_output=True, text=True, check=True
    ).stdout
    assert told.startswith("extra_missing The route home needs")
    assert "diary_pipeline[llm]" in told
