"""Failures that may go away by themselves: what becomes of the work, and when it is planned again.

The one rule, said here and nowhere else. A *run* that died or raised says nothing about its recordings: its batch moves
on to the next attempt after seconds (`max_attempts`, `retry_s`). A *recording* that failed, by its own or because all
attempts were in vain with a reason that can be mended, is tried again after minutes (`retry_after_s`), each pause once,
every time with all the attempts of its batch. Then it has failed, and waits in the quarantine for a person.

The surprise: work that waits for its retry is in a state of its own, `retry`, which no planner sees. The sensor
`failed_partitions` makes it ready when its time has come.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.statements import CHUNK, chunks, each, now
from diary_pipeline.ledger.tables import work

RETRY = "retry"
"""State of work that failed and is tried again by itself at `ready_at`."""


def pause_s(retries: int, after_s: Sequence[float]) -> float | None:
    """Return the seconds until the next try of what was retried so often already; None: never."""
    return after_s[retries] if retries < len(after_s) else None


def plan_due(ledger: Ledger, limit: int = CHUNK) -> int:
    """Make work ready whose pause after a failure is over, and return how many recordings that are."""
    with ledger.reading() as conn:  # an idle tick does not queue behind writers
        if not is_due(conn):
            return 0
    return ledger.write(lambda tx: _plan_due(tx, limit))


def is_due(conn: sa.Connection) -> bool:
    """Tell whether the pause of anything is over."""
    return conn.execute(_due(now(conn)).limit(1)).first() is not None


def waiting(conn: sa.Connection, keys: Sequence[str]) -> dict[str, float]:
    """Return when those of these recordings that wait for a retry are tried again."""
    chosen = sa.select(work.c.recording_key, work.c.ready_at, work.c.state)
    # The state is looked at here: in the statement it might lead SQLite to walk all that have it.
    return {
        row.recording_key: row.ready_at for row in each(conn, chosen, work.c.recording_key, keys) if row.state == RETRY
    }


def _due(at: float) -> sa.Select[tuple[str, str]]:
    due = work.c.stage.in_(("transcript", "note")) & (work.c.state == RETRY) & (work.c.ready_at <= at)
    return sa.select(work.c.recording_key, work.c.stage).where(due)


def _plan_due(tx: sa.Connection, limit: int) -> int:
    at = now(tx)
    chosen = _due(at).order_by(work.c.recording_key, work.c.stage).limit(limit).with_for_update(skip_locked=True)
    found = tx.execute(chosen).all()
    for stage in ("transcript", "note"):
        for some in chunks(row.recording_key for row in found if row.stage == stage):
            mine = (work.c.stage == stage) & work.c.recording_key.in_(some)
            tx.execute(work.update().where(mine).values(state="ready", ready_at=at))
    return len(found)
