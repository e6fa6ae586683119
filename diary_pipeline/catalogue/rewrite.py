"""Rewriting objects of the log so that nothing of some recordings is left in them: the part of erasure that is ours.

Hiding them comes first and is upkeep's business; the published file is the publisher's.

What surprises: an object is never changed. Another one takes its place, and only then do the bytes of the old one go.
A crash at any point leaves bytes too many, which the next call or the reconciler removes, and never a pointer to
nothing.
"""

from collections.abc import Set
from dataclasses import dataclass

from diary_pipeline.catalogue.log_object import read_object, rows_of, write_object
from diary_pipeline.core.errors import NotFound, PermanentError
from diary_pipeline.ledger import log_objects
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.log_objects import NewObject
from diary_pipeline.storage.keys import catalogue_object_id
from diary_pipeline.storage.store import ObjectStore


@dataclass(frozen=True)
class Rewritten:
    """What was replaced."""

    objects: int = 0
    rows: int = 0
    """Taken out."""
    bytes_before: int = 0
    bytes_after: int = 0

    def __add__(self, other: "Rewritten") -> "Rewritten":
        return Rewritten(
            self.objects + other.objects,
            self.rows + other.rows,
            self.bytes_before + other.bytes_before,
            self.bytes_after + other.bytes_after,
        )


def rewrite_without(ledger: Ledger, store: ObjectStore, subjects: Set[str]) -> Rewritten:
    """Replace every object that ever held rows of these subjects by one without them, and forget that it did.

    Subjects are recording keys, and submission ids of refusals. They must be hidden before: PermanentError
    `subject_current` when one is still pointed to. Calling it again goes on where a crash stopped it.
    """
    done = Rewritten()
    remove_replaced(ledger, store)
    while ids := _holding(ledger, subjects):
        for object_id in ids:
            done += _rewrite(ledger, store, object_id, subjects)
        remove_replaced(ledger, store)
    return done


def remove_replaced(ledger: Ledger, store: ObjectStore) -> int:
    """Delete the objects that others have taken the place of and return how many."""
    with ledger.reading() as conn:
        ids = log_objects.replaced(conn)
    for object_id in ids:
        store.delete(object_id)
    log_objects.forget_replaced(ledger, ids)
    return len(ids)


def _holding(ledger: Ledger, subjects: Set[str]) -> list[str]:
    with ledger.reading() as conn:
        if log_objects.current_of(conn, subjects):
            raise PermanentError(
                "subject_current", "What is to be taken out of the log is still current: hide it first, then try again."
            )
        return log_objects.objects_of(conn, subjects)


def _rewrite(ledger: Ledger, store: ObjectStore, object_id: str, subjects: Set[str]) -> Rewritten:
    with ledger.reading() as conn:
        commit, held = log_objects.commit_of(conn, object_id), log_objects.holdings(conn, [object_id])
    if commit is None:  # a merge was faster; the next look finds what it wrote
        return Rewritten()
    try:
        before = read_object(store, object_id)
    except (NotFound, FileNotFoundError):
        # A merge was faster here too, or the bytes are lost: nothing of the subjects is left in them.
        log_objects.forget(ledger, object_id, subjects)
        return Rewritten()
    kept = [h for h in held if h.subject not in subjects]
    new, left = [], 0
    if kept:
        after, new_id = rows_of(before, commit.kind, kept), catalogue_object_id(commit.kind)
        new.append(NewObject(new_id, write_object(store, new_id, after), kept))
        left = sum(map(len, after.values()))
    if not log_objects.replace(ledger, [object_id], held, new):
        for n in new:
            store.delete(n.object_id)
        return Rewritten()
    return Rewritten(1, sum(map(len, before.values())) - left, commit.size_bytes, sum(n.size_bytes for n in new))
