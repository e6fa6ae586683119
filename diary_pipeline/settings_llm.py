"""The language models of a deployment: the table `llm` of the file that `DIARY_CONFIG` names.

    [llm]                                   # no route: the offline writer writes every note
    run_budget_usd = 1.0                    # inf: no cap
    day_budget_usd = 5.0                    # of the whole deployment, by UTC
    audio_hour_budget_usd = 0.10            # a note that cost more is published with a warning
    local_only = false                      # true: no text leaves the machines of routes marked `local`
    redact = ["email", "phone"]             # hidden from routes that are not `local`; all six kinds unless said
    usd_per_second = 0.0                    # what waiting is worth: 0 takes the cheapest route however slow it is
    patience_s = 10.0                       # a route that cools down for longer is left for the next one
    deadline_s = 600.0                      # for one question: no rest of a route is begun that would end later
    tries = 3                               # for one note on one route, where trying again may help
    judge = "haiku"                         # a route of another model family that checks notes; leave out for none

    [[llm.routes]]
    name = "luna"
    provider = "openai"                     # openai (and every compatible server), anthropic or mistral
    model = "gpt-6-luna"
    api_key_env = "OPENAI_API_KEY"          # the variable that holds the key; never the key itself
    price = {input = 0.05, output = 0.25, as_of = 2026-11-22}  # USD a million tokens; `cached` if it differs
    service_tier = "flex"
    effort = "low"
    requests_per_minute = 500
    tokens_per_minute = 200000

    [[llm.routes]]
    name = "haiku"
    provider = "anthropic"
    model = "claude-haiku-5-5"
    price = {input = 0.10, output = 0.50, as_of = 2026-11-22}
    tier = 1                                # lower tiers are tried first

    [[llm.routes]]
    name = "home"
    provider = "openai"
    model = "qwen3-8b"
    base_url = "http://127.0.0.1:8000/v1"
    local = true                            # needs no key; `prose` is false unless said
    context_tokens = 32768
    concurrency = 1
    timeout_s = 900                         # 120 unless said, 900 for local routes and for flex
    tier = 2

A route whose key is not in the environment is known and not used. What routes are for stands in notes/routing/route.py;
keys are handed in, because settings.py alone reads the environment.
"""

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from diary_pipeline.core.errors import UsageError
from diary_pipeline.notes.routing.route import Price, ProviderName, Route
from diary_pipeline.settings_file import first_fault, server_url

Redacted = Literal["email", "phone", "card", "iban", "id_number", "url"]

KEYS: Mapping[ProviderName, str] = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "mistral": "MISTRAL_API_KEY",
}
"""Where a provider's own SDK looks. For another server a variable must be named, or that server would get this key."""
PATIENT_S = 900.0
"""A CPU needs minutes for a long note, and flex processing is asked to wait as long."""


def _variable(name: str) -> str:
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
        raise ValueError("it must be the name of a variable such as OPENAI_API_KEY, never a key itself")
    if name.startswith("DIARY_"):
        raise ValueError("variables that begin with DIARY_ are settings; name another")
    return name


def _base_url(said: str) -> str:
    return server_url(said, "the variable that api_key_env names")


Usd = Annotated[float, Field(ge=0)]
Seconds = Annotated[float, Field(gt=0)]
Some = Annotated[float, Field(gt=0)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Price(_Row):
    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)
    cached: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    as_of: dt.date


class _Route(_Row):
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")
    provider: ProviderName
    model: str = Field(min_length=1)
    base_url: Annotated[str, AfterValidator(_base_url)] | None = None
    api_key_env: Annotated[str, AfterValidator(_variable)] | None = None
    local: bool = False
    prose: bool | None = None
    tier: int = Field(default=0, ge=0)
    context_tokens: int = Field(default=128_000, ge=1024)
    price: _Price | None = None
    requests_per_minute: Some = math.inf
    tokens_per_minute: Some = math.inf
    concurrency: int = Field(default=4, ge=1, le=64)
    timeout_s: Seconds | None = None
    effort: str | None = None
    service_tier: str | None = None
    extra: Mapping[str, Any] = {}

    @model_validator(mode="after")
    def _says_where_it_is(self) -> "_Route":
        if self.local and self.base_url is None:
            raise ValueError("a local route needs the base_url of its server")
        if self.base_url and not self.local and self.api_key_env is None:
            raise ValueError("a server with a base_url needs api_key_env, the variable of its own key, or local = true")
        return self

    @property
    def key_variable(self) -> str | None:
        """The variable of its key; None: it needs none."""
        return self.api_key_env or (None if self.local else KEYS[self.provider])

    def route(self, keys: Mapping[str, str]) -> Route:
        """Give the route, with its key where there is one."""
        patient = self.local or self.service_tier == "flex"
        price = self.price
        return Route(
            name=self.name,
            provider=self.provider,
            model=self.model,
            base_url=self.base_url,
            api_key=keys.get(self.key_variable or ""),
            local=self.local,
            prose=not self.local if self.prose is None else self.prose,
            tier=self.tier,
            context_tokens=self.context_tokens,
            price=Price(price.input, price.output, price.as_of.isoformat(), price.cached) if price else None,
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
            concurrency=self.concurrency,
            timeout_s=self.timeout_s or (PATIENT_S if patient else Route.timeout_s),
            effort=self.effort,
            service_tier=self.service_tier,
            extra=self.extra,
        )


class LlmPolicy(_Row):
    """How language models may be used; money in US dollars, inf: no cap."""

    run_budget_usd: Usd = 1.0
    day_budget_usd: Usd = 5.0
    audio_hour_budget_usd: Usd = 0.10
    """Above what the dearest model measured took for an hour (facts of 2026-11: 0.002 to 0.092)."""
    local_only: bool = False
    redact: tuple[Redacted, ...] = get_args(Redacted)
    """Nothing of it helps a note, and what has left a machine cannot be taken back."""
    usd_per_second: Usd = 0.0
    patience_s: float = Field(default=10.0, ge=0)
    deadline_s: Seconds = 600.0
    tries: int = Field(default=3, ge=1, le=10)
    judge: str | None = None


class _Llm(LlmPolicy):
    routes: tuple[_Route, ...] = ()

    @model_validator(mode="after")
    def _names_routes(self) -> "_Llm":
        names = [route.name for route in self.routes]
        if len(set(names)) < len(names):
            raise ValueError("two routes have one name")
        if self.judge is not None and self.judge not in names:
            raise ValueError("judge names no route")
        return self


@dataclass(frozen=True)
class Llm:
    """What the file says about language models; no route: the offline writer is the configured writer."""

    policy: LlmPolicy = field(default_factory=LlmPolicy)
    routes: tuple[Route, ...] = ()
    key_variables: Mapping[str, str] = field(default_factory=dict)
    """Route -> variable that holds its key, or would."""
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variable -> key, of those that are set."""

    @property
    def usable(self) -> tuple[Route, ...]:
        """The routes that may be asked."""
        return tuple(route for route in self.routes if self.unused(route) is None)

    def unused(self, route: Route) -> str | None:
        """Say why a route is not used at all, or None."""
        if self.policy.local_only and not route.local:
            return "llm.local_only keeps every diary from it"
        return None if route.is_usable else f"{self.key_variables[route.name]} is not set"


def read_llm(said: Mapping[str, Any], path: Path, env: Mapping[str, str]) -> Llm:
    """Read the table `llm` of a file; keys are looked up in `env`, and an empty one counts as not set."""
    try:
        told = _Llm.model_validate(said)
    except ValidationError as error:
        # a rule about the whole table is told without a place, which would leave ": " alone
        raise UsageError("config_invalid", f"{path}: llm.{first_fault(error)}.".replace("llm.: ", "llm: ")) from error
    named = {route.name: route.key_variable for route in told.routes if route.key_variable}
    keys = {variable: env[variable].strip() for variable in named.values() if env.get(variable, "").strip()}
    return Llm(
        policy=LlmPolicy(**told.model_dump(exclude={"routes"}, exclude_unset=True)),
        routes=tuple(route.route(keys) for route in told.routes),
        key_variables=named,
        keys=keys,
    )
