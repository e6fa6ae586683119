"""What is learned of a route from a call: that it works, that it needs a rest, or that it is off for this run.

Rests are kept in RouteMemory, so that all notes of all processes share them; `off` stays in this process, because a
corrected key comes with a new one.

The surprise: calls run side by side, so that one bad second brings eight failures, or one and seven late successes. A
call judges only what it saw when it started: eight failures count once, and a late success does not end a rest that
the provider asked for meanwhile.
"""

import math
import random
import time
from collections.abc import Iterable, Mapping

from diary_pipeline.notes.providers.exchange import FATAL, TRANSIENT, LLMError
from diary_pipeline.notes.routing.memory import Attempt, RouteMemory, Standing
from diary_pipeline.notes.routing.pacing import Clock, Lane
from diary_pipeline.observability.logs import log

FIRST_S = 0.5
LONGEST_S = 300.0
LONGEST_TOLD_S = 86_400.0
"""Free tiers say "tomorrow"; more than that is a mistake."""
SEEN_FOR_S = 1.0
"""A look at the ledger costs a millisecond or two, and a note needs several."""

logger = log(__name__)


class Cooling:
    """The rests of routes; back-off and circuit breaker are this one thing."""

    def __init__(self, memory: RouteMemory, routes: Iterable[str], clock: Clock = time.monotonic) -> None:
        self._memory = memory
        self._routes = tuple(routes)
        self._clock = clock
        self._known: Mapping[str, Standing] = {}
        self._read_at = -math.inf

    def standings(self) -> Mapping[str, Standing]:
        """Give how all routes have done lately; what other processes found out shows within a second."""
        if self._clock() - self._read_at > SEEN_FOR_S:
            self._known = self._memory.standings(self._routes)
            self._read_at = self._clock()
        return self._known

    def record(self, attempt: Attempt) -> None:
        """Remember an attempt; the next look at the standings counts it."""
        self._memory.record(attempt)
        self._read_at = -math.inf

    def rest_s(self, standing: Standing) -> float:
        """Give for how many seconds nobody should call a route."""
        return max(0.0, standing.cool_until - self._memory.now())

    def in_doubt(self, lane: Lane) -> bool:
        """Tell whether one call should find out before others follow."""
        return not lane.is_proved or self.standings()[lane.route.name].failures > 0

    def answered(self, lane: Lane, seen: Standing) -> None:
        """Learn that a call brought an answer, whatever it is worth; `seen` was true when it started."""
        lane.is_proved = True
        if seen.failures and self._now(lane).failures == seen.failures:
            self._cool(lane, 0.0, 0)

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
            now = self._now(lane)
            failures = max(now.failures, seen.failures + 1)
            back_off_s = min(LONGEST_S, FIRST_S * 2 ** min(failures - 1, 20)) * random.uniform(0.75, 1.25)
            told_s = min(trouble.retry_after_s or 0.0, LONGEST_TOLD_S)
            until = max(now.cool_until, self._memory.now() + max(back_off_s, told_s))
            self._cool(lane, until, failures)
            logger.info(
                "llm_route_cools", route=lane.route.name, reason=trouble.kind, seconds=round(told_s or back_off_s, 1)
            )
        else:
            self.answered(lane, seen)  # it refused this question, and with it showed that it works

    def _now(self, lane: Lane) -> Standing:
        self._read_at = -math.inf
        return self.standings()[lane.route.name]

    def _cool(self, lane: Lane, until: float, failures: int) -> None:
        self._memory.cool(lane.route.name, until, failures)
        self._read_at = -math.inf
