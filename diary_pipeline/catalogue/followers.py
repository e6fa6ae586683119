"""What is kept as far as the published file, from what the file shows: the search index is one.

Following comes after the swap, so that nothing is found which SQL does not show, and before the ledger is told, so
that whoever waited for a commit finds it everywhere. A follower that dies in between catches up at the next publish,
from its own watermark.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import duckdb

from diary_pipeline.catalogue.state import opened, read_state
from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.erasures import last_removed_seq
from diary_pipeline.ledger.pointers import Pointer, pointers_since


class Follower(Protocol):
    """Something beside the published file that holds the same, for another purpose."""

    def watermark(self) -> int:
        """Return the commit up to which it has followed; 0: it is empty."""
        ...

    def follow(self, db: duckdb.DuckDBPyConnection, moved: Sequence[Pointer], head: int) -> None:
        """Take over what moved, and note `head` as the watermark.

        `db` reads the file just published, which is at `head`; `moved` are the pointers that moved after the follower's
        watermark, and perhaps some that moved after `head`, which come again.
        """
        ...

    def drop(self) -> None:
        """Begin anew: it has followed another ledger, or pointers are gone that would tell what it has to drop."""
        ...

    def compact(self) -> None:
        """Leave no byte of what is deleted."""
        ...


def lead(ledger: Ledger, live: Path, followers: Sequence[Follower], head: int) -> None:
    """Have every follower that is not at `head` follow the live file, which is."""
    marks = [(follower, follower.watermark()) for follower in followers]
    if all(mark == head for _, mark in marks):
        return
    with opened(live, read_only=True) as db:
        state = read_state(db)
        if state is None or state.watermark != head:
            raise ServiceMissing(
                "catalogue_open_here",
                f"This process has an older {live} open, so it cannot read the one it published; "
                "run `diary publish` as a process of its own.",
            )
        for follower, mark in marks:
            if mark != head:
                with ledger.reading() as conn:
                    goes_on = last_removed_seq(conn) <= mark < head
                    moved = pointers_since(conn, mark if goes_on else 0)
                if not goes_on:
                    follower.drop()
                follower.follow(db, moved, head)
