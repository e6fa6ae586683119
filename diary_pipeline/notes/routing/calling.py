"""One call: its worst case set aside, its place in line, its deadline, its answer kept, its price settled.

What the answer is worth is router.py's business. The surprise: a call that ran past its deadline may be billed, and
nobody says how much, so that it counts as its worst case: a cap that is kept by hoping is none.
"""

import asyncio
from dataclasses import dataclass, field

from diary_pipeline.notes.providers.completing import is_another_model
from diary_pipeline.notes.providers.exchange import Completion, Failure, LLMError, Prompt, Provider
from diary_pipeline.notes.providers.opening import OpenProvider
from diary_pipeline.notes.routing.choosing import likely_case, worst_case
from diary_pipeline.notes.routing.memory import Answers, Purse
from diary_pipeline.notes.routing.pacing import Clock, Lane
from diary_pipeline.notes.routing.route import Route
from diary_pipeline.observability.logs import log

logger = log(__name__)


@dataclass(frozen=True)
class Call:
    """What came of a call: an answer or why there is none, and the bill."""

    result: Completion | LLMError
    seconds: float
    cost_usd: float | None
    """None where the route has no price."""


_ITS_OWN = (None, Failure.TRUNCATED)
"""How an answer may have ended that would end so again; what a server cut or refused may be mended tomorrow."""


class OverBudget(Exception):
    """The purse does not pay for the worst case of a call."""


@dataclass
class Caller:
    """Calls providers. Store and ledger are used in threads: they take their time, and other notes go on meanwhile."""

    purse: Purse
    clock: Clock
    open_provider: OpenProvider
    _told: set[str] = field(default_factory=set)

    async def call(self, lane: Lane, prompt: Prompt, owner: str, answers: Answers, key: str) -> Call:
        """Ask once; OverBudget where it may not be paid for. The answer is durable when this returns."""
        provider = await self._provider(lane)
        worst_usd = lane.route.usd(worst_case(prompt))
        hold = await asyncio.to_thread(self.purse.hold, owner, worst_usd) if worst_usd else None
        if worst_usd and hold is None:
            raise OverBudget
        usd = worst_usd
        started = self.clock()
        try:
            result = await self._result(provider, lane.route, prompt)
            seconds = self.clock() - started
            if isinstance(result, Completion) and result.failure in _ITS_OWN:
                await asyncio.to_thread(answers.put, key, result)
            usd = _bill(lane.route, result, worst_usd)
        finally:
            if hold is not None:
                await asyncio.to_thread(self.purse.settle, hold, usd)
        return Call(result, seconds, usd if lane.route.price or lane.route.local else None)

    async def take_turn(self, lane: Lane, prompt: Prompt) -> None:
        """Wait until the route's limits a minute allow a call."""
        await lane.requests.take(1)
        await lane.tokens.take(likely_case(prompt).input + prompt.max_output_tokens)

    async def _provider(self, lane: Lane) -> Provider:
        if lane.provider is None:
            # Importing an SDK takes seconds, which an event loop with other notes on it does not have.
            lane.provider = await asyncio.to_thread(self.open_provider, lane.route)
        return lane.provider

    async def _result(self, provider: Provider, route: Route, prompt: Prompt) -> Completion | LLMError:
        try:
            # The SDKs' own timeouts are between bytes: a server that drips keeps them waiting for ever.
            async with asyncio.timeout(route.timeout_s):
                answer = await provider(prompt)
        except TimeoutError:
            return LLMError(Failure.TIMEOUT)
        except LLMError as trouble:
            return trouble
        self._tell_of_another_model(route, answer)
        return answer

    def _tell_of_another_model(self, route: Route, answer: Completion) -> None:
        if route.name not in self._told and is_another_model(route, answer):
            self._told.add(route.name)
            logger.warning("another_model_answered", route=route.name, asked=route.model, answered=answer.model)


def _bill(route: Route, result: Completion | LLMError, worst_usd: float) -> float:
    """Give what a call cost, or the worst where nobody counted: past our deadline, or on a server without usage."""
    if isinstance(result, LLMError):
        is_cut_off = result.kind is Failure.TIMEOUT and result.status is None
        return worst_usd if is_cut_off else 0.0
    return route.usd(result.usage) if result.usage.input or result.usage.output else worst_usd
