"""Objects of the log against the ledger: bytes that nobody points to, and pointers to nothing.

What surprises: objects are listed before the ledger is asked. An object that is committed in between is then known and
not listed, and one look into the store tells it from a lost one; the other way round it would be taken for an orphan.
"""

import datetime as dt
import time
from collections.abc import Iterator, Sequence
from itertools import groupby, islice

from diary_pipeline.catalogue.log_object import write_object
from diary_pipeline.catalogue.rewrite import remove_replaced
from diary_pipeline.catalogue.rows import arrow_tables, refusal_row
from diary_pipeline.core.errors import NotFound
from diary_pipeline.ledger import log_objects, mending, submissions
from diary_pipeline.ledger.log_objects import LogObject, NewObject
from diary_pipeline.storage.keys import CATALOGUE, catalogue_object_id, month_of
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
    """Remove objects that nobody committed, and have made again what lost ones held."""
    orphans, lost = 0, 0
    for month, listed in _listed(look):
        with look.ledger.reading() as conn:
            committed = set(log_objects.of_month(conn, month))
            known = committed | set(log_objects.replaced(conn))
        for object_id in islice(sorted(listed - known), look.limit - orphans):
            if found := _orphan(look, object_id):
                orphans += 1
                yield found
        gone = (i for i in sorted(committed - listed) if not look.store.exists(i))
        for object_id in islice(gone, look.limit - lost):
            lost += 1
            yield from _lost(look, object_id)


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
    if not look.dry_run:
        with look.ledger.reading() as conn:
            if log_objects.commit_of(conn, object_id) is not None:
                return None
        look.store.delete(object_id)
    return Finding("orphan_object", object_id, look.mended, f"written {age_s / 3600:.0f} h ago and never committed")


def _lost(look: Look, object_id: str) -> Iterator[Finding]:
    with look.ledger.reading() as conn:
        commit = log_objects.commit_of(conn, object_id)
    if commit is None:  # replaced since we looked
        return
    if commit.kind == "correction":
        told = "corrections are only there: restore the object from a backup"
        yield Finding("missing_object", object_id, "left", told)
    elif look.dry_run:
        yield Finding("missing_object", object_id, "to_mend", f"what the {commit.kind} commit held is to be made again")
    elif commit.kind == "outcome":
        yield Finding("missing_object", object_id, "mended", f"{_told_again(look, commit)} refusals written again")
    else:
        planned = mending.plan_lost(look.ledger, object_id)
        told = f"planned again: {planned.transcripts} transcripts, {planned.notes} notes"
        yield Finding("missing_object", object_id, "mended", told)


def _told_again(look: Look, commit: LogObject) -> int:
    """Write the refusals of a lost object anew: the ledger holds all there is to tell of them."""
    with look.ledger.reading() as conn:
        held = log_objects.holdings(conn, [commit.object_id])
        refused = submissions.get(conn, [h.subject for h in held])
    there = {s.id for s in refused}
    new: list[NewObject] = []
    if refused:
        object_id = catalogue_object_id(commit.kind)
        size = write_object(look.store, object_id, arrow_tables([{"recordings": [refusal_row(s) for s in refused]}]))
        new = [NewObject(object_id, size, [h for h in held if h.subject in there])]
    if not log_objects.replace(look.ledger, [commit.object_id], held, new):
        for n in new:
            look.store.delete(n.object_id)
        return 0
    remove_replaced(look.ledger, look.store)
    return len(refused)
