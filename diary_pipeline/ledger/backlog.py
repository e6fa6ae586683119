"""How long a job that is opened now will take: by what goes before it, and by how fast the last batches were done.

    start   the shortest time that a batch took from its plan to its run
    rate    of each stage, audio of the last batches / time in which any of them ran
    heard   (audio that is ready, planned or being heard, and what intake has not looked at, + its own) / rate
    noted   the same for notes, of all that is heard before it too
    the job takes start + the longer of: heard, and then its own note; noted

Nothing is asked of all work there ever was: what is ready is summed in the order of its index, up to MOST recordings,
and the batches are the last LAST ones. What surprises: a rate is taken over the time in which batches ran, not over the
clock, so an hour without work does not make the next job look slow. And while nothing was measured, a stage is taken
for as fast as UNMEASURED says, which is a guess and is marked as one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.core.batch import Stage, priority_rank
from diary_pipeline.ledger.connect import now
from diary_pipeline.ledger.planner import DEFAULT_AUDIO_S
from diary_pipeline.ledger.tables import WAITING, batch_items, batches, submissions, work
from diary_pipeline.ledger.tables_jobs import BATCH_ENDED

LAST = 50
MEASURED_S = 86_400.0
"""Batches of before yesterday tell of other machines."""
MOST = 10_000
"""Recordings; 1,000 hours of memos. Of a longer backlog an estimate says: at least."""
UNMEASURED: Mapping[Stage, float] = {"transcript": 2.0, "note": 60.0}
"""Seconds of audio a second: what two slow cores do at the least, with the model `base` and no routes."""
UNMEASURED_START_S = 30.0
"""Dagster's sensors look twice a minute."""


@dataclass(frozen=True)
class Estimate:
    """How long a job takes that is opened now."""

    seconds: float
    """From now on, until its note is there."""
    waiting_s: float
    """Audio that is heard before it."""
    rate: float | None
    """Seconds of audio transcribed in a second, as measured; None: nothing was yet, and `seconds` is a guess."""


@dataclass(frozen=True)
class Run:
    """One batch that brought results."""

    planned_at: float
    claimed_at: float
    closed_at: float
    audio_s: float
    was_asked_for: bool
    """By the sensor; others were claimed in the instant in which they came to be."""


def estimate(conn: sa.Connection, priority: str, audio_s: float = DEFAULT_AUDIO_S) -> Estimate:
    """Estimate how long a job of this priority takes, of which that much audio comes."""
    rank, at = priority_rank(priority), now(conn)
    runs: dict[Stage, list[Run]] = {stage: _last(conn, stage, at) for stage in UNMEASURED}
    measured = rate_of(runs["transcript"])
    hears, notes = measured or UNMEASURED["transcript"], rate_of(runs["note"]) or UNMEASURED["note"]
    heard_s = _ready_s(conn, "transcript", rank) + _open_s(conn, "transcript") + _not_taken_in_s(conn, rank)
    noted_s = _ready_s(conn, "note", rank) + _open_s(conn, "note") + heard_s
    starts = [run.claimed_at - run.planned_at for run in runs["transcript"] if run.was_asked_for]
    takes_s = max((heard_s + audio_s) / hears + audio_s / notes, (noted_s + audio_s) / notes)
    return Estimate(min(starts, default=UNMEASURED_START_S) + takes_s, heard_s, measured)


def rate_of(runs: Sequence[Run]) -> float | None:
    """Return seconds of audio a second, over the time in which at least one of these ran; None: there are none."""
    busy_s, until = 0.0, 0.0
    for run in sorted(runs, key=lambda r: r.claimed_at):
        busy_s += max(0.0, run.closed_at - max(run.claimed_at, until))
        until = max(until, run.closed_at)
    return sum(run.audio_s for run in runs) / busy_s if busy_s > 0 else None


def _last(conn: sa.Connection, stage: Stage, at: float) -> list[Run]:
    b = batches.c
    brought = sa.exists().where(batch_items.c.batch_id == b.id, batch_items.c.outcome == "committed")
    columns = (b.planned_at, b.claimed_at, b.closed_at, b.audio_s, b.requested_at.is_not(None))
    ended = sa.select(*columns).where(b.stage == stage, BATCH_ENDED)
    last = ended.where(b.closed_at > at - MEASURED_S, b.claimed_at.is_not(None), brought)
    return [Run(*row) for row in conn.execute(last.order_by(b.closed_at.desc()).limit(LAST))]


def _ready_s(conn: sa.Connection, stage: Stage, rank: int) -> float:
    """Sum the audio that is ready to be worked on and goes before a new job of this rank, or with it."""
    mine = (work.c.stage == stage) & (work.c.state == "ready") & (work.c.priority >= rank)
    some = sa.select(work.c.audio_s).where(mine).limit(MOST).subquery()
    return float(conn.execute(sa.select(sa.func.coalesce(sa.func.sum(some.c.audio_s), 0.0))).scalar_one())


def _open_s(conn: sa.Connection, stage: Stage) -> float:
    """Sum the audio of batches that are planned, asked for or at work."""
    is_open = batches.c.state.in_(("planned", "requested", "claimed")) & (batches.c.stage == stage)
    return float(
        conn.execute(sa.select(sa.func.coalesce(sa.func.sum(batches.c.audio_s), 0.0)).where(is_open)).scalar_one()
    )


def _not_taken_in_s(conn: sa.Connection, rank: int) -> float:
    """Guess the audio of submissions that intake has not looked at: nobody knows yet how long they are."""
    some = sa.select(submissions.c.id).where(WAITING, submissions.c.priority >= rank).limit(MOST).subquery()
    return conn.execute(sa.select(sa.func.count()).select_from(some)).scalar_one() * DEFAULT_AUDIO_S
