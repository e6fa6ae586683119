"""Finishing erasures: what was hidden goes from every place where its bytes lie, and a receipt says so.

The request and the hiding are one ledger transaction (ledger/erasures.py) and happened before. What each place does is
places.py's business.

What surprises: there is no list of steps done. Every place is emptied again by whoever comes after a kill, the ledger's
own rows, which lead to the bytes, go last, and all erasures that wait go together, because rewriting the catalogue
costs the same for one recording as for a thousand. What there is of them is counted together too, for the same reason.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from diary_pipeline.core.errors import TransientError
from diary_pipeline.core.seal import Seal
from diary_pipeline.ledger import erasures, tombstones
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.erasures import Erasure, Subject
from diary_pipeline.ledger.statements import now
from diary_pipeline.ledger.vacuum import vacuum
from diary_pipeline.observability.logs import log
from diary_pipeline.upkeep.partitions import Partitions
from diary_pipeline.upkeep.places import INCOMPLETE, DagsterStorage, Place, named
from diary_pipeline.upkeep.receipts import Receipt, keep_receipt, write_receipt

logger = log(__name__)


@dataclass(frozen=True)
class Erased:
    """What one pass did."""

    receipts: Sequence[Receipt]
    waiting: int
    """Erasures left for a later pass: somebody is at work on what they are about."""


@dataclass(frozen=True)
class Erase:
    """Finishes the erasures of one deployment."""

    ledger: Ledger
    seal: Seal
    partitions: Partitions
    places: Sequence[Place]
    """In the order in which they are emptied; Dagster's storage comes after them."""
    receipts: Path
    """Folder of receipts as files."""
    remains: Callable[[], Sequence[str]]
    """Says for the receipts what stays, once every place is empty."""

    def __call__(self) -> Erased:
        """Finish every erasure that nobody's work stands in the way of.

        TransientError `erasure_incomplete` when a place is not empty afterwards; the next pass goes on.
        """
        ready, waiting = self._ready()
        about = {e.id: s for e in ready if (s := self._subjects(e))}
        gone = [s for subjects in about.values() for s in subjects]
        if gone:
            erasures.note_found(self.ledger, list(about), {p.name: p.count(gone) for p in self._everywhere})
        self._empty(gone)
        for id in about:
            erasures.clear(self.ledger, id)
        if ready:
            vacuum(self.ledger)
        return Erased([receipt for e in ready if (receipt := self._finish(e.id))], waiting)

    def preview(self, subjects: Sequence[Subject]) -> dict[str, dict[str, int]]:
        """Count by place what would go."""
        return {p.name: dict(p.count(subjects)) for p in self._everywhere}

    @property
    def _everywhere(self) -> Sequence[Place]:
        return (*self.places, DagsterStorage(self.partitions))

    def _ready(self) -> tuple[list[Erasure], int]:
        with self.ledger.reading() as conn:
            asked = erasures.unfinished(conn)
            ready = [e for e in asked if not erasures.at_work(conn, e)]
        about = {e.id: self._subjects(e) for e in ready}
        # A run that waits in Dagster's queue has no lease yet, and would fail without the partition it is tagged with.
        if self.partitions.unfinished_runs(named([s for subjects in about.values() for s in subjects])):
            ready = [e for e in ready if not self.partitions.unfinished_runs(named(about[e.id]))]
        return ready, len(asked) - len(ready)

    def _subjects(self, erasure: Erasure) -> list[Subject]:
        with self.ledger.reading() as conn:
            return erasures.subjects_of(conn, erasure.id)

    def _empty(self, gone: Sequence[Subject]) -> None:
        if not gone:
            return
        held: TransientError | None = None
        for place in self._everywhere:
            try:
                place.remove(gone)
            except TransientError as error:
                if error.code != INCOMPLETE:
                    raise
                held = error  # the others go all the same
            else:
                logger.info("erased_from", place=place.name)
        if held is not None:
            raise held
        if left := [p.name for p in self._everywhere if any(p.count(gone).values())]:
            raise TransientError(
                INCOMPLETE,
                f"Something that is to be erased is still, or again, in {', '.join(left)}; the next run removes it.",
            )

    def _finish(self, id: str) -> Receipt | None:
        with self.ledger.reading() as conn:
            erasure, at, stones = erasures.get(conn, id), now(conn), tombstones.of(conn, id)
        if erasure is None or erasure.removed_at is not None:  # another process was at the same, and faster
            return None
        receipt = write_receipt(self.seal, erasure, at, stones, self.remains())
        keep_receipt(self.receipts, receipt)
        erasures.finish(self.ledger, id, receipt, at)
        logger.info("erasure_finished", erasure=id)
        return receipt
