"""Which bytes the refused uploads hold that are kept to be tried again: an erasure of the same ones takes them too.

Whether they are kept is uploads.py's rule. The surprise: a refused upload may have no row here. It was refused before
its bytes were read, or by a version that noted nothing; whoever needs to know reads it, once.
"""

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.statements import each, insert_missing
from diary_pipeline.ledger.tables import submissions
from diary_pipeline.ledger.tables_uploads import refused_uploads


def note(ledger: Ledger, id: str, owner: str, content_sha256: str) -> None:
    """Remember what a refused upload holds."""
    row = {"submission_id": id, "owner": owner, "content_sha256": content_sha256}
    ledger.write(lambda tx: insert_missing(tx, refused_uploads, row))


def of_bytes(conn: sa.Connection, contents: Collection[tuple[str, str]]) -> list[str]:
    """Return the refused uploads that hold these bytes of these people: pairs of owner and SHA-256."""
    r = refused_uploads.c
    rows = each(conn, sa.select(r.submission_id, r.owner, r.content_sha256), r.content_sha256, {c for _, c in contents})
    return [row.submission_id for row in rows if (row.owner, row.content_sha256) in contents]


def unread(conn: sa.Connection, ids: Sequence[str], owners: Collection[str]) -> list[tuple[str, str]]:
    """Return those of these uploads of these people that were refused and never noted, with their owner."""
    s = submissions.c
    noted = sa.exists().where(refused_uploads.c.submission_id == s.id)
    rows = each(conn, sa.select(s.id, s.owner, s.status).where(~noted), s.id, ids)
    return [(row.id, row.owner) for row in rows if row.status == "refused" and row.owner in owners]


def forget(tx: sa.Connection, ids: Collection[str]) -> None:
    """Forget uploads whose bytes go."""
    each(tx, refused_uploads.delete(), refused_uploads.c.submission_id, ids)
