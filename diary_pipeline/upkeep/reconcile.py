"""Reconciling the stores of a diary: what crashes, lost disks and mistakes left different is found, and mended.

Where to look and what mends it stands in differences/, one file for each pair of stores. Whether Dagster's partitions
are those of the ledger is for defs to see.

What surprises: nothing here waits for quiet. Every mending is one transaction or one delete that a writer, a publisher
or another reconciler may meet at any point, and a second look finds nothing left of what the first has mended.
"""

import datetime as dt
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.identity import identity_of
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.store import ObjectStore
from diary_pipeline.upkeep.belonging import demand_own_store
from diary_pipeline.upkeep.differences import audio, objects, rows, uploads
from diary_pipeline.upkeep.differences.finding import Finding, Look

logger = log("upkeep.reconcile")

LIMIT = 1000
"""Findings of each kind in one call: what many thousands have in common is not mended one by one."""
ORPHAN_AGE_S = 6 * 3600.0
"""An object is committed seconds after it was written, or never; a copy of a file is accepted minutes after it."""
MOST_LOST = 5
"""Objects that an accident takes at once; when more are missing, somebody has to say that they are really lost."""


@dataclass(frozen=True)
class Reconciled:
    """What was found."""

    findings: tuple[Finding, ...]
    seconds: float

    @property
    def left(self) -> tuple[Finding, ...]:
        """What somebody has to see to."""
        return tuple(f for f in self.findings if f.state == "left")

    @property
    def urgent(self) -> tuple[Finding, ...]:
        """What is left and must not wait: not the bytes that are only kept, which are there next month too."""
        return tuple(f for f in self.left if f.difference not in ("orphan_object", "orphan_audio", "orphan_upload"))

    @property
    def counts(self) -> Mapping[str, int]:
        """How many findings there are of each kind and state."""
        return Counter(f"{f.difference} {f.state}" for f in self.findings)


def reconcile(
    ledger: Ledger,
    store: ObjectStore,
    live: Path,
    *,
    refused_kept_s: float,
    months: int = 0,
    limit: int = LIMIT,
    orphan_age_s: float = ORPHAN_AGE_S,
    dry_run: bool = False,
    most_lost: int = MOST_LOST,
) -> Reconciled:
    """Compare objects, ledger, the published file, audio and uploads, and mend what can be mended.

    `refused_kept_s`: the bytes of a refused upload can be tried again for so long. `months`: look at what was written
    in the last so many months, this one included; 0: at everything. More than `most_lost` objects that are missing at
    once are left alone. ServiceMissing `store_away` or `store_not_ours` when objects and ledger are not of one diary.
    """
    started = time.perf_counter()
    demand_own_store(ledger, store)
    with ledger.reading() as conn:
        restored_at = identity_of(conn).restored_at
    since = _start_of(months) if months else None
    look = Look(ledger, store, since, orphan_age_s, limit, dry_run, most_lost, refused_kept_s, restored_at)
    found = (
        *objects.replaced(look),
        *objects.unknown_and_lost(look),
        *rows.unlike(look, live),
        *audio.without_each_other(look),
        *uploads.unwanted(look),
    )
    done = Reconciled(found, time.perf_counter() - started)
    if found:
        logger.info("reconciled", seconds=round(done.seconds, 3), dry_run=dry_run, **_fields(done.counts))
    return done


def _start_of(months: int) -> float:
    today = dt.datetime.now(dt.UTC)
    number = today.year * 12 + today.month - months
    return dt.datetime(number // 12, number % 12 + 1, 1, tzinfo=dt.UTC).timestamp()


def _fields(counts: Mapping[str, int]) -> dict[str, int]:
    return {name.replace(" ", "_"): count for name, count in counts.items()}
