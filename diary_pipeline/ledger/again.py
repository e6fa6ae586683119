"""Work that is wanted once more: chosen recordings are planned again, in proper batches, as if they had just come in.

Who is chosen is upkeep/reprocess.py's business; notes that went stale by themselves are stale.py's. The surprise: what
users see, and the recording's status, stay as they are until the successor is committed; one that fails changes nothing
where a good version is there.
"""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from diary_pipeline.core.batch import PRIORITIES, Stage
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.statements import each, now
from diary_pipeline.ledger.tables import recordings, work

IDLE = ("done", "failed")
WorkRows = Mapping[tuple[str, str], sa.Row[tuple[object, ...]]]


def want_again(ledger: Ledger, stage: Stage, keys: Sequence[str], model: str | None = None) -> list[str]:
    """Have a stage of these recordings done again, and return those for which that is now planned.

    `model` is what they are transcribed with from now on; None: what they have now. Left alone are those that are
    waiting or worked on anyway, and notes whose transcript is to be made anew.
    """
    return ledger.write(lambda tx: _want_again(tx, stage, sorted(set(keys)), model)) if keys else []


def idle(conn: sa.Connection, stage: Stage, keys: Sequence[str]) -> dict[str, float]:
    """Return seconds of audio of those recordings that nobody works on or waits for at this stage."""
    rows = {(row.recording_key, row.stage): row for row in each(conn, sa.select(work), work.c.recording_key, keys)}
    return {key: rows[key, stage].audio_s for key in keys if _is_idle(rows, stage, key)}


def locked(tx: sa.Connection, keys: Sequence[str]) -> WorkRows:
    """Lock all work of these recordings and return it by key and stage."""
    chosen = sa.select(work).order_by(work.c.recording_key, work.c.stage).with_for_update()
    return {(row.recording_key, row.stage): row for row in each(tx, chosen, work.c.recording_key, keys)}


def ready(at: float) -> dict[str, str | float | bool | None]:
    """Return what work becomes that is to be done anew: waited for, untried, nobody's."""
    free = dict.fromkeys(("batch_id", "holder", "expires_at", "reason_code", "message"))
    return {"state": "ready", "wanted": True, "ready_at": at, "attempts": 0, "retries": 0, **free}


def after_what_is_new(stage: Stage, at: float) -> sa.Update:
    """Have work of a stage done anew, but what is new first; whoever was at it and was given up for dead is fenced."""
    low = {"priority": min(PRIORITIES.values()), "epoch": work.c.epoch + 1}
    return work.update().where(work.c.stage == stage).values(**ready(at), **low)


def _want_again(tx: sa.Connection, stage: Stage, keys: Sequence[str], model: str | None) -> list[str]:
    rows = locked(tx, keys)
    found = [key for key in keys if _is_idle(rows, stage, key)]
    again = after_what_is_new(stage, now(tx))
    if model is not None:
        each(tx, recordings.update().values(whisper_model=model), recordings.c.key, found)
    if stage == "transcript":  # by the model that is wanted now; their turn comes after what waits already
        wanted = sa.select(recordings.c.whisper_model).where(recordings.c.key == work.c.recording_key)
        again = again.values(model=wanted.scalar_subquery(), turn_at=now(tx))
    each(tx, again, work.c.recording_key, found)
    return found


def _is_idle(rows: WorkRows, stage: Stage, key: str) -> bool:
    mine, transcript = rows.get((key, stage)), rows.get((key, "transcript"))
    if mine is None or mine.state not in IDLE or mine.wanted:
        return False
    return stage == "transcript" or not (transcript is not None and transcript.wanted)
