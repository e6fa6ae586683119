"""`diary eval notes --route`: our diaries are given to a configured route, and its notes stand in for the good ones.

The user's own diary is not read. What surprises: this costs money where the route does, within the caps of a run, of
the day and of the default owner, and each time anew.
"""

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from diary_pipeline.cli.home import begin, prepare_home
from diary_pipeline.core.errors import UsageError

if TYPE_CHECKING:
    from diary_pipeline.notes.evidence.reference_notes import Reference
    from diary_pipeline.notes.routed.trial import Trial


def tried(name: str, references: "Sequence[Reference]") -> "Trial":
    """Have the named route write notes of these diaries."""
    settings = begin()
    route = next((route for route in settings.llm.routes if route.name == name), None)
    if route is None:
        known = ", ".join(route.name for route in settings.llm.routes) or "none at all"
        raise UsageError("route_unknown", f"DIARY_CONFIG has no route {name}; it has {known}.")
    if why := settings.llm.unused(route):
        raise UsageError("route_unused", f"The route {name} cannot be asked: {why}.")
    prepare_home(settings)
    from diary_pipeline.notes.routed.notes import Wishes
    from diary_pipeline.notes.routed.trial import try_route
    from diary_pipeline.wiring.deployment import Wiring

    wiring, policy = Wiring(settings), settings.llm.policy
    return try_route(
        route,
        references,
        purse=wiring.purse(f"eval-{uuid.uuid4().hex[:12]}"),
        policy=wiring.policy,
        wishes=Wishes(policy.redact, policy.local_only),
        templates=wiring.templates(settings.owner()),
        owner=settings.default_owner,
    )


def ended(trial: "Trial", name: str) -> dict[str, object]:
    """Say how the drafts ended."""
    diaries = len(trial.written) + trial.degraded
    return {
        "route": name,
        "diaries": diaries,
        "accepted": trial.accepted,
        "repaired": trial.repaired,
        "degraded": trial.degraded,
        "calls": len(trial.attempts),
        "outcomes": dict(trial.outcomes),
        "cost_usd": trial.cost_usd,
    }


def sentence(found: dict[str, object]) -> str:
    """Say the same to a person."""
    ends = ", ".join(f"{count} {outcome}" for outcome, count in dict(found["outcomes"]).items()) or "none"  # type: ignore[call-overload]
    cost = "at unknown cost" if found["cost_usd"] is None else f"for ${found['cost_usd']:.4f}"
    return (
        f"{found['route']}, notes of {found['diaries']} diaries: {found['accepted']} taken as they came, "
        f"{found['repaired']} after advice, {found['degraded']} not at all (the offline writer's would be published). "
        f"Calls: {ends}, {cost}."
    )
