"""Batches whose every run died without a word, tried again in halves: one bad recording must not take others with it.

When a batch is lost is defs/recovery.py's to say, and what becomes of a recording that is lost alone.

What surprises: a half has one attempt, because a half that dies is halved again, while a recording that is alone at
last has all of them. The old batch closes and every epoch rises, so that a run thought dead comes too late.
"""

import uuid
from collections.abc import Sequence

import sqlalchemy as sa

from diary_pipeline.core.batch import Stage
from diary_pipeline.ledger.claims import WorkRow, add_batch, locked_work, open_items, settle
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.statements import chunks, now
from diary_pipeline.ledger.tables import work


def halve(ledger: Ledger, batch_id: str, attempt: int, last_attempt: int) -> tuple[str, ...]:
    """Plan what is open of a batch as two batches and return their ids, the more important half first.

    One id when one recording is left, none when others hold or did them all. Fenced (`batch_superseded`) when the batch
    is closed or at another attempt: two callers who saw the same dead run then halve it once.
    """
    return ledger.write(lambda tx: _halve(tx, batch_id, attempt, last_attempt))


def halve_ready(ledger: Ledger, stage: Stage, keys: Sequence[str], last_attempt: int) -> tuple[str, ...]:
    """Plan recordings that were given back without a word at their last attempt as two batches of their own.

    A single one goes on alone, its attempts counted on. What somebody took since is left to them.
    """
    return ledger.write(lambda tx: _halve_ready(tx, stage, keys, last_attempt))


def _halve(tx: sa.Connection, batch_id: str, attempt: int, last_attempt: int) -> tuple[str, ...]:
    found = open_items(tx, batch_id, attempt, None)
    ids = _add_halves(tx, found.stage, list(found.free.values()), last_attempt, last_attempt - 1)
    settle(tx, batch_id, {**found.outcomes, **dict.fromkeys(found.free, "released")})
    return ids


def _halve_ready(tx: sa.Connection, stage: Stage, keys: Sequence[str], last_attempt: int) -> tuple[str, ...]:
    found = locked_work(tx, stage, keys).values()
    mine = [row for row in found if row.state == "ready" and row.attempts >= last_attempt]
    return _add_halves(tx, stage, mine, last_attempt, mine[0].attempts if len(mine) == 1 else last_attempt - 1)


def _add_halves(
    tx: sa.Connection, stage: Stage, rows: Sequence[WorkRow], last_attempt: int, tried: int
) -> tuple[str, ...]:
    in_turn = sorted(rows, key=lambda w: (-w.priority, w.turn_at, w.ready_at, w.recording_key))
    middle = (len(in_turn) + 1) // 2
    halves = (in_turn[:middle], in_turn[middle:])
    return tuple(_add_half(tx, stage, half, last_attempt, tried) for half in halves if half)


def _add_half(tx: sa.Connection, stage: Stage, rows: Sequence[WorkRow], last_attempt: int, tried: int) -> str:
    id = uuid.uuid4().hex
    attempt = last_attempt if len(rows) > 1 else 1
    add_batch(tx, id, stage, rows, state="planned", attempt=attempt, planned_at=now(tx))
    nobodys = dict.fromkeys(("holder", "expires_at", "reason_code", "message"))
    # `attempts` counts runs that give it back: once more, and a half is halved again.
    once_more = {"epoch": work.c.epoch + 1, "attempts": tried, **nobodys}
    for some in chunks(row.recording_key for row in rows):
        mine = (work.c.stage == stage) & work.c.recording_key.in_(some)
        tx.execute(work.update().where(mine).values(state="planned", batch_id=id, **once_more))
    return id
