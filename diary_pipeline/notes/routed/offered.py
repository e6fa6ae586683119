"""What became of the entries of one answer: how many a model offered, and why the rest is not in the note.

Counted again from the kept answer, by the functions that made the note of it, so that nothing more has to be stored.
What surprises: most of what is lost was no lie. Small models name one sentence in several fields.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from diary_pipeline.notes.routed.acceptance import REPEATED, assembled_of, draft_of, item_faults_of
from diary_pipeline.notes.routed.work import Work

FIELDS = ("events", "reflections", "actions", "people", "places")
"""What both shapes of a draft ask for."""


@dataclass(frozen=True)
class Offered:
    """The entries of an answer."""

    entries: int
    dropped: Mapping[str, int]
    """By the code of the first fault; REPEATED are also those that the rules found without the model."""

    @property
    def published(self) -> int:
        """How many came through."""
        return self.entries - sum(self.dropped.values())


def offered(answer: str, work: Work, *, prose: bool) -> Offered:
    """Count them; Rejected where the answer is no draft at all."""
    draft = draft_of(answer, work, prose=prose)
    assembled = assembled_of(draft, work)
    entries = sum(len(getattr(draft, field)) for field in FIELDS)
    became = {item_id for item_id, place in assembled.places.items() if place.field in FIELDS}
    lost = [lost.code for lost in assembled.lost if lost.place.field in FIELDS]
    first = dict(reversed(item_faults_of(assembled, work)))
    dropped = Counter([*lost, *(code for item_id, code in first.items() if item_id in became)])
    dropped[REPEATED] += entries - len(became) - len(lost)
    return Offered(entries, {code: count for code, count in dropped.most_common() if count})
