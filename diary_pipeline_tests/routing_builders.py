"""What tests of the routes share: a time that passes only when somebody waits, and one note asked of given routes."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self

from diary_pipeline.notes.providers.exchange import Failure, Prompt
from diary_pipeline.notes.routing.choosing import Policy
from diary_pipeline.notes.routing.memory import Allowance, Answers, KeptAnswers, ProcessMemory, Purse
from diary_pipeline.notes.routing.outcome import Accepted, NoRoute, Rejected
from diary_pipeline.notes.routing.route import Price, ProviderName, Route
from diary_pipeline.notes.routing.router import Router
from diary_pipeline_tests.provider_servers import ProviderDouble, provider_server

PROVIDERS: tuple[ProviderName, ...] = ("openai", "anthropic", "mistral")
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
PROMPT = Prompt("These are the rules.", "[1] I went home. " * 200, SCHEMA, "note-1", max_output_tokens=1000)
PRICE = Price(input=1.0, output=2.0, as_of="2026-11-27")


class PassingMemory(ProcessMemory):
    """A memory whose clock moves when the router waits."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 1_800_000_000.0
        self.waited: list[float] = []

    def now(self) -> float:
        """Give the time of the test."""
        return self.time

    async def wait(self, seconds: float) -> None:
        """Let time pass at once."""
        self.waited.append(round(seconds, 1))
        self.time += seconds


def accept_good(text: str, route: Route) -> str:
    """Accept what says that it is good; what else may be said names the fault."""
    if text == "good":
        return text
    if text == "ungrounded":
        raise Rejected(Failure.UNGROUNDED, "Nobody spoke of Paris.")
    raise Rejected(Failure.INVALID, "The field title is missing.")


@dataclass
class Outcome:
    """What came of one note, told in few words."""

    accepted: Accepted[str] | None
    no_route: NoRoute | None

    @property
    def told(self) -> list[tuple[str, str]]:
        """Route and outcome of each attempt."""
        attempts = self.accepted.attempts if self.accepted else self.no_route.attempts if self.no_route else ()
        return [(attempt.route, str(attempt.outcome)) for attempt in attempts]

    @property
    def reason(self) -> str | None:
        """Why there is no note."""
        return str(self.no_route.reason) if self.no_route else None


@dataclass
class Bench:
    """Provider servers by route name, and what is remembered of the routes over them."""

    servers: dict[str, ProviderDouble]
    routes: list[Route]
    memory: PassingMemory = field(default_factory=PassingMemory)
    answers: Answers = field(default_factory=KeptAnswers)
    purse: Purse = field(default_factory=lambda: Allowance(1.0))
    policy: Policy = field(default_factory=Policy)

    def router(self) -> Router:
        """Make a router as a new process would."""
        return Router(
            self.routes, self.memory, self.answers, self.purse, self.policy,
            clock=self.memory.now, sleep=self.memory.wait,
        )  # fmt: skip

    async def ask(self, key: str = "r-1", prompt: Prompt = PROMPT, *, local_only: bool = False) -> Outcome:
        """Ask for one note with a router of its own."""
        async with self.router() as router:
            return await self.ask_with(router, key, prompt, local_only=local_only)

    async def ask_with(
        self,
        router: Router,
        key: str = "r-1",
        prompt: Prompt = PROMPT,
        *,
        accept: Callable[[str, Route], str] = accept_good,
        local_only: bool = False,
    ) -> Outcome:
        """Ask for one note with a router that others use too."""
        try:
            accepted = await router.run(
                lambda route: prompt, accept, recording_key=key, owner="ann", local_only=local_only
            )
        except NoRoute as no_route:
            return Outcome(None, no_route)
        return Outcome(accepted, None)

    @property
    def calls(self) -> list[int]:
        """How often each server was asked."""
        return [len(server.asked) for server in self.servers.values()]


class Benches:
    """Starts benches; a context manager that stops their servers."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *what: object) -> None:
        self._stack.close()

    def __call__(self, *providers: ProviderName, changes: Sequence[Mapping[str, Any]] = (), **options: Any) -> Bench:
        """Start a server for each provider, with routes `one`, `two`, ... over them, in this order of preference."""
        names = ("one", "two", "three")
        servers = {
            name: self._stack.enter_context(provider_server(p)) for name, p in zip(names, providers, strict=False)
        }
        routes = [
            Route(
                **{
                    "name": name,
                    "provider": server.provider,
                    "model": f"{server.provider}-model",
                    "base_url": server.url,
                    "api_key": "key-1",
                    "tier": number,
                    "price": PRICE,
                    "timeout_s": 20.0,
                    **(changes[number] if number < len(changes) else {}),
                }
            )
            for number, (name, server) in enumerate(servers.items())
        ]
        return Bench(servers, routes, **options)
