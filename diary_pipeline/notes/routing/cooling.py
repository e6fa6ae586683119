"""What is learned of a route from a call: that it works, that it needs a rest, or that it is off for this run.

Rests are kept in RouteMemory, so that all notes of all processes share them; `off` stays in this process, because a
corrected key comes with a new one.

The surprise: calls run side by side, so that one bad second brings eight failures, or one and seven late successes. A
call judges only what it saw when it started: eight failures count once, and a late success does not end a rest that
the provider asked for meanwhile.
"""

import random
from collections.abc import Callable

from diary_pipeline.notes.providers.exchange import FATAL, TRANSIENT, LLMError
from diary_pipeline.notes.routing.memory import RouteMemory, Standing
from diary_pipeline.notes.routing.pacing import Lane
from diary_pipeline.observability.logs import log

FIRST_S = 0.5
LONGEST_S = 300.0
LONGEST_TOLD_S = 86_400.0
"""Free tiers say "tomorrow"; more than that is a mistake."""

logger = log(__name__)


def _jitter() -> float:
    return random.uniform(0.75, 1.25)


class Cooling:
    """The rests of routes; back-off and circuit breaker are this one thing."""

    def __init__(self, memory: RouteMemory, jitter: Callable[[], float] = _jitter) -> None:
        self._memory = memory
        self._jitter = jitter

    def standing(self, lane: Lane) -> Standing:
        """Give how a route has done lately."""
        name = lane.route.name
        return self._memory.standings([name])[name]

    def rest_s(self, lane: Lane) -> float:
        """Give for how many seconds nobody should call it."""
        return max(0.0, self.standing(lane).cool_until - self._memory.now())

    def in_doubt(self, lane: Lane) -> bool:
        """Tell whether one call should find out before others follow."""
        return not lane.is_proved or self.standing(lane).failures > 0

    def answered(self, lane: Lane, seen: Standing) -> None:
        """Learn that a call brought an answer, whatever it is worth; `seen` was true when it started."""
        lane.is_proved = True
        if seen.failures and self.standing(lane).failures == seen.failures:
            self._memory.cool(lane.route.name, 0.0, 0)

    def failed(self, lane: Lane, seen: Standing, trouble: LLMError) -> None:
        """Learn that a call brought none."""
        if trouble.kind in FATAL:
            if lane.off is None:
                logger.warning(
                    "llm_route_off",
                    route=lane.route.name,
                    reason=trouble.kind,
                    status=trouble.status,
                    code=trouble.provider_code,
                )
            lane.off = trouble.kind
        elif trouble.kind in TRANSIENT:
            now = self.standing(lane)
            failures = max(now.failures, seen.failures + 1)
            back_off_s = min(LONGEST_S, FIRST_S * 2 ** min(failures - 1, 20)) * self._jitter()
            told_s = min(trouble.retry_after_s or 0.0, LONGEST_TOLD_S)
            until = max(now.cool_until, self._memory.now() + max(back_off_s, told_s))
            self._memory.cool(lane.route.name, until, failures)
            logger.info(
                "llm_route_cools", route=lane.route.name, reason=trouble.kind, seconds=round(told_s or back_off_s, 1)
            )
        else:
            self.answered(lane, seen)  # it refused this question, and with it showed that it works
