"""What a route's drafts of diaries with good notes are worth: how many are taken, and the notes that came of them.

The same writer, checks and budget as for a real diary. What surprises: answers are kept for the trial alone, so that
each trial asks anew, and nothing of it counts as the route's record.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from diary_pipeline.core.llm_call import Attempt, cost_of
from diary_pipeline.core.owner import Owner
from diary_pipeline.core.recording import RecordedAt, Recording
from diary_pipeline.notes.evidence.reference_notes import Reference
from diary_pipeline.notes.providers.exchange import REPAIRABLE
from diary_pipeline.notes.renderers.template import Templates
from diary_pipeline.notes.routed.notes import RoutedNotes, Wishes
from diary_pipeline.notes.routing.choosing import Policy
from diary_pipeline.notes.routing.memory import KeptAnswers, ProcessMemory, Purse
from diary_pipeline.notes.routing.route import Route
from diary_pipeline.notes.routing.router import Router
from diary_pipeline.notes.writer import ToWrite

NOON = dt.time(12, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Trial:
    """How the drafts of one route ended."""

    written: tuple[Reference, ...]
    """The diaries of which it gave a note, each with that note."""
    repaired: int
    """Of those: taken after the model was told what was wrong."""
    degraded: int
    """Diaries of which it gave none."""
    attempts: tuple[Attempt, ...]

    @property
    def accepted(self) -> int:
        """How many were taken as they came."""
        return len(self.written) - self.repaired

    @property
    def outcomes(self) -> Mapping[str, int]:
        """How the calls ended."""
        return Counter(attempt.outcome for attempt in self.attempts)

    @property
    def cost_usd(self) -> float | None:
        """What it took; None: the route has no price."""
        return cost_of(self.attempts)


def try_route(
    route: Route,
    references: Sequence[Reference],
    *,
    purse: Purse,
    policy: Policy,
    wishes: Wishes,
    templates: Templates,
    owner: str,
) -> Trial:
    """Have a route write the notes of diaries at the expense of `owner`; raise what keeps it from being asked."""
    memory, answers = ProcessMemory(), KeptAnswers()
    notes = RoutedNotes(
        [route],
        lambda _: Router([route], memory, lambda _owner, _key: answers, purse, policy),
        Owner,
        lambda _: templates,
        wishes,
    )
    found = dict(notes.write([ToWrite(_recording(r, owner), r.transcript) for r in references], "trial"))
    written: list[Reference] = []
    for reference in references:
        outcome = found[reference.key]
        if isinstance(outcome, Exception):
            raise outcome
        if not outcome.note.degraded:
            written.append(reference.with_note(outcome.note))
    told = {attempt.recording_key for attempt in memory.attempts if attempt.outcome in REPAIRABLE}
    repaired = sum(reference.key in told for reference in written)
    return Trial(tuple(written), repaired, len(references) - len(written), tuple(memory.attempts))


def _recording(reference: Reference, owner: str) -> Recording:
    at = dt.datetime.combine(reference.day, NOON)
    return Recording(
        key=reference.key,
        owner=owner,
        content_sha256=reference.transcript.version,
        file_name=reference.key,
        object_key="",
        size_bytes=0,
        container="",
        declared_s=reference.transcript.duration_s,
        recorded_at=RecordedAt(at, "UTC", "explicit", 1.0, reference.day),
        whisper_model="",
    )
