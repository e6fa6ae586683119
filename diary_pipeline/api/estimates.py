"""How long jobs will take, from what is looked up once a second at most for everybody who asks.

The backlog is measured by ledger/backlog.py; of an open job its own rows are read then. What surprises: whoever asks
while somebody looks is told by what was seen before; and a look that took long is believed for longer, because nobody
plans by seconds who is behind a thousand memos.
"""

import threading
import time
from dataclasses import dataclass, field

from diary_pipeline.ledger.backlog import Backlog, Speeds, new_job_s, open_job_s, speeds, waiting
from diary_pipeline.ledger.connect import Ledger

GOOD_FOR_S = 1.0
SHARE = 20
"""A look is believed for so many times as long as it took: a twentieth of one thread's time is what it may cost."""


@dataclass(frozen=True)
class _Seen:
    speed: Speeds
    backlog: Backlog
    until: float


@dataclass
class Estimates:
    """The estimates of one process."""

    ledger: Ledger
    good_for_s: float = GOOD_FOR_S
    _seen: _Seen | None = field(default=None, repr=False, compare=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def seconds(self, priority: str) -> float:
        """Return the seconds from now until a job of this priority would be done that is opened now."""
        seen = self._look()
        return new_job_s(seen.speed, seen.backlog, priority)

    def left_s(self, id: str) -> float:
        """Return the seconds from now until this open job is done."""
        seen = self._look()
        with self.ledger.reading() as conn:
            return open_job_s(conn, seen.speed, seen.backlog, id)

    def _look(self) -> _Seen:
        seen = self._seen
        if seen is not None and (time.monotonic() < seen.until or not self._turn.acquire(blocking=False)):
            return seen
        if seen is None:
            self._turn.acquire()
        try:
            if self._seen is None or self._seen is seen:  # else somebody has looked meanwhile
                began = time.monotonic()
                with self.ledger.reading() as conn:
                    speed, backlog = speeds(conn), waiting(conn)
                ended = time.monotonic()
                self._seen = _Seen(speed, backlog, ended + max(self.good_for_s, SHARE * (ended - began)))
            return self._seen
        finally:
            self._turn.release()
