"""How long a job will take: by what goes before it, and by how fast the last batches were done.

    start   the shortest time that a batch took from its plan to its run
    rate    of each stage, audio of the last batches / time in which any of them ran
    heard   (audio that is ready, planned or being heard, and what intake has not looked at, + its own) / rate
    noted   the same for notes, of all that is heard before it too
    the job takes start + the longer of: heard, and then its own note; noted

Before a job that is opened now goes all of its priority or a higher one; before an open job, of its own priority only
what has an earlier turn. One that is at work waits for the rest of its batch and for nothing else.

Nothing is asked of all work there ever was: what waits is read in the order of its index, up to MOST recordings of each
priority, and the batches are the last LAST ones; what nobody has looked at yet counts as long as their recordings were.
That is looked at once for many jobs (`speeds`, `waiting`); of each only its own rows are read then. What surprises: a
rate is taken over the time in which batches ran, not over the clock, so an hour without work does not make the next job
look slow. And while nothing was measured, a stage is taken for as fast as UNMEASURED says, which is a guess.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from typing import Any

import sqlalchemy as sa

from diary_pipeline.core.batch import PRIORITIES, Stage, priority_rank
from diary_pipeline.ledger.planner import DEFAULT_AUDIO_S
from diary_pipeline.ledger.statements import now
from diary_pipeline.ledger.tables import FAR, NEAR, WAITING, batch_items, batches, submissions, work
from diary_pipeline.ledger.tables_jobs import BATCH_ENDED

LAST = 50
MEASURED_S = 86_400.0
"""Batches of before yesterday tell of other machines."""
MOST = 10_000
"""Recordings of one priority; 1,000 hours of memos. Of a longer backlog an estimate says: at least."""
UNMEASURED: Mapping[Stage, float] = {"transcript": 2.0, "note": 60.0}
"""Seconds of audio a second: what two slow cores do at the least, with the model `base` and no routes."""
UNMEASURED_START_S = 30.0
"""Dagster's sensors look twice a minute."""


@dataclass(frozen=True)
class Speeds:
    """How fast things go here."""

    start_s: float
    """From a plan to its run."""
    hears: float
    """Seconds of audio transcribed in a second,"""
    notes: float
    """and put into notes."""
    usual_s: float
    """Audio of a recording of which nobody knows yet how long it is."""


@dataclass(frozen=True)
class Line:
    """What waits in one queue with one priority."""

    turns: Sequence[tuple[float, float]]
    """In their order."""
    sums_s: Sequence[float]
    """Of the first n, the audio; one more than turns."""

    @classmethod
    def of(cls, turns: Iterable[tuple[float, float]], audio_s: Iterable[float]) -> "Line":
        """Make one of turns, in their order, and the audio of each."""
        return cls(list(turns), list(accumulate(audio_s, initial=0.0)))

    def before_s(self, turn: tuple[float, float] | None = None) -> float:
        """Sum what goes before a turn; None: all of it."""
        return self.sums_s[-1 if turn is None else bisect_left(self.turns, turn)]


Queue = Mapping[int, Line]
"""By rank."""


@dataclass(frozen=True)
class Backlog:
    """What is to do, as it stood at one moment."""

    ready: Mapping[Stage, Queue]
    not_taken_in: Queue
    """Whole submissions that intake has not looked at, each as 1: nobody knows yet how long they are."""
    open_s: Mapping[Stage, float]
    """The audio of batches that are planned, asked for or at work."""


@dataclass(frozen=True)
class Run:
    """One batch that brought results."""

    planned_at: float
    claimed_at: float
    closed_at: float
    audio_s: float
    recordings: int
    was_asked_for: bool
    """By the sensor; others were claimed in the instant in which they came to be."""


@dataclass(frozen=True)
class _Place:
    rank: int
    turn: tuple[float, float] | None = None
    """As its queue is ordered; None: behind all of its rank."""


def speeds(conn: sa.Connection) -> Speeds:
    """Measure how fast the last batches were done."""
    at = now(conn)
    runs: dict[Stage, list[Run]] = {stage: _last(conn, stage, at) for stage in UNMEASURED}
    hears, notes = rate_of(runs["transcript"]), rate_of(runs["note"])
    starts = [run.claimed_at - run.planned_at for run in runs["transcript"] if run.was_asked_for]
    recordings = sum(run.recordings for run in runs["transcript"])
    return Speeds(
        min(starts, default=UNMEASURED_START_S),
        hears or UNMEASURED["transcript"],
        notes or UNMEASURED["note"],
        sum(run.audio_s for run in runs["transcript"]) / recordings if recordings else DEFAULT_AUDIO_S,
    )


def waiting(conn: sa.Connection) -> Backlog:
    """Look at all that is to do: milliseconds for each thousand that wait."""
    at = now(conn)
    return Backlog(
        {stage: {rank: _ready(conn, stage, rank) for rank in PRIORITIES.values()} for stage in UNMEASURED},
        {rank: _not_taken_in(conn, rank, at) for rank in PRIORITIES.values()},
        {stage: _open_s(conn, stage) for stage in UNMEASURED},
    )


def new_job_s(speed: Speeds, backlog: Backlog, priority: str) -> float:
    """Estimate the seconds from now until a job is done that is opened now with this priority."""
    return _untouched_s(speed, backlog, _Place(priority_rank(priority)))


def open_job_s(conn: sa.Connection, speed: Speeds, backlog: Backlog, id: str) -> float:
    """Estimate the seconds from now until an open job is done, by its own place; 0 when there is no such job."""
    row = conn.execute(_STANDING.where(submissions.c.id == id)).one_or_none()
    if row is None:
        return 0.0
    at = now(conn)
    if row.recording_key is None:
        place = _Place(row.priority, (row.turn_at, row.created_at))
        pause_s = max(0.0, row.not_before - at) if row.lane == FAR and row.fetching_since is None else 0.0
        return pause_s + _untouched_s(speed, backlog, place)
    for stage in ("transcript", "note"):
        todo = conn.execute(_TODO.where(work.c.recording_key == row.recording_key, work.c.stage == stage)).one_or_none()
        if todo is not None and todo.wanted:
            return _stage_s(conn, speed, backlog, stage, todo, at)
    return 0.0


def _untouched_s(speed: Speeds, backlog: Backlog, place: _Place) -> float:
    """Estimate how long a job takes that intake has still to look at; all that intake has taken in goes before it."""
    heard_s = _before_s(backlog.ready["transcript"], _Place(place.rank)) + backlog.open_s["transcript"]
    heard_s += _before_s(backlog.not_taken_in, place) * speed.usual_s
    return speed.start_s + _takes_s(speed, backlog, place, heard_s, speed.usual_s)


def _stage_s(  # noqa: PLR0917 - what is known of all, and of this one
    conn: sa.Connection, speed: Speeds, backlog: Backlog, stage: Stage, todo: sa.Row[Any], at: float
) -> float:
    """Estimate how long a recording takes from this stage of it on."""
    place, own_s = _Place(todo.priority, (todo.turn_at, todo.ready_at)), todo.audio_s or speed.usual_s
    start_s = speed.start_s
    if todo.state != "planned":
        before_s = _before_s(backlog.ready[stage], place) + backlog.open_s[stage]
        start_s += max(0.0, todo.ready_at - at)
    elif todo.holder is None:
        before_s = _open_s(conn, stage, until=todo.planned_at) - own_s
    else:
        before_s, start_s = _rest_s(conn, stage, todo.batch_id) - (own_s - (todo.done_s or 0.0)), 0.0
        own_s -= todo.done_s or 0.0
    if stage == "note":
        return start_s + (max(0.0, before_s) + own_s) / speed.notes
    return start_s + _takes_s(speed, backlog, place, max(0.0, before_s), own_s)


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
    columns = (b.planned_at, b.claimed_at, b.closed_at, b.audio_s, b.recordings, b.requested_at.is_not(None))
    ended = sa.select(*columns).where(b.stage == stage, BATCH_ENDED)
    last = ended.where(b.closed_at > at - MEASURED_S, b.claimed_at.is_not(None), brought)
    return [Run(*row) for row in conn.execute(last.order_by(b.closed_at.desc()).limit(LAST))]


def _takes_s(speed: Speeds, backlog: Backlog, place: _Place, heard_s: float, audio_s: float) -> float:
    """Return how long it takes to hear and note so much audio behind what is heard before it."""
    noted_s = _before_s(backlog.ready["note"], _Place(place.rank)) + backlog.open_s["note"] + heard_s
    return max((heard_s + audio_s) / speed.hears + audio_s / speed.notes, (noted_s + audio_s) / speed.notes)


def _before_s(queue: Queue, place: _Place) -> float:
    """Sum the audio that goes before a place: all of higher priorities, and what has an earlier turn."""
    higher = sum(line.before_s() for rank, line in queue.items() if rank > place.rank)
    return higher + queue[place.rank].before_s(place.turn)


def _ready(conn: sa.Connection, stage: Stage, rank: int) -> Line:
    """Read what is ready to be worked on."""
    w = work.c
    ready = sa.select(w.turn_at, w.ready_at, w.audio_s).where(w.stage == stage, w.state == "ready", w.priority == rank)
    rows = conn.execute(ready.order_by(w.turn_at, w.ready_at).limit(MOST)).all()
    return Line.of(((turn_at, since) for turn_at, since, _ in rows), (audio_s or 0.0 for *_, audio_s in rows))


def _not_taken_in(conn: sa.Connection, rank: int, at: float) -> Line:
    """Read what intake has still to look at, but for addresses whose fetch failed and is not due yet."""
    s = submissions.c
    turns: list[tuple[float, float]] = []
    for lane in (NEAR, FAR):  # one range of the index each
        some = sa.select(s.turn_at, s.created_at, s.not_before, s.fetching_since)
        some = some.where(WAITING, s.lane == lane, s.priority == rank)
        first = conn.execute(some.order_by(s.turn_at, s.created_at).limit(MOST)).all()
        turns += [(r.turn_at, r.created_at) for r in first if lane == NEAR or r.fetching_since or r.not_before <= at]
    return Line.of(sorted(turns), repeat(1.0, len(turns)))


def _open_s(conn: sa.Connection, stage: Stage, until: float | None = None) -> float:
    """Sum the audio of batches that are planned, asked for or at work; `until`: those planned no later."""
    is_open = batches.c.state.in_(("planned", "requested", "claimed")) & (batches.c.stage == stage)
    if until is not None:
        is_open &= batches.c.planned_at <= until
    return _sum(conn, sa.select(sa.func.sum(batches.c.audio_s)).where(is_open))


def _rest_s(conn: sa.Connection, stage: Stage, batch_id: str) -> float:
    """Sum what is left of a batch at work: its results are committed together."""
    left = sa.func.sum(work.c.audio_s - sa.func.coalesce(work.c.done_s, 0.0))
    return _sum(conn, sa.select(left).where(work.c.batch_id == batch_id, work.c.stage == stage))


def _sum(conn: sa.Connection, summed: sa.Select[tuple[float]]) -> float:
    return float(conn.execute(summed).scalar_one() or 0.0)


_STANDING = sa.select(
    *(submissions.c.priority, submissions.c.turn_at, submissions.c.lane, submissions.c.not_before),
    *(submissions.c.created_at, submissions.c.fetching_since, submissions.c.recording_key),
)
_TODO = sa.select(
    *(work.c.wanted, work.c.state, work.c.priority, work.c.turn_at, work.c.ready_at, work.c.audio_s, work.c.done_s),
    *(work.c.batch_id, work.c.holder, batches.c.planned_at),
).select_from(work.outerjoin(batches, batches.c.id == work.c.batch_id))
