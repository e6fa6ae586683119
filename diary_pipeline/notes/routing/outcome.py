"""What comes of asking the routes for one note: an accepted value, or the reason why there is none.

`Rejected` is what an acceptance test raises; it is one answer's fault and never leaves the router.
"""

import enum
from dataclasses import dataclass
from typing import Generic, TypeVar

from diary_pipeline.core.errors import TransientError
from diary_pipeline.notes.providers.exchange import Failure
from diary_pipeline.notes.routing.memory import Attempt
from diary_pipeline.notes.routing.route import Route

T = TypeVar("T")


class Rejected(Exception):
    """An answer that is no note. `advice` is sent back to the model that gave it, and nowhere else."""

    def __init__(self, kind: Failure, advice: str = "") -> None:
        """`kind` is INVALID or UNGROUNDED."""
        super().__init__(str(kind))
        self.kind = kind
        self.advice = advice


@dataclass(frozen=True)
class Accepted(Generic[T]):
    """What the acceptance test made of an answer."""

    value: T
    route: Route
    model: str
    """As the provider names what answered."""
    attempts: tuple[Attempt, ...] = ()
    """All that it took, the accepted one last."""


class Why(enum.StrEnum):
    """What kept a route from being asked, or from being asked again."""

    UNUSABLE = "unusable"
    """No key, or switched off in this run: a wrong key, no quota, an unknown model."""
    PRIVATE = "local_only"
    TOO_LONG = "too_long"
    BUDGET = "budget"
    COOLING = "cooling"
    FAILED = "failed"
    """It was asked, and nothing acceptable came of it."""


# A person can raise a budget or split a recording; the others only tell what happened.
_TELLING = (Why.BUDGET, Why.FAILED, Why.COOLING, Why.TOO_LONG, Why.PRIVATE, Why.UNUSABLE)


class NoRoute(TransientError):
    """No route gave an acceptable answer; `reason` says what to do about it. Carries no text."""

    def __init__(self, recording_key: str, attempts: tuple[Attempt, ...], reasons: dict[str, Why]) -> None:
        """`reasons` is by the name of the route."""
        self.attempts = attempts
        self.reasons = reasons
        self.reason = next((why for why in _TELLING if why in reasons.values()), Why.UNUSABLE)
        tried = "; ".join(f"{attempt.route}: {attempt.outcome}" for attempt in attempts) or "none was asked"
        super().__init__(f"llm_{self.reason}", f"No route wrote the note of {recording_key} ({self.reason}; {tried}).")
