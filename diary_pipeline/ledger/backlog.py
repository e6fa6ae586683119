"""How long a job will take: by what goes before it, and by how fast the last batches were done.

    start   the shortest time that a batch took from its plan to its run
    rate    of each stage, audio of the last batches / time in which any of them ran
    heard   (audio that is ready, planned or being heard, and what intake has not looked at, + its own) / rate
    noted   the same for notes, of all that is heard before it too
    the job takes start + the longer of: heard, and then its own note; noted

Before a job that is opened now goes all of its priority or a higher one; before an open job, of its own priority only
what has an earlier turn. One that is at work waits for the rest of its batch and for nothing else.

Nothing is asked of all work there ever was: what is ready is summed in the order of its index, up to MOST recordings,
and the batches are the last LAST ones. What surprises: a rate is taken over the time in which batches ran, not over the
clock, so an hour without work does not make the next job look slow. And while nothing was measured, a stage is taken
for as fast as UNMEASURED says, which is a guess and is marked as one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from diary_pipeline.core.batch import Stage, priority_rank
from diary_pipeline.ledger.planner import DEFAULT_AUDIO_S
from diary_pipeline.ledger.statements import now
from diary_pipeline.ledger.tables import FAR, NEAR, WAITING, batch_items, batches, submissions, work
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
class Rates:
    """How fast things go here."""

    start_s: float
    """From a plan to its run."""
    hears: float
    """Seconds of audio transcribed in a second,"""
    notes: float
    """and put into notes."""
    is_measured: bool
    """False: nothing was transcribed yet, and `hears` is a guess."""


@dataclass(frozen=True)
class Run:
    """One batch that brought results."""

    planned_at: float
    claimed_at: float
    closed_at: float
    audio_s: float
    was_asked_for: bool
    """By the sensor; others were claimed in the instant in which they came to be."""


@dataclass(frozen=True)
class _Place:
    rank: int
    turn: tuple[float, float] | None = None
    """As its queue is ordered; None: behind all of its rank."""


def rates(conn: sa.Connection) -> Rates:
    """Measure how fast the last batches were done."""
    at = now(conn)
    runs: dict[Stage, list[Run]] = {stage: _last(conn, stage, at) for stage in UNMEASURED}
    hears, notes = rate_of(runs["transcript"]), rate_of(runs["note"])
    starts = [run.claimed_at - run.planned_at for run in runs["transcript"] if run.was_asked_for]
    return Rates(
        min(starts, default=UNMEASURED_START_S),
        hears or UNMEASURED["transcript"],
        notes or UNMEASURED["note"],
        hears is not None,
    )


def new_job_s(conn: sa.Connection, rate: Rates, priority: str) -> float:
    """Estimate the seconds from now until a job is done that is opened now with this priority."""
    place = _Place(priority_rank(priority))
    heard_s = _ready_s(conn, "transcript", place) + _open_s(conn, "transcript") + _not_taken_in_s(conn, place)
    return rate.start_s + _takes_s(conn, rate, place, heard_s, DEFAULT_AUDIO_S)


def open_job_s(conn: sa.Connection, rate: Rates, id: str) -> float:
    """Estimate the seconds from now until an open job is done, by its own place; 0 when there is no such job."""
    row = conn.execute(_STANDING.where(submissions.c.id == id)).one_or_none()
    if row is None:
        return 0.0
    at = now(conn)
    if row.recording_key is None:
        place = _Place(row.priority, (row.turn_at, row.created_at))
        pause_s = max(0.0, row.not_before - at) if row.lane == FAR and row.fetching_since is None else 0.0
        # All that intake has taken in went before it, and what is in its batches is.
        heard_s = _ready_s(conn, "transcript", _Place(row.priority)) + _open_s(conn, "transcript")
        heard_s += _not_taken_in_s(conn, place)
        return pause_s + rate.start_s + _takes_s(conn, rate, place, heard_s, DEFAULT_AUDIO_S)
    for stage in ("transcript", "note"):
        todo = conn.execute(_TODO.where(work.c.recording_key == row.recording_key, work.c.stage == stage)).one_or_none()
        if todo is not None and todo.wanted:
            return _stage_s(conn, rate, stage, todo, at)
    return 0.0


def _stage_s(conn: sa.Connection, rate: Rates, stage: Stage, todo: sa.Row[Any], at: float) -> float:
    """Estimate how long a recording takes from this stage of it on."""
    place, own_s = _Place(todo.priority, (todo.turn_at, todo.ready_at)), todo.audio_s or DEFAULT_AUDIO_S
    start_s = rate.start_s
    if todo.state != "planned":
        before_s = _ready_s(conn, stage, place) + _open_s(conn, stage)
        start_s += max(0.0, todo.ready_at - at)
    elif todo.holder is None:
        before_s = _open_s(conn, stage, until=todo.planned_at) - own_s
    else:
        before_s, start_s = _rest_s(conn, stage, todo.batch_id) - (own_s - (todo.done_s or 0.0)), 0.0
        own_s -= todo.done_s or 0.0
    if stage == "note":
        return start_s + (max(0.0, before_s) + own_s) / rate.notes
    return start_s + _takes_s(conn, rate, place, max(0.0, before_s), own_s)


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


def _takes_s(conn: sa.Connection, rate: Rates, place: _Place, heard_s: float, audio_s: float) -> float:
    """Return how long it takes to hear and note so much audio behind what is heard before it."""
    noted_s = _ready_s(conn, "note", _Place(place.rank)) + _open_s(conn, "note") + heard_s
    return max((heard_s + audio_s) / rate.hears + audio_s / rate.notes, (noted_s + audio_s) / rate.notes)


def _ready_s(conn: sa.Connection, stage: Stage, place: _Place) -> float:
    """Sum the audio that is ready to be worked on and goes before this place."""
    w = work.c
    ready = sa.select(w.audio_s).where(w.stage == stage, w.state == "ready")
    return sum(_sum(conn, ready.where(goes), sa.func.sum) for goes in _before(place, w.priority, w.turn_at, w.ready_at))


def _not_taken_in_s(conn: sa.Connection, place: _Place) -> float:
    """Guess the audio of whole submissions that intake has not looked at: nobody knows yet how long they are."""
    s = submissions.c
    some = sa.select(s.id).where(WAITING, s.lane.in_((NEAR, FAR)))
    before = (
        _sum(conn, some.where(goes), sa.func.count) for goes in _before(place, s.priority, s.turn_at, s.created_at)
    )
    return sum(before) * DEFAULT_AUDIO_S


def _before(
    place: _Place, priority: sa.ColumnElement[int], *turn: sa.ColumnElement[float]
) -> list[sa.ColumnElement[bool]]:
    """Return what goes before a place: ranges of an index, asked for one by one."""
    if place.turn is None:
        return [priority >= place.rank]
    return [
        priority > place.rank,
        (priority == place.rank) & (sa.tuple_(*turn) < sa.tuple_(*map(sa.literal, place.turn))),
    ]


def _sum(conn: sa.Connection, some: sa.Select[Any], how: Callable[..., sa.ColumnElement[Any]]) -> float:
    first = some.limit(MOST).subquery()
    return float(conn.execute(sa.select(sa.func.coalesce(how(*first.c), 0.0))).scalar_one())


def _open_s(conn: sa.Connection, stage: Stage, until: float | None = None) -> float:
    """Sum the audio of batches that are planned, asked for or at work; `until`: those planned no later."""
    is_open = batches.c.state.in_(("planned", "requested", "claimed")) & (batches.c.stage == stage)
    if until is not None:
        is_open &= batches.c.planned_at <= until
    return _sum(conn, sa.select(batches.c.audio_s).where(is_open), sa.func.sum)


def _rest_s(conn: sa.Connection, stage: Stage, batch_id: str) -> float:
    """Sum what is left of a batch at work: its results are committed together."""
    left = sa.select(work.c.audio_s - sa.func.coalesce(work.c.done_s, 0.0)).where(
        work.c.batch_id == batch_id, work.c.stage == stage
    )
    return _sum(conn, left, sa.func.sum)


_STANDING = sa.select(
    *(submissions.c.priority, submissions.c.turn_at, submissions.c.lane, submissions.c.not_before),
    *(submissions.c.created_at, submissions.c.fetching_since, submissions.c.recording_key),
)
_TODO = sa.select(
    *(work.c.wanted, work.c.state, work.c.priority, work.c.turn_at, work.c.ready_at, work.c.audio_s, work.c.done_s),
    *(work.c.batch_id, work.c.holder, batches.c.planned_at),
).select_from(work.outerjoin(batches, batches.c.id == work.c.batch_id))
