"""Language models in the configuration file: what is said becomes routes and rules, keys come from the environment."""

import json
import math
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from diary_pipeline.cli.route_check import route_state, routes_state
from diary_pipeline.core.errors import UsageError
from diary_pipeline.core.owner import Owner
from diary_pipeline.notes.routing.route import Price, Route
from diary_pipeline.settings import Settings, load_settings
from diary_pipeline.settings_llm import Llm, LlmPolicy
from diary_pipeline.settings_pages import configuration_page, explain

LUNA = '[[llm.routes]]\nname = "luna"\nprovider = "openai"\nmodel = "gpt-6-luna"\n'
HAIKU = '[[llm.routes]]\nname = "haiku"\nprovider = "anthropic"\nmodel = "claude-haiku-5-5"\n'
HOME = LUNA.replace("luna", "home", 1) + 'base_url = "http://127.0.0.1:1/v1/"\nlocal = true\n'
KEY = "sk-secret-word"

Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load settings with this file."""

    def loaded(text: str, **env: str) -> Settings:
        file = tmp_path / "diary.toml"
        file.write_text(text)
        return load_settings({"DIARY_CONFIG": str(file), "DIARY_HOME": str(tmp_path), "TZ": "UTC", **env})

    return loaded


def test_without_a_file_and_without_a_route_the_offline_writer_is_the_configured_one(load: Load) -> None:
    assert load_settings({}).llm == Llm(LlmPolicy(), ())
    assert load("[owners.anna]\n").llm.routes == ()


def test_a_route_is_what_the_file_says_with_the_key_of_the_environment(load: Load) -> None:
    said = """price = {input = 0.05, output = 0.25, cached = 0.005, as_of = 2026-11-22}
api_key_env = "LUNA_KEY"
service_tier = "flex"
effort = "low"
requests_per_minute = 500
tokens_per_minute = 200000
context_tokens = 272000
concurrency = 8
tier = 1
extra = {store = false}
"""
    [route] = load(LUNA + said, LUNA_KEY=KEY).llm.routes
    assert route == Route(
        name="luna",
        provider="openai",
        model="gpt-6-luna",
        api_key=KEY,
        tier=1,
        context_tokens=272_000,
        price=Price(0.05, 0.25, "2026-11-22", 0.005),
        requests_per_minute=500,
        tokens_per_minute=200_000,
        concurrency=8,
        timeout_s=900.0,
        effort="low",
        service_tier="flex",
        extra={"store": False},
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LUNA, {"prose": True, "timeout_s": 120.0, "api_key": KEY, "price": None, "requests_per_minute": math.inf}),
        (HAIKU, {"api_key": "other"}),
        (HOME, {"prose": False, "timeout_s": 900.0, "api_key": None, "base_url": "http://127.0.0.1:1/v1"}),
        (HOME + "prose = true\ntimeout_s = 30\n", {"prose": True, "timeout_s": 30.0}),
        (HOME + 'api_key_env = "OPENAI_API_KEY"\n', {"api_key": KEY}),
        (LUNA + 'service_tier = "flex"\ntimeout_s = 60\n', {"timeout_s": 60.0}),
        (LUNA + "price = {input = 1, output = 2, as_of = '2026-11-22'}\n", {"price": Price(1, 2, "2026-11-22")}),
    ],
)
def test_what_a_route_does_not_say_follows_from_what_it_is(load: Load, text: str, expected: dict[str, Any]) -> None:
    [route] = load(text, OPENAI_API_KEY=KEY, ANTHROPIC_API_KEY="other").llm.routes
    assert {name: getattr(route, name) for name in expected} == expected


@pytest.mark.parametrize("key", [None, "", "  "])
def test_a_route_without_its_key_is_known_and_not_used(load: Load, key: str | None) -> None:
    llm = load(LUNA + HOME, **({} if key is None else {"OPENAI_API_KEY": key})).llm
    assert [llm.unused(route) for route in llm.routes] == ["OPENAI_API_KEY is not set", None]
    assert [route.name for route in llm.usable] == ["home"]


def test_where_everything_stays_local_a_key_opens_nothing(load: Load) -> None:
    llm = load("[llm]\nlocal_only = true\n" + LUNA + HOME, OPENAI_API_KEY=KEY).llm
    assert [route.name for route in llm.usable] == ["home"]
    assert llm.unused(llm.routes[0]) == "llm.local_only keeps every diary from it"


def test_the_policy_is_what_the_file_says_and_otherwise_safe(load: Load) -> None:
    said = """[llm]
run_budget_usd = 0.5
day_budget_usd = inf
redact = ["email", "iban"]
patience_s = 0
judge = "luna"
"""
    policy = load(said + LUNA).llm.policy
    assert (policy.run_budget_usd, policy.day_budget_usd, policy.patience_s) == (0.5, math.inf, 0.0)
    assert (policy.redact, policy.judge) == (("email", "iban"), "luna")
    assert (policy.deadline_s, policy.tries, policy.local_only) == (600.0, 3, False)
    assert LlmPolicy().run_budget_usd < LlmPolicy().day_budget_usd < math.inf


def test_an_owner_has_rules_of_their_own(load: Load) -> None:
    said = (
        "[owners.anna]\nnote_language = 'de'\ntemplate = 'work'\nlocal_only = true\nday_budget_usd = 0.5\n"
        "[templates.work]\ntone = 'Terse.'\n"
    )
    expected = Owner("anna", "UTC", note_language="de", template="work", local_only=True, day_budget_usd=0.5)
    assert load(said).owner("anna") == expected
    assert load(said).owner("ben") == Owner("ben", "UTC")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("llm = 5\n", "llm: input should be a valid"),
        ("[llm]\nbudget = 5\n", "llm.budget is not a known key"),
        ("[llm]\nrun_budget_usd = -1\n", "llm.run_budget_usd: input should be greater than or equal to 0"),
        ("[llm]\nrun_budget_usd = nan\n", "llm.run_budget_usd"),
        ("[llm]\ntries = 0\n", "llm.tries"),
        ("[llm]\nredact = ['names']\n", "llm.redact[0]: input should be 'email'"),
        ("[llm]\njudge = 'haiku'\n" + LUNA, "llm: judge names no route"),
        (LUNA + LUNA, "llm: two routes have one name"),
        (LUNA + "api_key = 'sk-secret-word'\n", "llm.routes[0].api_key is not a known key"),
        (LUNA + "api_key_env = 'sk-secret-word'\n", "llm.routes[0].api_key_env: it must be the name of a variable"),
        (LUNA + "api_key_env = 'DIARY_KEY'\n", "llm.routes[0].api_key_env: variables that begin with DIARY_"),
        (LUNA.replace("openai", "cohere"), "llm.routes[0].provider: input should be 'openai'"),
        (LUNA.replace('"luna"', '"lu na"'), "llm.routes[0].name"),
        (LUNA + "base_url = 'https://h/v1'\n", "llm.routes[0]: a server with a base_url needs api_key_env"),
        (LUNA + "base_url = 'https://u:sk-secret-word@h/v1'\n", "llm.routes[0].base_url: it must begin with http"),
        (LUNA + "base_url = 'https://h/v1?key=sk-secret-word'\n", "a key belongs into the variable that api_key_env"),
        (LUNA + "local = true\n", "llm.routes[0]: a local route needs the base_url of its server"),
        (LUNA + "price = {input = 1, output = 2}\n", "llm.routes[0].price.as_of: field required"),
        (LUNA + "price = {input = -1, output = 2, as_of = 2026-11-22}\n", "llm.routes[0].price.input"),
        (LUNA + "requests_per_minute = 0\n", "llm.routes[0].requests_per_minute"),
        (LUNA + "concurrency = 0\n", "llm.routes[0].concurrency"),
        (LUNA + "[owners.anna]\nday_budget_usd = -1\n", "owners.anna.day_budget_usd"),
        ("[owners.anna]\nnote_language = 'German'\n", "owners.anna.note_language"),
        ("[owners.anna]\ntemplate = '../x'\n", "owner anna names the template"),
    ],
)
def test_a_wrong_word_is_refused_by_key_and_not_repeated(load: Load, text: str, said: str) -> None:
    with pytest.raises(UsageError) as refusal:
        load(text)
    assert refusal.value.code == "config_invalid"
    assert said in refusal.value.message
    assert KEY not in refusal.value.message
    assert refusal.value.message.endswith(".")
    assert "\n" not in refusal.value.message


def test_a_child_process_has_the_same_routes_and_keys(load: Load) -> None:
    settings = load(LUNA + HOME, OPENAI_API_KEY=KEY)
    assert load_settings(settings.environment()).llm == settings.llm


def test_keys_are_shown_nowhere(load: Load) -> None:
    settings = load(LUNA + HAIKU, OPENAI_API_KEY=KEY)
    assert KEY not in repr(settings)
    assert KEY not in repr(explain(settings))
    assert KEY not in repr([route_state(route, settings.llm, timeout_s=1) for route in settings.llm.routes])


def test_the_settings_page_lists_routes_with_what_they_cost_and_why_one_is_not_used(load: Load) -> None:
    price = "price = {input = 0.05, output = 0.25, as_of = 2026-11-22}\n"
    settings = load("[llm]\ntries = 2\n" + LUNA + price + HAIKU + HOME, OPENAI_API_KEY=KEY)
    rows = {row.name: row for row in explain(settings)}
    assert [rows[f"llm.routes.{name}"].value for name in ("luna", "haiku", "home")] == [
        "gpt-6-luna at openai; 0.05/0.25 USD a million tokens as of 2026-11-22",
        "claude-haiku-5-5 at anthropic; price unknown; not used: ANTHROPIC_API_KEY is not set",
        "gpt-6-luna at http://127.0.0.1:1/v1; free",
    ]
    assert [(rows[f"llm.{name}"].value, rows[f"llm.{name}"].source) for name in ("tries", "run_budget_usd")] == [
        ("2", "file"),
        ("1.0", "default"),
    ]


def test_the_example_of_the_documents_can_be_loaded(load: Load) -> None:
    examples = configuration_page().split("```toml\n")[1:]
    text = "\n".join(example.partition("```")[0] for example in examples)
    settings = load(text, OPENAI_API_KEY=KEY)
    assert [route.name for route in settings.llm.routes] == ["luna", "haiku", "home"]
    assert settings.owner("anna").local_only


class _Models(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        served = {"/v1/models": {"data": [{"id": "gpt-6-luna"}]}, "/other/models": {"data": [{"id": "qwen"}]}}
        body = json.dumps(served.get(self.path, {})).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """A server that has one model below /v1 and another below /other."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Models) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "state", "said"),
    [
        ("/v1", "ok", "has the model gpt-6-luna"),
        ("/other", "missing", "has no model gpt-6-luna: change llm.routes; it has qwen"),
        ("/silent", "ok", "does not say which models it has"),
    ],
)
def test_a_server_of_our_own_is_asked_which_models_it_has(
    load: Load, server: str, path: str, state: str, said: str
) -> None:
    llm = load(HOME.replace("http://127.0.0.1:1/v1/", server + path)).llm
    found = route_state(llm.routes[0], llm, timeout_s=5)
    assert found[0] == state
    assert said in found[1]


def test_a_server_that_is_not_there_is_no_fault_of_the_deployment(load: Load) -> None:
    llm = load(HOME).llm
    state, detail = route_state(llm.routes[0], llm, timeout_s=5)
    assert (state, "nothing answers at http://127.0.0.1:1/v1" in detail) == ("absent", True)


def test_a_deployment_whose_routes_are_all_out_of_use_is_told_so(load: Load) -> None:
    assert routes_state(load(LUNA + HAIKU).llm, timeout_s=1)[0] == "missing"
    assert routes_state(load(LUNA + HAIKU, OPENAI_API_KEY=KEY).llm, timeout_s=1) == ("ok", "luna can be used.")
