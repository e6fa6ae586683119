"""Quarantine: the recordings that did not become notes, with the stage, the reason and what to do; newest first.

Refused at the door or failed at a later stage look alike here. What the ledger makes of one that leaves is
ledger/quarantine_ends.py's business; here is what becomes of an upload's bytes then. The surprise: the cursor of the
next page is made of the last row shown, so that troubles that come in between move nothing.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from diary_pipeline.core.errors import NotFound, UsageError
from diary_pipeline.ledger import quarantine_ends
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.quarantine import Trouble, troubles
from diary_pipeline.ledger.quarantine_ends import TriedAgain
from diary_pipeline.storage.keys import upload_key
from diary_pipeline.storage.store import ObjectStore

PAGE = 500


@dataclass(frozen=True)
class Page:
    """Some of the quarantine, and where the next page begins (None: that was all)."""

    rows: tuple[Trouble, ...]
    next: str | None


def quarantine(ledger: Ledger, *, limit: int = 50, cursor: str | None = None, owner: str | None = None) -> Page:
    """List what was refused and what failed, of one owner or of all."""
    before = _read(cursor) if cursor else None
    with ledger.reading() as conn:
        found = troubles(conn, limit=limit + 1, before=before, owner=owner)
    rows = tuple(found[:limit])
    more = len(found) > limit and bool(rows)
    return Page(rows, f"{found[limit - 1].ended_at!r}~{found[limit - 1].id}" if more else None)


def every(ledger: Ledger, *, owner: str | None = None, code: str | None = None) -> Iterator[Trouble]:
    """Give all that is in quarantine, of one owner or with one code, page by page."""
    before = None
    while True:
        with ledger.reading() as conn:
            found = troubles(conn, limit=PAGE, before=before, owner=owner, code=code)
        yield from found
        if len(found) < PAGE:
            return
        before = (found[-1].ended_at, found[-1].id)


def retry(ledger: Ledger, store: ObjectStore, ids: Sequence[str], owner: str | None = None) -> list[TriedAgain]:
    """Have troubles tried again, see quarantine_ends; an upload whose bytes are gone is left out.

    Bytes come before rows, as everywhere: a kill in between leaves a copy that no job knows, which reconciling removes.
    """
    with ledger.reading() as conn:
        uploads = quarantine_ends.uploads_among(conn, ids, owner)
    new = {id: uuid.uuid4().hex for id in uploads}
    for id in uploads:
        try:
            store.put_file(upload_key(new[id]), store.path(upload_key(id)))
        except (NotFound, FileNotFoundError):
            del new[id]
    done = quarantine_ends.retry(ledger, ids, owner, new)
    went_on = {one.id for one in done}
    for old, id in new.items():
        store.delete(upload_key(old if old in went_on else id))
    return done


def drop(ledger: Ledger, store: ObjectStore, ids: Sequence[str], by: str, owner: str | None = None) -> list[str]:
    """Let troubles leave the view, see quarantine_ends, and an upload's bytes with them."""
    with ledger.reading() as conn:
        uploads = quarantine_ends.uploads_among(conn, ids, owner)
    dropped = quarantine_ends.drop(ledger, ids, by, owner)
    for id in set(uploads).intersection(dropped):
        store.delete(upload_key(id))
    return dropped


def _read(cursor: str) -> tuple[float, str]:
    at, sign, id = cursor.partition("~")
    if not sign:
        raise _no_cursor(cursor)
    try:
        return float(at), id
    except ValueError:
        raise _no_cursor(cursor) from None


def _no_cursor(cursor: str) -> UsageError:
    return UsageError("cursor_invalid", f"{cursor[:80]!r} is no cursor of the quarantine; begin without one.")
