"""Merging the log's small objects, month by month, so that a rebuild opens hundreds of files and not a million.

The transaction that lets one object take the place of many is the ledger's (log_objects.py).

What surprises: this is also where old versions end. Of each subject the current version stays, and the one before it,
which a rollback points back to; whatever lies further back is let go, and its text with it. And because an object
holds a subject at most once, the versions before go into an object of their own.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from diary_pipeline.catalogue.log_object import Tables, read_object, rows_of, write_object
from diary_pipeline.catalogue.rewrite import remove_replaced
from diary_pipeline.core.errors import NotFound
from diary_pipeline.ledger import log_objects
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.log_objects import Holding, LogObject, NewObject
from diary_pipeline.ledger.pointers import PointerKind
from diary_pipeline.ledger.statements import now
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.keys import catalogue_object_id
from diary_pipeline.storage.store import ObjectStore

logger = log("catalogue.merge")

AT_LEAST = 8
"""Objects of one kind and month: fewer are not worth writing their rows again."""
MOST_BYTES = 32_000_000
"""Of compressed objects in one merge, which is done in memory. What is larger than an eighth of it is left alone, so
that no row is written again every day."""

Place = tuple[str, PointerKind, str]
"""Subject, kind and object: where one version of something lies."""


@dataclass(frozen=True)
class Merged:
    """What was merged."""

    objects: int = 0
    into: int = 0
    forgotten: int = 0
    """Versions that no rollback can reach any more."""
    bytes_before: int = 0
    bytes_after: int = 0

    def __add__(self, other: "Merged") -> "Merged":
        return Merged(
            self.objects + other.objects,
            self.into + other.into,
            self.forgotten + other.forgotten,
            self.bytes_before + other.bytes_before,
            self.bytes_after + other.bytes_after,
        )


def merge(
    ledger: Ledger, store: ObjectStore, *, older_than_s: float, at_least: int = AT_LEAST, most_bytes: int = MOST_BYTES
) -> Merged:
    """Merge objects of one kind and month that are older than the time in which versions may be rolled back, seconds.

    Safe beside writers, erasure and a publisher: what moved meanwhile is left for the next call.
    """
    remove_replaced(ledger, store)
    with ledger.reading() as conn:
        small = log_objects.mergeable(conn, now(conn) - older_than_s, most_bytes // at_least)
    done = Merged()
    for group in _groups(small, at_least, most_bytes):
        done += _merge(ledger, store, group)
        remove_replaced(ledger, store)
    return done


def kept(history: Iterable[Holding], current: Iterable[tuple[str, PointerKind]]) -> set[Place]:
    """Return the places that a pointer or a rollback may need: of each subject and kind the current and previous one.

    An outcome tells how a version ended, so those that came with a kept version stay too.
    """
    live = set(current)
    by_subject: dict[str, list[Holding]] = defaultdict(list)
    for h in sorted(history, key=lambda h: -h.seq):
        if (h.subject, h.kind) in live:
            by_subject[h.subject].append(h)
    places: set[Place] = set()
    for rows in by_subject.values():
        versions: list[Holding] = []
        for kind in {h.kind for h in rows} - {"outcome"}:
            mine = [h for h in rows if h.kind == kind]
            versions += [mine[0], *[h for h in mine if h.version != mine[0].version][:1]]
        outcomes = [h for h in rows if h.kind == "outcome"]
        others = [h for h in outcomes if h.object_id != outcomes[0].object_id]
        seqs = {h.seq for h in versions}
        told = [*outcomes[:1], *others[:1], *(h for h in outcomes if h.seq in seqs)]
        places |= {(h.subject, h.kind, h.object_id) for h in (*versions, *told)}
    return places


def generations(held: Iterable[Holding], places: set[Place]) -> list[list[Holding]]:
    """Share out what is kept of some objects so that no two versions of one subject and kind meet, current ones first.

    What nobody can reach is left out.
    """
    shared: list[list[Holding]] = []
    number: dict[Place, int] = {}
    count: dict[tuple[str, PointerKind], int] = defaultdict(int)
    for h in sorted(held, key=lambda h: -h.seq):
        place = (h.subject, h.kind, h.object_id)
        if place not in places:
            continue
        if place not in number:
            number[place] = count[h.subject, h.kind]
            count[h.subject, h.kind] += 1
        while len(shared) <= number[place]:
            shared.append([])
        shared[number[place]].append(h)
    return shared


def _groups(small: Iterable[LogObject], at_least: int, most_bytes: int) -> Iterator[list[LogObject]]:
    alike: dict[tuple[PointerKind, str], list[LogObject]] = defaultdict(list)
    for o in small:
        alike[o.kind, f"{dt.datetime.fromtimestamp(o.committed_at, dt.UTC):%Y%m}"].append(o)
    for of_month in alike.values():
        group: list[LogObject] = []
        for o in of_month:
            if sum(g.size_bytes for g in group) + o.size_bytes > most_bytes:  # there are at_least by then
                yield group
                group = []
            group.append(o)
        if len(group) >= at_least:
            yield group


def _merge(ledger: Ledger, store: ObjectStore, group: Sequence[LogObject]) -> Merged:
    ids, kind = [o.object_id for o in group], group[0].kind
    with ledger.reading() as conn:
        held = log_objects.holdings(conn, ids)
        subjects = {h.subject for h in held}
        places = kept(log_objects.history_of(conn, subjects), log_objects.current_of(conn, subjects))
    shared = generations(held, places)
    new: list[NewObject] = []
    try:
        for tables, holds in zip(_gathered(store, ids, kind, shared), shared, strict=True):
            object_id = catalogue_object_id(kind)
            new.append(NewObject(object_id, write_object(store, object_id, tables), holds))
        moved = not log_objects.replace(ledger, ids, held, new)
    except (NotFound, FileNotFoundError):  # replaced meanwhile, or lost: then the reconciler tells
        moved = True
    if moved:
        logger.info("merge_left", kind=kind, objects=len(ids))
        for n in new:
            store.delete(n.object_id)
        return Merged()
    forgotten = len({(h.subject, h.kind, h.object_id) for h in held} - places)
    return Merged(len(ids), len(new), forgotten, sum(o.size_bytes for o in group), sum(n.size_bytes for n in new))


def _gathered(
    store: ObjectStore, ids: Sequence[str], kind: PointerKind, shared: Sequence[Sequence[Holding]]
) -> list[Tables]:
    """Return the rows of each generation, in the order of their recordings, opening each object once."""
    pieces: list[dict[str, list[pa.Table]]] = [defaultdict(list) for _ in shared]
    for object_id in ids:
        tables = read_object(store, object_id)
        for piece, holds in zip(pieces, shared, strict=True):
            if mine := [h for h in holds if h.object_id == object_id]:
                for name, table in rows_of(tables, kind, mine).items():
                    piece[name].append(table)
    return [{name: _sorted(some) for name, some in piece.items()} for piece in pieces]


def _sorted(some: Sequence[pa.Table]) -> pa.Table:
    # A table of an older schema lacks columns; they become NULL, as the fold reads them. The sort is stable.
    return pa.concat_tables(some, promote_options="default").sort_by("recording_key")
