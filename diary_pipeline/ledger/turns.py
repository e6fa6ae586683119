"""Whose turn it is in the queue of intake, which submissions.waiting() reads.

What one owner has waiting in a lane, with one priority, is a line. Each new submission's `turn_at` lies as long as a
usual memo after the last one in its line, but never in the past. The surprise is that of acceptance.py, one stage
earlier: whoever brings a bucket of 100,000 objects fills their own future, and others' jobs of today come first.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from diary_pipeline.ledger.planner import DEFAULT_AUDIO_S
from diary_pipeline.ledger.tables import FAR, NEAR, NEAR_SCHEMES, WAITING, submissions

Row = dict[str, Any]


def in_turn(tx: sa.Connection, rows: Sequence[Row]) -> list[Row]:
    """Return new rows of `submissions` with their turns; those of one line stand in it as they stand here."""
    ends: dict[tuple[object, ...], float] = {}
    placed = []
    for row in rows:
        # An upload that is not whole yet has its place among those that are.
        line = (row["owner"], NEAR if str(row["uri"]).startswith(NEAR_SCHEMES) else FAR, row["priority"])
        last = ends[line] if line in ends else _last(tx, *line)
        at = row["created_at"]
        ends[line] = at if last is None else max(at, last + DEFAULT_AUDIO_S)
        placed.append({**row, "turn_at": ends[line]})
    return placed


def line_up(tx: sa.Connection) -> None:
    """Give their turns to all that waited before there were any, as if it had been handed in just so."""
    s = submissions.c
    lane = sa.case((s.lane == FAR, FAR), else_=NEAR).label("lane")
    line = (s.owner, lane, s.priority)
    place_s = sa.func.row_number().over(partition_by=line, order_by=(s.created_at, s.id)) * DEFAULT_AUDIO_S
    stands = sa.select(s.id, *line, s.created_at, place_s.label("place_s")).where(WAITING, s.turn_at == 0).subquery()
    q = stands.c
    # Each stands one memo behind the one before it, or where it came in: as far behind its place as the latest so far.
    latest = sa.func.max(q.created_at - q.place_s).over(partition_by=(q.owner, q.lane, q.priority), order_by=q.place_s)
    turns = sa.select(q.id, (q.place_s + latest).label("turn_at")).subquery()
    tx.execute(submissions.update().where(s.id == turns.c.id).values(turn_at=turns.c.turn_at))


def _last(tx: sa.Connection, owner: object, lane: object, priority: object) -> float | None:
    s = submissions.c
    theirs = (s.owner == owner) & (s.lane == lane) & (s.priority == priority)
    return tx.execute(sa.select(sa.func.max(s.turn_at)).where(WAITING, theirs)).scalar()
