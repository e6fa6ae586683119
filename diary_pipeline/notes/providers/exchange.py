"""What goes to a language model and what comes back, in our words; no SDK, no text in errors.

What a failure means for a route and for a note is routing/router.py's business. The surprise: a cut or refused answer
is a `Completion` with a `failure`, because it is billed all the same.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from diary_pipeline.core.errors import TransientError


class Failure(enum.StrEnum):
    """Why an attempt gave no note; these words stand in `llm_calls.outcome`."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER = "server"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    AUTH = "auth"
    QUOTA = "quota"
    MODEL = "model"
    TOO_LONG = "too_long"
    REJECTED = "rejected"
    REFUSED = "refused"
    TRUNCATED = "truncated"
    INVALID = "invalid"
    UNGROUNDED = "ungrounded"


TRANSIENT = frozenset({Failure.RATE_LIMITED, Failure.OVERLOADED, Failure.SERVER, Failure.TIMEOUT, Failure.CONNECTION})
"""Wait, then the same route again."""
FATAL = frozenset({Failure.AUTH, Failure.QUOTA, Failure.MODEL})
"""The route is off for this run: one call is wasted, not one a note."""
REPAIRABLE = frozenset({Failure.INVALID, Failure.UNGROUNDED})
"""Once more on the same route, told what was wrong."""


class LLMError(TransientError):
    """A call that gave no answer. Carries no word of the request or of the provider's body: safe to log."""

    def __init__(
        self,
        kind: Failure,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        request_id: str | None = None,
        provider_code: str | None = None,
    ) -> None:
        told = f" (HTTP {status}{f' {provider_code}' if provider_code else ''})" if status else ""
        super().__init__(f"llm_{kind}", f"The language model gave no answer: {kind}{told}.")
        self.kind = kind
        self.status = status
        self.retry_after_s = retry_after_s
        self.request_id = request_id
        self.provider_code = provider_code


@dataclass(frozen=True)
class Usage:
    """Tokens of one call; `cached` of the input ones were billed as cached."""

    input: int = 0
    cached: int = 0
    output: int = 0


@dataclass(frozen=True)
class Prompt:
    """One question. `schema` is a strict JSON schema; `shape` names it and its version."""

    system: str
    user: str
    schema: Mapping[str, Any]
    shape: str
    max_output_tokens: int = 4000


@dataclass(frozen=True)
class Completion:
    """One answer, billed."""

    text: str
    usage: Usage
    model: str
    """As the provider names what answered; a server that has another model loaded says so here."""
    request_id: str | None = None
    failure: Failure | None = None
    """TRUNCATED, REFUSED, or TOO_LONG where the model saw or could write only a part."""


class Provider(Protocol):
    """A client of one route."""

    async def __call__(self, prompt: Prompt) -> Completion:
        """Ask once, without retries of its own; LLMError for everything that gave no answer."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...
