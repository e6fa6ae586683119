"""Rows of the published file against the ledger's pointers.

What surprises: most differences are none. What moved after the file's watermark is folded by the next publish, and
what is being made again because its object is lost keeps its old rows until then. So numbers are compared first, rows
only when the numbers differ, and each row that differs once more with its pointer of this moment.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from diary_pipeline.catalogue.folded import HELD, Folded, Unlike, open_folded
from diary_pipeline.ledger import mending
from diary_pipeline.ledger.pointers import PointerKind, pointer
from diary_pipeline.upkeep.differences.finding import Finding, Look


def unlike(look: Look, live: Path) -> Iterator[Finding]:
    """Have the subjects folded again whose published rows are not those that their pointers name."""
    with open_folded(live) as folded:
        if folded is None:
            return
        for kind in HELD:
            differing = list(islice(_differing(look, folded, kind), look.limit))
            if differing and not look.dry_run:
                mending.fold_again(look.ledger, {u.subject: (kind, u.owner or "") for u in differing})
            for u in differing:
                told = "its rows follow no pointer" if u.owner else "its rows are missing"
                yield Finding("published_row", u.subject, look.mended, f"{kind}: {told}; folded again")


def _differing(look: Look, folded: Folded, kind: PointerKind) -> Iterator[Unlike]:
    with look.ledger.reading() as conn:
        first = 0 if look.since is None else mending.first_seq_since(conn, look.since)
        if mending.sum_current(conn, kind, first, folded.watermark) == folded.summed(kind, first):
            return
        expected = mending.current(conn, kind, first, folded.watermark)
    for u in folded.unlike(kind, first, expected):
        with look.ledger.reading() as conn:
            now, put_right = pointer(conn, u.subject, kind), pointer(conn, u.subject, "correction")
        moved = any(p is not None and p.seq > folded.watermark for p in (now, put_right))
        is_made_again = now is not None and now.object_id is None and now.version is not None
        if not (moved or is_made_again):
            yield u
