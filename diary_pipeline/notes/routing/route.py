"""A configured language model: where it is, what it costs, what it may be trusted with. Values only.

Settings make routes (`[[llm.routes]]` of the file that DIARY_CONFIG names); choosing is router.py's business.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from diary_pipeline.core.llm_call import Usage

ProviderName = Literal["openai", "anthropic", "mistral"]
MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """US dollars a million tokens, as published on a day."""

    input: float
    output: float
    as_of: str
    """ISO date: prices change monthly."""
    cached: float | None = None
    """None: cached tokens cost what others cost."""

    def usd(self, usage: Usage) -> float:
        """Give what these tokens cost."""
        cached = self.input if self.cached is None else self.cached
        return (
            (usage.input - usage.cached) * self.input + usage.cached * cached + usage.output * self.output
        ) / MILLION


@dataclass(frozen=True)
class Route:
    """One way to a model. `openai` stands for every server that speaks OpenAI's chat completions."""

    name: str
    provider: ProviderName
    model: str
    base_url: str | None = None
    """None: the provider's own."""
    api_key: str | None = field(default=None, repr=False)
    local: bool = False
    """The text stays on machines of the deployment; only such routes see a `local_only` diary, and none needs a key."""
    prose: bool = True
    """Whether its own sentences may be published; otherwise it finds what matters and the speaker's words are told."""
    tier: int = 0
    """Lower is tried first."""
    context_tokens: int = 128_000
    price: Price | None = None
    """None: unpriced, which is told as unknown and never as free; for a local route nothing is billed."""
    requests_per_minute: float = math.inf
    tokens_per_minute: float = math.inf
    concurrency: int = 4
    timeout_s: float = 120.0
    """Total deadline of one attempt."""
    effort: str | None = None
    """Reasoning effort as the provider spells it; reasoning is billed and does not make summaries truer."""
    service_tier: str | None = None
    """`flex` is half the price at OpenAI, and slower."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Sent along as it is."""

    @property
    def is_usable(self) -> bool:
        """Tell whether it has what a call needs: a key, or a server of the deployment's own."""
        return self.api_key is not None or self.local

    def usd(self, usage: Usage) -> float:
        """Give what a call costs; 0 where nothing is billed or the price is unknown."""
        return self.price.usd(usage) if self.price else 0.0
