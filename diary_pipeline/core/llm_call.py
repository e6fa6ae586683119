"""One question to a language model, as it is remembered: what it cost and how it ended. No text, in or out.

Asking is notes' business, remembering the ledger's, telling users the catalogue's; here is what the three agree on.
The surprise: a cost of None is not a cost of nothing. It says that nobody knows the price.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

ACCEPTED = "accepted"
CACHED = "cached"
"""Outcome of an attempt that a kept answer settled: nothing was sent and nothing is paid."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one call; `cached` of the input ones were billed as cached."""

    input: int = 0
    cached: int = 0
    output: int = 0


@dataclass(frozen=True)
class Attempt:
    """One question to one route, without text; a row of `llm_calls`."""

    recording_key: str
    at: dt.datetime
    """Aware, UTC."""
    route: str
    model: str
    outcome: str
    """ACCEPTED, CACHED, or a Failure of notes/providers/exchange.py."""
    seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = 0.0
    """None: the route has no price."""
    status: int | None = None
    request_id: str | None = None
    answer_key: str = ""

    @property
    def is_answered(self) -> bool:
        """Tell whether a model wrote anything; only then does `seconds` say how long an answer takes."""
        return self.usage.output > 0


def cost_of(attempts: Iterable[Attempt]) -> float | None:
    """Give what attempts cost together; None as soon as one of them has no price."""
    total = 0.0
    for attempt in attempts:
        if attempt.cost_usd is None:
            return None
        total += attempt.cost_usd
    return total
