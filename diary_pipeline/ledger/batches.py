"""Batches on their way to a run: planned -> requested -> claimed -> closed. Claims.py takes and gives back their work.

Who goes with whom is decided in planner.py. The surprise: a batch never closes here. It closes with its last item, in
a commit, a claim that finds nothing left to do, or a release.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.core.batch import PRIORITIES, Stage
from diary_pipeline.ledger.claims import claim_batch, claim_keys, release
from diary_pipeline.ledger.connect import Ledger, queue
from diary_pipeline.ledger.halving import halve, halve_ready
from diary_pipeline.ledger.planner import PlanLimits, PlannedBatch, Waiting, plan
from diary_pipeline.ledger.statements import CHUNK, chunks, now
from diary_pipeline.ledger.tables import UNREPORTED, batch_items, batches, recordings, work

__all__ = [
    "ClosedBatch",
    "Exhausted",
    "OpenBatch",
    "claim_batch",
    "claim_keys",
    "exhausted",
    "failed_codes",
    "halve",
    "halve_ready",
    "keys_of",
    "mark_reported",
    "mark_requested",
    "next_attempt",
    "open_batches",
    "plan_waiting",
    "release",
    "unreported",
]


@dataclass(frozen=True)
class OpenBatch:
    """A batch with recordings that have no outcome yet."""

    id: str
    stage: Stage
    model: str
    """Empty: several, chosen by hand."""
    state: str
    attempt: int
    priority: int
    recordings: int
    audio_s: float
    run_id: str | None
    first_key: str
    requested_at: float | None
    lease_live: bool
    """Some lease of it has not expired."""


@dataclass(frozen=True)
class ClosedBatch:
    """A batch whose recordings all have an outcome, some of them a result."""

    id: str
    run_id: str | None
    """None: a run that was given up for dead committed after all."""
    closed_at: float


@dataclass(frozen=True)
class Exhausted:
    """A recording that was tried as often as it may be, and why the last run gave it back."""

    key: str
    reason_code: str | None
    """None: the run ended without a word."""
    message: str | None
    attempts: int
    run_id: str | None
    """The last run of the batch that carried it last."""
    alone: bool
    """That batch held nothing else."""


def plan_waiting(ledger: Ledger, stage: Stage, limits: PlanLimits) -> list[str]:
    """Plan what is ready and return the ids of the new batches, the most important first.

    Nothing while `max_open` batches of the stage are open; what people claimed by hand does not count. The cost is that
    of the batches planned, not of the backlog.
    """
    with ledger.reading() as conn:  # an idle tick does not queue behind writers
        if not _room(conn, stage, limits) or conn.execute(_ready(stage, now(conn)).limit(1)).first() is None:
            return []
    return ledger.write(lambda tx: _plan_waiting(tx, stage, limits))


def open_batches(conn: sa.Connection, stage: Stage) -> list[OpenBatch]:
    """Return the batches that are planned, requested or claimed, oldest first."""
    b, at = batches.c, now(conn)
    first_key = sa.select(sa.func.min(batch_items.c.recording_key)).where(batch_items.c.batch_id == b.id)
    leased = sa.exists().where(work.c.batch_id == b.id, work.c.expires_at > at)
    chosen = sa.select(
        *(b.id, b.stage, b.model, b.state, b.attempt, b.priority, b.recordings, b.audio_s, b.run_id),
        first_key.scalar_subquery().label("first_key"),
        b.requested_at,
        leased.label("lease_live"),
    )
    rows = conn.execute(chosen.where(_is_open(stage)).order_by(b.planned_at, b.id))
    return [OpenBatch(**{**row._mapping, "lease_live": bool(row.lease_live)}) for row in rows]


def mark_requested(ledger: Ledger, batch_ids: Sequence[str]) -> None:
    """Note that a run was asked for; batches past that stay as they are."""
    if not batch_ids:
        return
    with ledger.writing() as tx:
        requested = {"state": "requested", "requested_at": now(tx)}
        for id in sorted(batch_ids):
            tx.execute(batches.update().where(batches.c.id == id, batches.c.state == "planned").values(**requested))


def unreported(conn: sa.Connection, stage: Stage, limit: int = 20) -> list[ClosedBatch]:
    """Return closed batches whose results Dagster may not know of, oldest first.

    Those of runs that are about to tell are among them.
    """
    chosen = sa.select(batches.c.id, batches.c.run_id, batches.c.closed_at).where(batches.c.stage == stage, UNREPORTED)
    rows = conn.execute(chosen.order_by(batches.c.closed_at).limit(limit))
    return [ClosedBatch(*row) for row in rows.tuples()]


def mark_reported(ledger: Ledger, batch_id: str) -> None:
    """Note that the Dagster events of a closed batch are written."""
    with ledger.writing() as tx:
        mine = (batches.c.id == batch_id) & UNREPORTED
        tx.execute(batches.update().where(mine).values(reported_at=now(tx)))


def keys_of(conn: sa.Connection, batch_id: str) -> list[str]:
    """Return the recordings of a batch, whatever became of them."""
    mine = sa.select(batch_items.c.recording_key).where(batch_items.c.batch_id == batch_id)
    return list(conn.execute(mine.order_by(batch_items.c.recording_key)).scalars())


def next_attempt(ledger: Ledger, batch_id: str, attempt: int | None = None) -> None:
    """Let another run carry a batch whose run is absent or has ended, as the caller has asked Dagster.

    The leases of that run expire now. With `attempt`, nothing happens unless the batch is still at that attempt: two
    callers who saw the same dead run then move it on once.
    """
    ledger.write(lambda tx: _next_attempt(tx, batch_id, attempt))


def failed_codes(
    conn: sa.Connection, *, batch_id: str | None = None, run_id: str | None = None
) -> tuple[str | None, dict[str, int]]:
    """Return the batch of that id, or the last one that a run claimed, and how many of it failed with which code."""
    mine = batches.c.id == batch_id if run_id is None else batches.c.run_id == run_id
    chosen = sa.select(batches.c.id, batches.c.stage).where(mine).order_by(batches.c.claimed_at.desc()).limit(1)
    batch = conn.execute(chosen).one_or_none()
    if batch is None:
        return None, {}
    theirs = (work.c.recording_key == batch_items.c.recording_key) & (work.c.stage == batch.stage)
    failed = (batch_items.c.batch_id == batch.id) & (batch_items.c.outcome == "failed")
    counted = sa.select(work.c.reason_code, sa.func.count()).join(batch_items, theirs).where(failed)
    return batch.id, {code or "": n for code, n in conn.execute(counted.group_by(work.c.reason_code))}


def exhausted(conn: sa.Connection, stage: Stage, max_attempts: int) -> list[Exhausted]:
    """Return recordings that were claimed `max_attempts` times, and given back the last time.

    What a batch carries is not among them: whether its runs died is counted by the batch.
    """
    carried = (batch_items.c.recording_key == work.c.recording_key) & (batches.c.stage == stage)
    ids = sa.select(batches.c.id).join(batch_items, batch_items.c.batch_id == batches.c.id)
    newest = ids.where(carried, batches.c.claimed_at.is_not(None)).order_by(batches.c.claimed_at.desc()).limit(1)
    last = batches.alias("last")
    there = work.outerjoin(last, last.c.id == newest.correlate(work).scalar_subquery())
    tried = (work.c.stage == stage) & (work.c.state == "ready") & (work.c.attempts >= max_attempts)
    columns = (work.c.recording_key.label("key"), work.c.reason_code, work.c.message, work.c.attempts, last.c.run_id)
    told = sa.select(*columns, (last.c.recordings == 1).label("alone"))
    rows = conn.execute(told.select_from(there).where(tried).order_by(work.c.recording_key).limit(CHUNK))
    return [Exhausted(**{**row._mapping, "alone": bool(row.alone)}) for row in rows]


def _plan_waiting(tx: sa.Connection, stage: Stage, limits: PlanLimits) -> list[str]:
    queue(tx, f"plan {stage}")
    room = _room(tx, stage, limits)
    ids = []
    for batch in plan(_window(tx, stage, limits, room), limits)[:room]:
        keys = _still_ready(tx, stage, batch.keys)
        if keys:
            ids.append(_add_planned(tx, batch, keys))
    return ids


def _room(conn: sa.Connection, stage: Stage, limits: PlanLimits) -> int:
    """Return how many batches may be planned now."""
    # What was claimed by hand was never requested.
    planned = _is_open(stage) & ((batches.c.state != "claimed") | batches.c.requested_at.is_not(None))
    there = int(conn.execute(sa.select(sa.func.count()).where(planned)).scalar_one())
    return max(0, min(limits.max_open - there, limits.max_batches))


def _is_open(stage: Stage) -> sa.ColumnElement[bool]:
    return batches.c.state.in_(("planned", "requested", "claimed")) & (batches.c.stage == stage)


def _ready(stage: Stage, at: float) -> sa.Select[tuple[str]]:
    """Choose what may be planned; what was given back waits a while."""
    due = (work.c.state == "ready") & (work.c.ready_at <= at)
    return sa.select(work.c.recording_key).where(work.c.stage == stage, due)


def _window(tx: sa.Connection, stage: Stage, limits: PlanLimits, room: int) -> list[Waiting]:
    """Return as many items of each priority as the batches can hold, by turn: never a whole backlog."""
    at = now(tx)
    columns = (work.c.recording_key, work.c.model, work.c.priority, work.c.audio_s, work.c.ready_at, recordings.c.owner)
    joined = work.join(recordings, recordings.c.key == work.c.recording_key)
    found = []
    for priority in PRIORITIES.values():
        waiting = _ready(stage, at).where(work.c.priority == priority).with_only_columns(*columns)
        chosen = waiting.select_from(joined).order_by(work.c.turn_at, work.c.ready_at)
        for row in tx.execute(chosen.limit(limits.max_recordings * room)):
            key, model, _, audio_s, ready_at, owner = row
            found.append(Waiting(key, stage, model, owner, priority, audio_s, max(0.0, at - ready_at)))
    return found


def _still_ready(tx: sa.Connection, stage: Stage, keys: Sequence[str]) -> list[str]:
    """Lock what nobody took since it was read; what somebody is just taking is not waited for."""
    states: dict[str, str] = {}
    for some in chunks(keys):
        # The state is looked at here: in the statement it would lead SQLite to walk all that is ready.
        mine = (work.c.stage == stage) & work.c.recording_key.in_(some)
        chosen = sa.select(work.c.recording_key, work.c.state).where(mine).with_for_update(skip_locked=True)
        states |= dict(tx.execute(chosen).tuples().all())
    return [key for key in keys if states.get(key) == "ready"]


def _add_planned(tx: sa.Connection, batch: PlannedBatch, keys: Sequence[str]) -> str:
    id = uuid.uuid4().hex
    told = {"stage": batch.stage, "model": batch.model, "priority": batch.priority, "audio_s": batch.audio_s}
    counted = {"recordings": len(keys), "attempt": 1, "state": "planned", "planned_at": now(tx)}
    tx.execute(batches.insert().values(id=id, **told, **counted))
    for some in chunks(keys):
        tx.execute(batch_items.insert(), [{"batch_id": id, "recording_key": key} for key in some])
        mine = (work.c.stage == batch.stage) & work.c.recording_key.in_(some)
        tx.execute(work.update().where(mine).values(state="planned", batch_id=id))
    return id


def _next_attempt(tx: sa.Connection, batch_id: str, attempt: int | None) -> None:
    row = tx.execute(sa.select(batches).where(batches.c.id == batch_id).with_for_update()).one_or_none()
    if row is None or row.state not in ("requested", "claimed") or attempt not in (None, row.attempt):
        return
    theirs = (work.c.batch_id == batch_id) & work.c.holder.is_not(None)
    tx.execute(sa.select(work.c.epoch).where(theirs).order_by(work.c.recording_key, work.c.stage).with_for_update())
    silent = dict.fromkeys(("holder", "expires_at", "reason_code", "message"))
    tx.execute(work.update().where(theirs).values(**silent))
    again = dict.fromkeys(("run_id", "requested_at", "claimed_at"))
    tx.execute(
        batches.update().where(batches.c.id == batch_id).values(state="planned", attempt=row.attempt + 1, **again)
    )
