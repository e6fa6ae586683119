"""Objects of the log against the ledger: bytes that nobody points to go here; pointers to nothing are lost.py's.

What surprises: objects are listed before the ledger is asked. An object that is committed in between is then known and
not listed, and one look into the store tells it from a lost one; the other way round it would be taken for an orphan.
"""

import datetime as dt
import time
from collections.abc import Iterator, Sequence
from itertools import groupby, islice

from diary_pipeline.catalogue.rewrite import remove_replaced
from diary_pipeline.core.errors import NotFound
from diary_pipeline.ledger import log_objects
from diary_pipeline.storage.keys import CATALOGUE, month_of
from diary_pipeline.upkeep.differences import lost
from diary_pipeline.upkeep.differences.finding import Finding, Look


def replaced(look: Look) -> Iterator[Finding]:
    """Remove the objects whose place others have taken, and whose remover died."""
    with look.ledger.reading() as conn:
        ids = log_objects.replaced(conn)
    if not look.dry_run:
        remove_replaced(look.ledger, look.store)
    for object_id in ids:
        yield Finding("replaced_object", object_id, look.mended, "another has taken its place; its bytes are removed")


def unknown_and_lost(look: Look) -> Iterator[Finding]:
    """Remove objects that nobody committed, and see to what lost ones held, when all that are lost are known."""
    orphans, gone = 0, list[str]()
    for month, listed in _listed(look):
        with look.ledger.reading() as conn:
            committed = set(log_objects.of_month(conn, month))
            known = committed | set(log_objects.replaced(conn))
        for object_id in islice(sorted(listed - known), look.limit - orphans):
            if found := _orphan(look, object_id):
                orphans += 1
                yield found
        absent = (i for i in sorted(committed - listed) if not look.store.exists(i))
        gone += islice(absent, look.limit - len(gone))
    yield from lost.mended(look, gone)
    yield from lost.back_again(look)


def _listed(look: Look) -> Iterator[tuple[str, set[str]]]:
    """Yield each month, as the keys of its objects begin, with the ids of the objects that are there."""
    months: Sequence[str]
    if look.since is not None:
        months = _months(look.since)
        for month in months:
            yield month, {key.rpartition("/")[0] for key in look.store.list(month)}
        return
    with look.ledger.reading() as conn:
        left = {month_of(i) for i in log_objects.of_month(conn, CATALOGUE)}
    for month, keys in groupby(look.store.list(CATALOGUE), key=month_of):
        left.discard(month)
        yield month, {key.rpartition("/")[0] for key in keys}
    for month in sorted(left):
        yield month, set()


def _months(since: float) -> list[str]:
    first, last = dt.datetime.fromtimestamp(since, dt.UTC), dt.datetime.now(dt.UTC)
    count = (last.year - first.year) * 12 + last.month - first.month
    numbers = [first.year * 12 + first.month - 1 + n for n in range(count + 1)]
    return [f"{CATALOGUE}{n // 12:04d}{n % 12 + 1:02d}/" for n in numbers]


def _orphan(look: Look, object_id: str) -> Finding | None:
    try:
        age_s = time.time() - look.store.written_at(object_id)
    except NotFound:  # its writer took it back
        return None
    if age_s < look.orphan_age_s:
        return None
    if look.is_before_restore(age_s):
        told = "committed after the backup was taken that was put back; hand its recordings in again, then remove it"
        return Finding("orphan_object", object_id, "left", told)
    if not look.dry_run:
        with look.ledger.reading() as conn:
            if log_objects.commit_of(conn, object_id) is not None:
                return None
        look.store.delete(object_id)
    return Finding("orphan_object", object_id, look.mended, f"written {age_s / 3600:.0f} h ago and never committed")
