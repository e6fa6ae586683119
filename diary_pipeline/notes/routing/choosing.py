"""Which route is asked next: those that can, by the lowest expected cost of an accepted note.

Pure: routes, prompts, standings and times in, an order out. One number carries how reliable a route is and how good its
answers are, P(accepted): an answer that is thrown away costs as much as one that never came.
"""

from dataclasses import dataclass

from diary_pipeline.notes.providers.exchange import Prompt, Usage
from diary_pipeline.notes.providers.sizing import likely_tokens, most_tokens
from diary_pipeline.notes.routing.memory import Standing
from diary_pipeline.notes.routing.outcome import Why
from diary_pipeline.notes.routing.route import Route

USUAL_OUTPUT = 1200
"""Tokens of a note with its items and quotes; measured with the schema that is asked for."""
BENEFIT = 4
"""Good answers a new route is credited with: one bad answer is no proof."""


@dataclass(frozen=True)
class Policy:
    """What weighs how much."""

    usd_per_second: float = 0.0
    """What waiting costs. 0: nobody waits for last night's note, the cheapest route wins; 0.0001 is $0.36 an hour."""
    patience_s: float = 10.0
    """A route that cools longer is passed over while another can answer."""
    deadline_s: float = 600.0
    """Seconds that one note may wait for routes to cool and be answered; queueing behind other notes is not counted."""
    tries: int = 3
    """Of one route for one note, when it fails in a way that passes."""


def worst_case(prompt: Prompt) -> Usage:
    """Give the most that a call may use: what it must fit into, and what is set aside for it."""
    return Usage(most_tokens(prompt.system + prompt.user), 0, prompt.max_output_tokens)


def likely_case(prompt: Prompt) -> Usage:
    """Give about what a call will use."""
    return Usage(likely_tokens(prompt.system + prompt.user), 0, min(prompt.max_output_tokens, USUAL_OUTPUT))


def obstacle(route: Route, *, local_only: bool) -> Why | None:
    """Tell what forbids a route before there is a prompt."""
    if local_only and not route.local:
        return Why.PRIVATE
    return None if route.is_usable else Why.UNUSABLE


def fits(route: Route, prompt: Prompt) -> bool:
    """Tell whether question and answer fit the context in any language."""
    most = worst_case(prompt)
    return most.input + most.output <= route.context_tokens


def rank(
    route: Route, prompt: Prompt, standing: Standing, policy: Policy, *, cooling_s: float, queued: int, is_probed: bool
) -> tuple[bool, int, float]:
    """Give a route's place: soon available first, then by tier, then by (price + waiting) / P(accepted)."""
    seconds = standing.seconds * (1 + queued // route.concurrency)
    p_accepted = (standing.accepted + BENEFIT) / (standing.tried + BENEFIT)
    cost = route.usd(likely_case(prompt)) + (seconds + cooling_s) * policy.usd_per_second
    return cooling_s > policy.patience_s or is_probed, route.tier, cost / p_accepted
