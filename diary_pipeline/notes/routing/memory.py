"""What the router remembers beyond one note: how routes did, what was answered, what may still be spent.

Protocols with the doubles for tests and for single processes; ledger_memory.py keeps the same in the ledger and the
object store, so that it is shared by processes and outlives them. No text but in `Answers`.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from diary_pipeline.core.llm_call import ACCEPTED, CACHED, Attempt
from diary_pipeline.notes.providers.exchange import Completion

__all__ = [
    "ACCEPTED", "CACHED", "Allowance", "Answers", "Attempt", "Hold", "KeptAnswers", "ProcessMemory", "Purse",
    "RouteMemory", "Standing",
]  # fmt: skip


@dataclass(frozen=True)
class Standing:
    """How a route has done lately."""

    tried: int = 0
    accepted: int = 0
    seconds: float = 5.0
    """About how long an answer takes; attempts that gave none say nothing about that."""
    failures: int = 0
    """Transient ones in a row; each doubles the cool-down."""
    cool_until: float = 0.0
    """Seconds since the epoch by the ledger's clock."""


class RouteMemory(Protocol):
    """How routes did, seen by every process of a deployment."""

    def now(self) -> float:
        """Give seconds since the epoch, by the clock that `cool_until` means."""
        ...

    def standings(self, routes: Iterable[str]) -> Mapping[str, Standing]:
        """Give what is known of routes over the last 30 days."""
        ...

    def record(self, attempt: Attempt) -> None:
        """Remember an attempt."""
        ...

    def cool(self, route: str, until: float, failures: int) -> None:
        """Let nobody call a route until then, or until a later time that stands; `failures` 0 ends a cool-down."""
        ...


class Answers(Protocol):
    """Answers by the key of their question; what was paid for once is never asked again."""

    def get(self, key: str) -> Completion | None:
        """Give a kept answer."""
        ...

    def put(self, key: str, answer: Completion) -> None:
        """Keep an answer; it is durable when this returns."""
        ...


@dataclass(frozen=True)
class Hold:
    """Money set aside for one call."""

    id: str
    usd: float


class Purse(Protocol):
    """What may still be spent."""

    def hold(self, owner: str, usd: float) -> Hold | None:
        """Set the worst case of a call aside; None when a cap of the run, the day or the owner forbids it."""
        ...

    def settle(self, hold: Hold, usd: float) -> None:
        """Say what the call cost in the end; the rest is free again."""
        ...


class ProcessMemory:
    """RouteMemory of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.attempts: list[Attempt] = []
        self._standings: dict[str, Standing] = {}

    def now(self) -> float:
        """Give the clock of this machine."""
        return time.time()

    def standings(self, routes: Iterable[str]) -> Mapping[str, Standing]:
        """Give what this process has seen."""
        return {name: self._standings.get(name, Standing()) for name in routes}

    def record(self, attempt: Attempt) -> None:
        """Remember an attempt; one that was answered from `Answers` says nothing about its route."""
        with self._lock:
            self.attempts.append(attempt)
            if attempt.outcome == CACHED:
                return
            before = self._standings.get(attempt.route, Standing())
            self._standings[attempt.route] = replace(
                before,
                tried=before.tried + 1,
                accepted=before.accepted + (attempt.outcome == ACCEPTED),
                seconds=before.seconds + (0.3 * (attempt.seconds - before.seconds) if attempt.is_answered else 0.0),
            )

    def cool(self, route: str, until: float, failures: int) -> None:
        """Remember a cool-down."""
        with self._lock:
            before = self._standings.get(route, Standing())
            if failures:  # an answer that was on its way may know of a shorter one
                until, failures = max(until, before.cool_until), max(failures, before.failures)
            self._standings[route] = replace(before, cool_until=until if failures else 0.0, failures=failures)


@dataclass
class KeptAnswers:
    """Answers in memory."""

    kept: dict[str, Completion] = field(default_factory=dict)

    def get(self, key: str) -> Completion | None:
        """Give a kept answer."""
        return self.kept.get(key)

    def put(self, key: str, answer: Completion) -> None:
        """Keep an answer."""
        self.kept[key] = answer


@dataclass
class Allowance:
    """A purse with one sum for everybody, in memory."""

    left_usd: float
    _held: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def hold(self, owner: str, usd: float) -> Hold | None:  # noqa: ARG002
        """Set the worst case aside, while it is there."""
        with self._lock:
            if usd > self.left_usd:
                return None
            self.left_usd -= usd
            self._held += 1
            return Hold(str(self._held), usd)

    def settle(self, hold: Hold, usd: float) -> None:
        """Give back what was not spent."""
        with self._lock:
            self.left_usd += hold.usd - usd
