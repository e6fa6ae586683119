"""One loop that owns every retry: a route is chosen, asked and judged until an answer is accepted.

The SDKs retry nothing and the note stage neither, so that a call is counted where it is made. Which route is next is
choosing.py's decision, what a failure means for the note asking.py's, for the route cooling.py's; a single call is
calling.py's business.

The surprise: an answer is kept before it is judged. Whoever is killed in between, or judges differently a year later,
pays nothing twice.
"""

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self, TypeVar

from diary_pipeline.core.errors import PermanentError, ServiceMissing
from diary_pipeline.notes.providers.exchange import Completion, Failure, LLMError, Prompt
from diary_pipeline.notes.providers.opening import OpenProvider, open_provider
from diary_pipeline.notes.routing.answer_key import answer_key
from diary_pipeline.notes.routing.asking import Asking, Question
from diary_pipeline.notes.routing.calling import Caller, OverBudget
from diary_pipeline.notes.routing.choosing import Policy, fits, obstacle, rank
from diary_pipeline.notes.routing.cooling import Cooling
from diary_pipeline.notes.routing.memory import ACCEPTED, CACHED, Answers, Attempt, Purse, RouteMemory, Standing
from diary_pipeline.notes.routing.outcome import Accepted, NoRoute, Rejected, Why
from diary_pipeline.notes.routing.pacing import Clock, Lane, Sleep, lane_of
from diary_pipeline.notes.routing.route import Route
from diary_pipeline.observability.logs import log

logger = log(__name__)
T = TypeVar("T")
Accept = Callable[[str, Route], T]
"""Makes a value of an answer to a route, or raises Rejected."""
AnswersOf = Callable[[str, str], Answers]
"""Gives the kept answers of an owner about a recording: they are erased with either."""


class Router:
    """The routes of one run, on one event loop; use it in `async with`."""

    def __init__(
        self,
        routes: Sequence[Route],
        memory: RouteMemory,
        answers_of: AnswersOf,
        purse: Purse,
        policy: Policy | None = None,
        *,
        open_provider: OpenProvider = open_provider,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Open nothing: a route's SDK is imported when the route is first asked."""
        self._lanes = [lane_of(route, clock, sleep) for route in routes]
        self._memory = memory
        self._answers_of = answers_of
        self._policy = policy or Policy()
        self._cooling = Cooling(memory, [route.name for route in routes], clock)
        self._caller = Caller(purse, clock, open_provider)
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for lane in self._lanes:
            if lane.provider is not None:
                await lane.provider.close()
                lane.provider = None

    async def run(
        self,
        prompt_for: Callable[[Route], Prompt],
        accept: Accept[T],
        *,
        recording_key: str,
        owner: str,
        local_only: bool = False,
        among: Callable[[Route], bool] = lambda _: True,
        again: bool = False,
    ) -> Accepted[T]:
        """Give the first acceptable answer; NoRoute where no route `among` those wanted gives one.

        `again`: all of this was tried before and came to nothing, so a kept answer that is refused is asked for anew.
        """
        note = Asking(recording_key, owner, self._answers_of(owner, recording_key), again=again)
        for one in (lane for lane in self._lanes if among(lane.route)):
            if why := obstacle(one.route, local_only=local_only):
                note.drop(one, why)
            else:
                prompt = prompt_for(one.route)
                note.questions[one] = Question(prompt, answer_key(one.route, prompt), self._policy.tries)
        while (found := self._next(note)) is not None:
            accepted = await self._step(note, *found, accept)
            if accepted is not None:
                return accepted
        raise NoRoute(recording_key, tuple(note.attempts), note.reasons)

    def _next(self, note: Asking) -> tuple[Lane, float] | None:
        """Choose a route, and tell for how many seconds it should rest first."""
        for lane, question in list(note.questions.items()):
            if lane.off:
                note.drop(lane, Why.UNUSABLE)
            elif not fits(lane.route, question.prompt):
                note.drop(lane, Why.TOO_LONG)
        standings = self._cooling.standings()
        rests = {name: self._cooling.rest_s(standing) for name, standing in standings.items()}

        def place(lane: Lane) -> tuple[bool, int, float]:
            standing = standings[lane.route.name]
            return rank(
                lane.route,
                note.questions[lane].prompt,
                standing,
                self._policy,
                cooling_s=rests[lane.route.name],
                queued=lane.queued,
                is_probed=standing.failures > 0 and lane.probe.locked(),
            )

        first = min(note.questions, key=place, default=None)
        return None if first is None else (first, rests[first.route.name])

    async def _step(self, note: Asking, lane: Lane, rest_s: float, accept: Accept[T]) -> Accepted[T] | None:
        """Go one step with a route: use a kept answer, let it cool, or ask it."""
        question = note.questions[lane]
        if not question.is_looked_up:
            question.is_looked_up = True
            kept = await asyncio.to_thread(note.answers.get, question.key)
            if kept is not None:
                asked = replace(self._attempt(note, lane), outcome=CACHED, answer_key=question.key)
                return await self._judge(note, lane, kept, accept, asked)
        if rest_s > 0:
            if note.spent_s + rest_s > self._policy.deadline_s:
                note.drop(lane, Why.COOLING)
            else:
                note.spent_s += rest_s
                await self._sleep(rest_s)
            return None
        async with lane.turn(lambda: self._cooling.in_doubt(lane)):
            await self._caller.take_turn(lane, question.prompt)
            # While this note waited in line, another one may have found the route dead or busy: choose again.
            seen = self._cooling.standings()[lane.route.name]
            if lane.off or self._cooling.rest_s(seen) > 0:
                return None
            return await self._ask(note, lane, seen, accept)

    async def _ask(self, note: Asking, lane: Lane, seen: Standing, accept: Accept[T]) -> Accepted[T] | None:
        question = note.questions[lane]
        attempt = self._attempt(note, lane)
        try:
            call = await self._caller.call(lane, question.prompt, note.owner, note.answers, question.key)
        except OverBudget:
            note.drop(lane, Why.BUDGET)
            return None
        except (ServiceMissing, PermanentError) as error:  # this route's own fault, such as a missing SDK
            lane.off = Failure.REJECTED
            note.drop(lane, Why.UNUSABLE)
            logger.warning("llm_route_off", route=lane.route.name, code=error.code)
            if not note.questions and not note.attempts:
                raise
            return None
        note.spent_s += call.seconds
        result = call.result
        asked = replace(
            attempt,
            seconds=call.seconds,
            cost_usd=call.cost_usd,
            request_id=result.request_id,
            answer_key=question.key,
        )
        if isinstance(result, LLMError):
            self._cooling.failed(lane, seen, result)
            await self._remember(note, replace(asked, outcome=result.kind, status=result.status))
            note.go_on(lane, result.kind, "")
            return None
        self._cooling.answered(lane, seen)
        return await self._judge(note, lane, result, accept, replace(asked, usage=result.usage, status=200))

    async def _judge(
        self, note: Asking, lane: Lane, answer: Completion, accept: Accept[T], asked: Attempt
    ) -> Accepted[T] | None:
        outcome: str = answer.failure or Failure.INVALID
        advice = ""
        accepted: Accepted[T] | None = None
        try:
            if answer.failure is None:
                # In a thread: a long diary takes seconds to be judged, and others' deadlines run meanwhile.
                value = await asyncio.to_thread(accept, answer.text, lane.route)
                accepted = Accepted(value, lane.route, answer.model)
                outcome = ACCEPTED
        except Rejected as rejected:
            outcome, advice = rejected.kind, rejected.advice
        finally:
            # Also when a defect in `accept` leaves through here: the answer is paid for.
            await self._remember(note, replace(asked, model=answer.model, outcome=asked.outcome or outcome))
        if accepted is not None:
            return replace(accepted, attempts=tuple(note.attempts))
        if not (note.again and asked.outcome == CACHED):
            note.go_on(lane, Failure(outcome), advice)
        return None

    def _attempt(self, note: Asking, lane: Lane) -> Attempt:
        at = dt.datetime.fromtimestamp(self._memory.now(), dt.UTC)
        return Attempt(note.recording_key, at, lane.route.name, lane.route.model, outcome="")

    async def _remember(self, note: Asking, attempt: Attempt) -> None:
        note.attempts.append(attempt)
        await asyncio.to_thread(self._cooling.record, attempt)  # a commit that waits for a disk
