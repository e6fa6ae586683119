"""How long jobs will take, from what is looked up once a second for everybody who asks.

The backlog is measured by ledger/backlog.py. What surprises: for a second the same is said of all jobs that are opened
with one priority, because measuring costs more than opening a job (5 ms against 2.5 ms), and nobody plans by tenths of
a second. Of an open job its own place is looked up each time, the rates once a second.
"""

import time
from dataclasses import dataclass, field

from diary_pipeline.ledger.backlog import Rates, new_job_s, open_job_s, rates
from diary_pipeline.ledger.connect import Ledger

GOOD_FOR_S = 1.0


@dataclass
class Estimates:
    """The estimates of one process; two threads that look up at once do no harm."""

    ledger: Ledger
    _rates: tuple[float, Rates] | None = field(default=None, repr=False, compare=False)
    _known: dict[str, tuple[float, float]] = field(default_factory=dict, repr=False, compare=False)

    def seconds(self, priority: str) -> float:
        """Return the seconds from now until a job of this priority would be done that is opened now."""
        at, seconds = self._known.get(priority, (0.0, 0.0))
        if time.monotonic() - at > GOOD_FOR_S or priority not in self._known:
            rate = self._rate()
            with self.ledger.reading() as conn:
                seconds = new_job_s(conn, rate, priority)
            self._known[priority] = time.monotonic(), seconds
        return seconds

    def left_s(self, id: str) -> float:
        """Return the seconds from now until this open job is done."""
        rate = self._rate()
        with self.ledger.reading() as conn:
            return open_job_s(conn, rate, id)

    def _rate(self) -> Rates:
        known = self._rates
        if known is None or time.monotonic() - known[0] > GOOD_FOR_S:
            with self.ledger.reading() as conn:
                known = time.monotonic(), rates(conn)
            self._rates = known
        return known[1]
