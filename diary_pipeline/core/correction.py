"""What an owner has put right in a recording's transcript or note. The machine's words stay beside it.

A correction names its place by what survives when the work is done anew: the seconds, and the machine's words there.
Where it falls in a newer transcript or note is overlay.py's business. The surprise: its id is made of that place, so
that correcting the same place again replaces the correction, and doing the same twice changes nothing.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from diary_pipeline.core.note import ItemKind

Target = Literal["segment", "item", "removed_item", "title", "note_date"]
EDITED = "edited"
"""What a note counts as made with once its owner has corrected what was said in it: it is to be made again."""


@dataclass(frozen=True)
class Correction:
    """One thing put right."""

    target: Target
    text: str
    """As it should be; an ISO date for `note_date`, empty for `removed_item`, and for a segment nobody spoke."""
    machine_text: str
    """What the machine had there; empty for an inaudible segment."""
    made_at: dt.datetime
    """Aware, UTC."""
    made_by: str
    start_s: float | None = None
    end_s: float | None = None
    """Seconds of the segment, or of the item's evidence."""
    kind: ItemKind | None = None
    """Of the item."""

    @property
    def id(self) -> str:
        """Give 12 hex that stand for the place: one place, one correction."""
        where: list[object] = [self.target.removeprefix("removed_")]
        if self.start_s is not None:
            where += [self.kind, round(self.start_s, 2), round(self.end_s or 0.0, 2), self.machine_text]
        return hashlib.sha256(json.dumps(where).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Corrections:
    """Everything that is put right in one recording now."""

    made: tuple[Correction, ...] = ()
    version: str | None = None
    """Of the pointer in the ledger; None: nothing ever was corrected."""


def corrections_version(made: Iterable[Correction]) -> str:
    """Give 16 hex that change with what is put right; by whom and when is left out."""
    said = sorted([c.id, c.target, c.text] for c in made)
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]
