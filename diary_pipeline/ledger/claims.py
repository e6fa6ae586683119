"""Taking the work of a batch, and giving back what was not done. Planning and requesting is batches.py's business.

Work belongs to one batch at a time (`work.batch_id`). A backfill therefore takes a planned recording over by moving it
into its own ad-hoc batch; the batch that was planned finds it gone when its run claims, and leaves it alone.

What surprises: an ad-hoc batch is an ordinary batch, born claimed. When its run dies it is planned again like others.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.core.batch import Batch, Stage
from diary_pipeline.core.errors import Fenced, NotFound
from diary_pipeline.ledger.connect import GaveWay, Ledger
from diary_pipeline.ledger.leases import sign_on, take
from diary_pipeline.ledger.statements import chunks, insert_missing, now
from diary_pipeline.ledger.tables import batch_items, batches, pointers, recordings, submissions, work

WorkRow = sa.Row[tuple[object, ...]]
RETRY_S, RETRY_MAX_S = 5.0, 300.0
"""Work given back waits this long before it is planned again, doubled with each attempt: a full disk or a server that
restarts needs minutes, and three attempts within seconds would only fail what was never at fault."""
_FREE: Mapping[str, None] = {"batch_id": None, "holder": None, "expires_at": None}


def claim_batch(ledger: Ledger, batch_id: str, attempt: int, holder: str, lease_s: float) -> Batch:
    """Take what is open of a batch for one attempt; what others did, hold or took over is skipped.

    Fenced (`batch_superseded`) when the batch is closed or at another attempt: then this run has nothing to do.
    """
    return ledger.write(lambda tx: _claim_batch(tx, batch_id, attempt, holder, lease_s))


def claim_keys(ledger: Ledger, stage: Stage, keys: Sequence[str], holder: str, lease_s: float) -> Batch:
    """Take chosen recordings, whatever their state; what others hold, and what the ledger does not know, is named.

    A note without transcript is given too: its stage says what is missing.
    """
    return ledger.write(lambda tx: _claim_keys(tx, stage, sorted(set(keys)), holder, lease_s))


def release(
    ledger: Ledger,
    batch: Batch,
    reason: tuple[str, str] | None = None,
    *,
    retry_s: float = RETRY_S,
    tried: bool = True,
) -> None:
    """Give back what this claim holds and did not commit; the batch closes when nothing of it is open elsewhere.

    What is still waited for becomes ready after a pause. `reason`: code and message of what made the run give up.
    Not `tried`: a person stopped the run, which is no attempt, and it is ready at once.
    """
    ledger.write(lambda tx: _release(tx, batch, reason, retry_s, tried))


@dataclass(frozen=True)
class OpenItems:
    """What is open of a locked batch, whose work is locked too."""

    stage: Stage
    free: Mapping[str, WorkRow]
    """Held by nobody else."""
    held: tuple[str, ...]
    outcomes: Mapping[str, str]
    """Of what others did or took over."""


def open_items(tx: sa.Connection, batch_id: str, attempt: int, holder: str | None) -> OpenItems:
    """Lock a batch and what is open of it; Fenced when it is closed or at another attempt."""
    row = tx.execute(sa.select(batches).where(batches.c.id == batch_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound("batch_missing", f"There is no batch {batch_id}; the sensor plans its recordings again.")
    if row.state == "closed" or row.attempt != attempt:
        raise Fenced(
            "batch_superseded",
            f"Attempt {attempt} of batch {batch_id} has nothing to do: the batch is {row.state} at {row.attempt}.",
        )
    is_open = (batch_items.c.batch_id == batch_id) & batch_items.c.outcome.is_(None)
    keys = list(tx.execute(sa.select(batch_items.c.recording_key).where(is_open)).scalars())
    found, at = locked_work(tx, row.stage, keys), now(tx)
    free, held, outcomes = {}, [], {}
    for key in sorted(keys):
        there = found.get(key)
        if there is None or there.batch_id != batch_id:
            outcomes[key] = "released"
        elif there.state != "planned":
            outcomes[key] = {"done": "committed", "failed": "failed"}.get(there.state, "released")
        elif _is_held(there, holder, at):
            held.append(key)
        else:
            free[key] = there
    return OpenItems(row.stage, free, tuple(held), outcomes)


def _claim_batch(tx: sa.Connection, batch_id: str, attempt: int, holder: str, lease_s: float) -> Batch:
    found, at = open_items(tx, batch_id, attempt, holder), now(tx)
    mine = list(found.free)
    leases = take(tx, found.stage, mine, batch_id=batch_id, holder=holder, lease_s=lease_s)
    if mine or not found.held:
        claimed = {"state": "claimed", "run_id": holder, "claimed_at": at}
        tx.execute(batches.update().where(batches.c.id == batch_id).values(**claimed))
    settle(tx, batch_id, found.outcomes)
    _show(tx, found.stage, mine, "pending", "transcribing")
    sign_on(tx, holder, lease_s)
    return Batch(batch_id, found.stage, tuple(leases), held=found.held, settled=tuple(sorted(found.outcomes)))


def _claim_keys(tx: sa.Connection, stage: Stage, keys: Sequence[str], holder: str, lease_s: float) -> Batch:
    before = _lock_batches(tx, stage, keys)
    if stage == "note":
        _add_missing_notes(tx, keys)
    found, at = locked_work(tx, stage, keys), now(tx)
    if any(row.batch_id not in before for row in found.values() if row.batch_id is not None):
        raise GaveWay
    held = [k for k in keys if k in found and _is_held(found[k], holder, at)]
    mine = [k for k in keys if k in found and k not in set(held)]
    batch_id = uuid.uuid4().hex
    if mine:
        claimed = {"state": "claimed", "attempt": 1, "run_id": holder, "claimed_at": at}
        add_batch(tx, batch_id, stage, [found[k] for k in mine], planned_at=at, **claimed)
        moved: dict[str, dict[str, str]] = {}
        for key in mine:
            old = found[key].batch_id
            if old is not None and before[old] == "claimed":  # one that is yet to be claimed finds out then
                moved.setdefault(old, {})[key] = "released"
        leases = take(tx, stage, mine, batch_id=batch_id, holder=holder, lease_s=lease_s)
        for old in sorted(moved):
            settle(tx, old, moved[old])
        _show(tx, stage, mine, "pending", "transcribing")
    else:
        leases = []
    sign_on(tx, holder, lease_s)
    unknown = tuple(k for k in keys if k not in found)
    return Batch(batch_id, stage, tuple(leases), held=tuple(held), unknown=unknown)


def _release(tx: sa.Connection, batch: Batch, reason: tuple[str, str] | None, retry_s: float, tried: bool) -> None:
    tx.execute(sa.select(batches.c.id).where(batches.c.id == batch.id).with_for_update())
    found = locked_work(tx, batch.stage, [lease.key for lease in batch.leases])
    mine = [
        lease.key
        for lease in batch.leases
        if (row := found.get(lease.key)) is not None
        and (row.state, row.batch_id, row.epoch, row.holder) == ("planned", batch.id, lease.epoch, lease.holder)
    ]
    code, message = reason or (None, None)
    told = {"reason_code": code, "message": message}
    at, ready = now(tx), []
    alike: dict[tuple[str, int], list[str]] = {}
    for key, state in _states_before(tx, batch.stage, [found[key] for key in mine]).items():
        alike.setdefault((state, found[key].attempts if state == "ready" else 0), []).append(key)
    for (state, attempts), keys in alike.items():
        again: dict[str, object] = {}
        if state == "ready":
            ready += keys
            pause_s = min(retry_s * 2**attempts, RETRY_MAX_S)
            again = {"ready_at": at + pause_s, **told} if tried else {"ready_at": at, "attempts": attempts - 1}
        for some in chunks(keys):
            given_back = (work.c.stage == batch.stage) & work.c.recording_key.in_(some)
            tx.execute(work.update().where(given_back).values(state=state, **again, **_FREE))
    # What another run claimed under a later attempt of this batch is still open, and that run's to settle.
    theirs = {key for key, row in found.items() if (row.state, row.batch_id) == ("planned", batch.id)} - set(mine)
    settle(tx, batch.id, {lease.key: "released" for lease in batch.leases if lease.key not in theirs})
    _show(tx, batch.stage, ready, "transcribing", "pending")


def settle(tx: sa.Connection, batch_id: str, outcomes: Mapping[str, str]) -> None:
    """Give open items of a locked batch their outcomes, and close it when none is open any more."""
    by_outcome: dict[str, list[str]] = {}
    for key, outcome in outcomes.items():
        by_outcome.setdefault(outcome, []).append(key)
    of_batch = (batch_items.c.batch_id == batch_id) & batch_items.c.outcome.is_(None)
    for outcome, keys in by_outcome.items():
        for some in chunks(sorted(keys)):
            tx.execute(
                batch_items.update().where(of_batch, batch_items.c.recording_key.in_(some)).values(outcome=outcome)
            )
    finished = (batches.c.id == batch_id) & (batches.c.state != "closed") & ~sa.exists().where(of_batch)
    results = batch_items.c.outcome.in_(("committed", "failed"))
    told = sa.case((sa.exists().where(batch_items.c.batch_id == batch_id, results), None), else_=(at := now(tx)))
    tx.execute(batches.update().where(finished).values(state="closed", closed_at=at, reported_at=told))


def locked_work(tx: sa.Connection, stage: Stage, keys: Sequence[str]) -> dict[str, WorkRow]:
    """Lock the work of these recordings at one stage, and return it by key."""
    found: dict[str, WorkRow] = {}
    for some in chunks(sorted(keys)):
        chosen = sa.select(work).where(work.c.stage == stage, work.c.recording_key.in_(some))
        rows = tx.execute(chosen.order_by(work.c.recording_key).with_for_update())
        found |= {row.recording_key: row for row in rows}
    return found


def _lock_batches(tx: sa.Connection, stage: Stage, keys: Sequence[str]) -> dict[str, str]:
    """Lock the batches that carry these recordings now and return their states."""
    carrying: set[str] = set()
    for some in chunks(keys):
        mine = (work.c.stage == stage) & work.c.recording_key.in_(some) & work.c.batch_id.is_not(None)
        carrying.update(tx.execute(sa.select(work.c.batch_id).where(mine)).scalars())
    states: dict[str, str] = {}
    for some in chunks(sorted(carrying)):
        chosen = sa.select(batches.c.id, batches.c.state).where(batches.c.id.in_(some))
        states |= dict(tx.execute(chosen.order_by(batches.c.id).with_for_update()).tuples().all())
    return states


def _is_held(row: WorkRow, holder: str | None, at: float) -> bool:
    return row.holder not in (None, holder) and row.expires_at is not None and row.expires_at > at


def _add_missing_notes(tx: sa.Connection, keys: Sequence[str]) -> None:
    """Give recordings that have no transcript yet a row for their note, which nobody waits for."""
    note = work.alias()
    noted = sa.exists().where(note.c.recording_key == work.c.recording_key, note.c.stage == "note")
    for some in chunks(keys):
        mine = work.c.recording_key.in_(some) & (work.c.stage == "transcript") & ~noted
        for row in tx.execute(sa.select(work).where(mine).order_by(work.c.recording_key)).all():
            told = {"recording_key": row.recording_key, "stage": "note", "state": "failed", "model": ""}
            like = {"priority": row.priority, "audio_s": row.audio_s, "ready_at": row.ready_at}
            insert_missing(tx, work, {**told, **like})


def add_batch(tx: sa.Connection, batch_id: str, stage: Stage, rows: Sequence[WorkRow], **told: object) -> None:
    """Add a batch of chosen recordings with its items, and what is told of it."""
    models = {row.model for row in rows}
    tx.execute(
        batches.insert().values(
            id=batch_id,
            stage=stage,
            model=models.pop() if len(models) == 1 else "",
            priority=max(row.priority for row in rows),
            recordings=len(rows),
            audio_s=sum(row.audio_s for row in rows),
            **told,
        )
    )
    for some in chunks(rows):
        tx.execute(batch_items.insert(), [{"batch_id": batch_id, "recording_key": row.recording_key} for row in some])


def _states_before(tx: sa.Connection, stage: Stage, rows: Sequence[WorkRow]) -> dict[str, str]:
    """Say what each recording's work goes back to: `ready` while its result is waited for, else what it was."""
    states = {row.recording_key: "ready" if row.wanted else "failed" for row in rows}
    for some in chunks(key for key, state in states.items() if state == "failed"):
        there = pointers.c.subject.in_(some) & (pointers.c.kind == stage) & pointers.c.object_id.is_not(None)
        states |= dict.fromkeys(tx.execute(sa.select(pointers.c.subject).where(there)).scalars(), "done")
    return states


def _show(tx: sa.Connection, stage: Stage, keys: Sequence[str], before: str, after: str) -> None:
    """Show users that their recordings are worked on, or no longer; what has ended keeps its status."""
    if stage != "transcript":
        return
    for some in chunks(keys):
        # An expression, because a plain `status = ...` leads SQLite to walk all that have that status.
        mine = recordings.c.key.in_(some) & (recordings.c.status.concat("") == before)
        tx.execute(recordings.update().where(mine).values(status=after))
        theirs = submissions.c.recording_key.in_(some) & (submissions.c.status.concat("") == before)
        tx.execute(submissions.update().where(theirs).values(status=after))
