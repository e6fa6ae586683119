"""Quarantine: the recordings that did not become notes, with the stage, the reason and what to do; newest first.

Refused at the door or failed at a later stage look alike here. How one leaves stands in quarantine_ends.py. The
surprise: the cursor of the next page is made of the last row shown, so that troubles that come in between move nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from diary_pipeline.core.errors import UsageError
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.quarantine import Trouble, troubles

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
