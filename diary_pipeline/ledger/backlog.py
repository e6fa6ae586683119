"""How long a job that is opened now will take, by what waits before it and by how fast audio was worked off lately."""

from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.core.batch import priority_rank
from diary_pipeline.ledger.tables import work

UNMEASURED_RATE = 1.0
"""Seconds of audio a second, while nothing was measured yet: what one slow machine does at the least."""


@dataclass(frozen=True)
class Estimate:
    """When a job of some priority would be done that is opened now."""

    seconds: float
    """From now on."""
    waiting_s: float
    """Audio that goes before it."""
    rate: float | None
    """Seconds of audio worked off in a second, measured; None: nothing was, and `seconds` is a guess."""


def estimate(conn: sa.Connection, priority: str) -> Estimate:
    """Estimate how long a job of this priority takes from now on."""
    before = (work.c.stage == "transcript") & (work.c.state == "ready") & (work.c.priority >= priority_rank(priority))
    waiting_s = float(
        conn.execute(sa.select(sa.func.coalesce(sa.func.sum(work.c.audio_s), 0.0)).where(before)).scalar_one()
    )
    return Estimate(waiting_s / UNMEASURED_RATE, waiting_s, None)
