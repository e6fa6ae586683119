"""How long a new job will take, looked up once a second for everybody who asks.

The backlog is measured by ledger/backlog.py. What surprises: the same answer is given for a second, because measuring
costs more than opening a job (5 ms against 2.5 ms), and nobody plans by tenths of a second.
"""

import time
from dataclasses import dataclass, field

from diary_pipeline.ledger.backlog import estimate
from diary_pipeline.ledger.connect import Ledger

GOOD_FOR_S = 1.0


@dataclass(frozen=True)
class Estimates:
    """The estimates of one process; two threads that look up at once do no harm."""

    ledger: Ledger
    _known: dict[str, tuple[float, float]] = field(default_factory=dict, repr=False, compare=False)

    def seconds(self, priority: str) -> float:
        """Return the seconds from now until a job of this priority would be done that is opened now."""
        at, seconds = self._known.get(priority, (0.0, 0.0))
        if time.monotonic() - at > GOOD_FOR_S or priority not in self._known:
            with self.ledger.reading() as conn:
                seconds = estimate(conn, priority).seconds
            self._known[priority] = time.monotonic(), seconds
        return seconds
