"""What a look at the stores found, and how far the look may go."""

import time
from dataclasses import dataclass
from typing import Literal

from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.storage.store import ObjectStore

Difference = Literal[
    "replaced_object",
    "orphan_object",
    "missing_object",
    "published_row",
    "orphan_audio",
    "missing_audio",
    "orphan_upload",
]
State = Literal["mended", "to_mend", "noted", "left"]
"""`to_mend`: a dry run. `noted`: nothing needs it now. `left`: somebody has to do something."""


@dataclass(frozen=True)
class Finding:
    """One difference, and what became of it."""

    difference: Difference
    subject: str
    """An object's id or key, a recording key or a submission id."""
    state: State
    detail: str


@dataclass(frozen=True)
class Look:
    """Two stores, and how far to look into them."""

    ledger: Ledger
    store: ObjectStore
    since: float | None
    """Seconds since the epoch; what is older is not looked at. None: everything is."""
    orphan_age_s: float
    """What nobody knows of and is younger may still be committed."""
    limit: int
    """Findings of each kind; the rest is for the next look."""
    dry_run: bool
    most_lost: int
    """Lost objects that still count as an accident; more look like a store that is away."""
    refused_kept_s: float
    """The bytes of a refused upload can be tried again for so long."""
    restored_at: float | None
    """When a backup was put back: the ledger knows nothing of what was written before that and after the backup."""

    def is_before_restore(self, age_s: float) -> bool:
        """Tell whether what is so old was written before a backup was put back."""
        return self.restored_at is not None and time.time() - age_s < self.restored_at

    @property
    def mended(self) -> State:
        """What to call something that this look mends."""
        return "to_mend" if self.dry_run else "mended"
