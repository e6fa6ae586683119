"""What llama.cpp's own server answers, through the real SDK: the protocol, limits and locks; not the model's wits."""

import asyncio
import json
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.notes.drafts.schema import FoundDraft, NoteDraft, strict_schema
from diary_pipeline.notes.local_model.server import Plan, serving
from diary_pipeline.notes.providers.completing import is_another_model
from diary_pipeline.notes.providers.exchange import Completion, Failure, LLMError, Prompt
from diary_pipeline.notes.providers.opening import open_provider
from diary_pipeline.notes.routing.route import Route
from diary_pipeline_tests.llm_local.conftest import KEY, Lent, weights

httpx2 = pytest.importorskip("httpx2", reason="the extra `llm` is not installed")
pytestmark = pytest.mark.llm_local

CANARY = "Zwetschgenknoedel"
DIARY = f"[1] I cooked {CANARY} with Marta today.\n[2] I have to give her the pot back on Friday."
MOOD: dict[str, Any] = {
    "type": "object",
    "properties": {"mood": {"type": "string", "enum": ["good", "bad"]}},
    "required": ["mood"],
    "additionalProperties": False,
}


def prompt(user: str = DIARY, schema: dict[str, Any] = MOOD, max_output_tokens: int = 60) -> Prompt:
    """A question whose rules come first and whose diary comes next, so that the server can keep what it has read."""
    return Prompt("Answer with JSON.", user, schema, "mood-1", max_output_tokens)


def ask(route: Route, question: Prompt) -> Completion:
    """Ask once, as the router does."""

    async def once() -> Completion:
        provider = open_provider(route)
        try:
            return await provider(question)
        finally:
            await provider.close()

    return asyncio.run(once())


def refused(route: Route, question: Prompt) -> LLMError:
    """Ask, and give the error that must come."""
    with pytest.raises(LLMError) as raised:
        ask(route, question)
    return raised.value


def test_an_answer_keeps_to_the_schema_and_says_what_it_used(lent: Lent) -> None:
    answer = ask(lent.route(), prompt())
    assert answer.failure is None
    assert json.loads(answer.text)["mood"] in ("good", "bad")
    assert answer.usage.input > 20
    assert 0 < answer.usage.output < 60
    assert answer.model == lent.server.model


@pytest.mark.parametrize("shape", [NoteDraft, FoundDraft])
def test_the_shapes_of_notes_are_taken_as_grammars(lent: Lent, shape: type[NoteDraft | FoundDraft]) -> None:
    answer = ask(lent.route(), prompt(schema=strict_schema(shape), max_output_tokens=24))
    assert answer.failure is Failure.TRUNCATED
    assert answer.usage.output == 24
    assert '"events"' in answer.text


def test_a_second_question_on_the_same_diary_reads_it_from_the_cache(lent: Lent) -> None:
    long = DIARY + " I was glad about it." * 20
    ask(lent.route(), prompt(f"{long}\nWhat mood?"))
    again = ask(lent.route(), prompt(f"{long}\nWas it a good day?"))
    assert again.usage.cached > 0.7 * again.usage.input


def test_a_diary_longer_than_the_context_is_refused_and_never_cut(lent: Lent) -> None:
    error = refused(lent.route(), prompt(DIARY + " And then I went on." * 400))
    assert error.kind is Failure.TOO_LONG
    assert error.status == 400
    assert error.provider_code == "exceed_context_size_error"
    assert CANARY not in str(error)


def test_an_answer_for_which_the_context_has_no_room_left_is_too_long(lent: Lent) -> None:
    nearly_full = prompt(DIARY + " And then I went on." * 155, strict_schema(NoteDraft), 4000)
    answer = ask(lent.route(), nearly_full)
    assert answer.failure is Failure.TOO_LONG
    assert answer.usage.input + answer.usage.output <= lent.server.context_tokens


@pytest.mark.parametrize("key", ["wrong", None])
def test_without_the_key_nothing_is_answered(lent: Lent, key: str | None) -> None:
    error = refused(lent.route(api_key=key), prompt())
    assert error.kind is Failure.AUTH
    assert error.status == 401


def test_a_deadline_ends_the_call_and_frees_the_only_slot(lent: Lent) -> None:
    endless = prompt(schema=strict_schema(NoteDraft), max_output_tokens=900)
    assert refused(lent.route(timeout_s=0.5), endless).kind is Failure.TIMEOUT
    began = time.monotonic()
    assert ask(lent.route(), prompt()).failure is None
    # 900 tokens take minutes where this takes seconds; the bound is wide because the machine may be busy.
    assert time.monotonic() - began < 30


def test_a_name_that_is_not_served_is_answered_by_what_is_loaded_and_that_is_seen(lent: Lent) -> None:
    route = lent.route(model="some-better-model")
    answer = ask(route, prompt())
    assert answer.model == lent.server.model
    assert is_another_model(route, answer)
    assert not is_another_model(lent.route(), answer)


def test_its_limits_are_read_from_the_server(lent: Lent) -> None:
    assert (lent.server.context_tokens, lent.server.slots) == (1024, 1)
    assert lent.server.url.startswith("http://127.0.0.1:")


def test_no_web_page_may_ask_it_and_what_is_being_answered_is_not_shown(lent: Lent) -> None:
    address = lent.server.url.removesuffix("/v1")
    headers = {"Origin": "http://evil.example", "Authorization": f"Bearer {KEY}"}
    listed = httpx2.get(f"{address}/v1/models", headers=headers)
    assert listed.status_code == 200
    assert listed.headers.get("Access-Control-Allow-Origin") not in ("*", "http://evil.example")
    assert httpx2.get(f"{address}/slots", headers=headers).status_code == 501


def test_neither_diary_nor_key_is_in_the_log_or_in_the_list_of_processes(lent: Lent) -> None:
    ask(lent.route(), prompt())
    refused(lent.route(), prompt(DIARY * 400))
    reported = lent.log_file.read_text(errors="replace")
    assert "listening" in reported
    shown = ["ps", "-ww", "-o", "args=", "-p", str(lent.server.process.pid)]
    arguments = subprocess.run(shown, capture_output=True, text=True, check=True).stdout
    assert "serving" in arguments
    for secret in (CANARY, KEY):
        assert secret not in reported
        assert secret not in arguments
    assert stat.S_IMODE(lent.log_file.stat().st_mode) == 0o600


def test_the_server_ends_with_the_block_that_started_it(tmp_path: Path) -> None:
    with serving(Plan(weights(), "short", context_tokens=512, threads=1), KEY, tmp_path / "p" / "log") as server:
        assert server.process.poll() is None
    assert server.process.poll() == 0
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{server.url}/models")


def test_a_file_that_is_no_model_says_where_to_look(tmp_path: Path) -> None:
    weights()
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"no model")
    with pytest.raises(ServiceMissing, match="log") as failed, serving(Plan(broken, "x"), KEY, tmp_path / "p" / "log"):
        pass
    assert failed.value.code == "llm_server_failed"
