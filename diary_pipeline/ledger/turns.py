"""Whose turn it is in the queue of intake, which submissions.waiting() reads.

What one owner has waiting in a lane, with one priority, is a line. Each new submission's `turn_at` lies as long as a
usual memo after the last one in its line, but never in the past. The surprise is that of acceptance.py, one stage
earlier: whoever brings a bucket of 100,000 objects fills their own future, and others' jobs of today come first.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from diary_pipeline.ledger.planner import DEFAULT_AUDIO_S
from diary_pipeline.ledger.tables import FAR, NEAR, NEAR_SCHEMES, WAITING, submissions

Row = dict[str, object]


def in_turn(tx: sa.Connection, rows: Sequence[Row]) -> list[Row]:
    """Return new rows of `submissions` with their turns; those of one line stand in it as they stand here."""
    ends: dict[tuple[object, ...], float] = {}
    placed = []
    for row in rows:
        # An upload that is not whole yet has its place among those that are.
        line = (row["owner"], NEAR if str(row["uri"]).startswith(NEAR_SCHEMES) else FAR, row["priority"])
        last = ends[line] if line in ends else _last(tx, *line)
        at = float(str(row["created_at"]))
        ends[line] = at if last is None else max(at, last + DEFAULT_AUDIO_S)
        placed.append({**row, "turn_at": ends[line]})
    return placed


def _last(tx: sa.Connection, owner: object, lane: object, priority: object) -> float | None:
    s = submissions.c
    theirs = (s.owner == owner) & (s.lane == lane) & (s.priority == priority)
    return tx.execute(sa.select(sa.func.max(s.turn_at)).where(WAITING, theirs)).scalar()
