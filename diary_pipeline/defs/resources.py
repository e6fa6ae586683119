"""What assets and sensors are handed: the domain's own objects, never the settings they were made from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from diary_pipeline.defs.dispatch import Dispatcher
from diary_pipeline.defs.held import Leases
from diary_pipeline.defs.recovery import Recovery
from diary_pipeline.defs.report import Reporter
from diary_pipeline.defs.run_failures import RunFailureWebhook
from diary_pipeline.ledger.publications import place_of
from diary_pipeline.upkeep.erase import Erased
from diary_pipeline.upkeep.partitions import Partitions
from diary_pipeline.upkeep.reconcile import Reconciled
from diary_pipeline.wiring.deployment import Wiring


@dataclass(frozen=True)
class IntakeBudget:
    """What one tick may spend on hashing and probing; Dagster ends a tick after 60 s."""

    seconds: float
    files: int


@dataclass(frozen=True)
class PublishedFile:
    """The file that users open, as the ledger calls it, and the file in which dbt builds what is copied into it."""

    place: str
    marts_file: Path


@dataclass(frozen=True)
class Eraser:
    """Finishes erasures; the catalogue is written anew in a process of its own, like every publish."""

    wiring: Wiring
    compact: Callable[[], object]

    def __call__(self, partitions: Partitions) -> Erased:
        """Finish what waits, Dagster's part by `partitions`."""
        return self.wiring.erase(partitions, self.compact)()


@dataclass(frozen=True)
class Reconciler:
    """Compares the stores of one deployment."""

    wiring: Wiring

    def __call__(self, months: int) -> Reconciled:
        """Mend what differs among what was written in the last months; 0: among everything."""
        return self.wiring.reconcile(months=months)


def resources(wiring: Wiring) -> dict[str, object]:
    """Declare each object by the name its users ask for; it is built when the first of them needs it."""
    s = wiring.settings
    makers: dict[str, Callable[[], object]] = {
        "ledger": lambda: wiring.ledger,
        "intake": lambda: wiring.intake,
        "intake_budget": lambda: IntakeBudget(s.intake_budget_s, s.intake_max_files),
        "arrivals": lambda: wiring.arrivals,
        "dispatcher": lambda: Dispatcher(wiring.ledger, recovery(wiring), wiring.limits),
        "leases": lambda: Leases(wiring.ledger, s.lease_s, s.retry_s, wiring.on_result),
        "reporter": lambda: Reporter(wiring.ledger, s.previews),
        "transcribe": lambda: wiring.transcribe,
        "write_note": lambda: wiring.write_note,
        "stale": lambda: wiring.stale_notes,
        "reprocess": lambda: wiring.reprocess,
        "retention": lambda: wiring.retention,
        "published_file": lambda: PublishedFile(place_of(s.catalogue_file), s.marts_file),
        "marts": lambda: wiring.marts,
        "publisher": lambda: wiring.publish,
        "eraser": lambda: eraser(wiring),
        "run_failure_webhook": lambda: RunFailureWebhook(s.run_failure_webhook),
        "growth": lambda: wiring.growth(wiring.compact),
        "reconciler": lambda: Reconciler(wiring),
    }
    return {name: _resource(make) for name, make in makers.items()}


def eraser(wiring: Wiring) -> Eraser:
    """Give what finishes erasures."""
    return Eraser(wiring, wiring.compact)


def recovery(wiring: Wiring) -> Recovery:
    """Give what finds dead runs and lost batches."""
    s = wiring.settings
    return Recovery(
        wiring.ledger,
        wiring.store,
        lease_s=s.lease_s,
        max_attempts=s.max_attempts,
        retry_after_s=s.retries,
    )


def _resource(make: Callable[[], object]) -> dg.ResourceDefinition:
    return dg.ResourceDefinition(lambda _: make())
