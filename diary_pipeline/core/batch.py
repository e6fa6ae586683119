"""A batch: the recordings one run carries; and the report a stage gives back, one result for each of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from diary_pipeline.core.errors import UsageError

Stage = Literal["transcript", "note"]
Status = Literal[
    "pending", "transcribing", "generating_notes", "completed", "degraded", "failed", "cancelled", "refused"
]
ENDED: frozenset[str] = frozenset({"completed", "degraded", "failed", "cancelled", "refused"})
UNWELL: frozenset[str] = frozenset({"failed", "refused"})
"""Ended without what was asked for: what the quarantine holds, and why a command ends with exit code 1."""
PRIORITIES: Mapping[str, int] = {"urgent": 3, "high": 2, "medium": 1, "low": 0}


def priority_rank(name: str) -> int:
    """Give the number that a priority sorts by; the highest goes first."""
    if name not in PRIORITIES:
        raise UsageError("priority_unknown", f"There is no priority {name!r}; use one of {', '.join(PRIORITIES)}.")
    return PRIORITIES[name]


@dataclass(frozen=True)
class Lease:
    """The right to commit one stage of one recording, until somebody claims it with a higher epoch."""

    key: str
    epoch: int
    holder: str


@dataclass(frozen=True)
class Batch:
    """Claimed work: what this run may do (`leases`), and what it must leave alone for one reason or another."""

    id: str
    stage: Stage
    leases: tuple[Lease, ...]
    held: tuple[str, ...] = ()
    """Another live run does them."""
    settled: tuple[str, ...] = ()
    """Done already, or carried by another batch by now."""
    unknown: tuple[str, ...] = ()
    """Asked for by hand, and not in the ledger."""

    @property
    def skipped(self) -> tuple[str, ...]:
        """Recordings that this run does not do and need not."""
        return tuple(sorted((*self.held, *self.settled)))


@dataclass(frozen=True)
class Check:
    """A single claim about published data that can be false."""

    name: str
    passed: bool
    severity: Literal["ERROR", "WARN"] = "ERROR"
    detail: str = ""
    """Numbers and codes only, never diary text."""


@dataclass(frozen=True)
class Result:
    """What a stage did with one recording."""

    key: str
    outcome: Literal["committed", "found", "failed", "skipped"]
    """`found`: the wanted version was there already. `skipped`: another live run holds it, or it was fenced."""
    code: str | None = None
    message: str = ""
    metadata: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    preview: str = ""
    """Markdown for people; not written to logs."""
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class StageReport:
    """One result for each recording of a batch, and the commit that holds the good ones (0: nothing new)."""

    stage: Stage
    results: tuple[Result, ...]
    commit_seq: int = 0

    @property
    def good(self) -> tuple[Result, ...]:
        """Committed now or found committed: what may be shown as materialised."""
        return tuple(r for r in self.results if r.outcome in ("committed", "found"))

    @property
    def failed(self) -> tuple[Result, ...]:
        """What went wrong, each with its code."""
        return tuple(r for r in self.results if r.outcome == "failed")
