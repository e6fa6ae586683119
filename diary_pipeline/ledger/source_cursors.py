"""How far each source that is looked through bit by bit has been looked through, and what was seen on the way.

A source is a bucket's prefix. What its objects are is intake's business. The surprise: several workers may look through
one source at once; whoever finds that the cursor was moved meanwhile leaves it, and what was seen twice is one row.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.statements import insert_missing, now, upsert
from diary_pipeline.ledger.tables import seen_files
from diary_pipeline.ledger.tables_jobs import source_cursors

BEGIN = ""
"""Before everything: where each round begins."""


@dataclass(frozen=True)
class Cursor:
    """Where to go on."""

    at: str
    """What was looked at last; BEGIN: nothing of this round."""
    rested_s: float
    """Seconds since it was moved."""


@dataclass(frozen=True)
class SeenObject:
    """An object of which there is a submission."""

    size_bytes: int
    generation: int
    submission_id: str


def cursors(conn: sa.Connection, sources: list[str]) -> dict[str, Cursor]:
    """Return where to go on, the longest unmoved source first; a new one rests for ever."""
    at = now(conn)
    t = source_cursors.c
    known = conn.execute(sa.select(t.source, t.cursor, t.moved_at).where(t.source.in_(sources))).tuples()
    found = {source: Cursor(cursor, at - moved) for source, cursor, moved in known}
    everything = {source: found.get(source, Cursor(BEGIN, float("inf"))) for source in sources}
    return dict(sorted(everything.items(), key=lambda item: -item[1].rested_s))


def advance(ledger: Ledger, source: str, *, was: str, to: str, owner: str, seen: Mapping[str, SeenObject]) -> None:
    """Remember objects by address, and move the cursor unless somebody else has moved it since `was`."""

    def move(tx: sa.Connection) -> None:
        for place, object in sorted(seen.items()):
            looks = {"size_bytes": object.size_bytes, "mtime_ns": object.generation}
            upsert(tx, seen_files, {"owner": owner, "path": place, **looks, "submission_id": object.submission_id})
        row = {"source": source, "cursor": to, "moved_at": now(tx)}
        if not insert_missing(tx, source_cursors, row):
            mine = (source_cursors.c.source == source) & (source_cursors.c.cursor == was)
            tx.execute(source_cursors.update().where(mine).values(**row))

    ledger.write(move)
