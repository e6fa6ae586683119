"""Jobs of many threads, opened in as few transactions as there are turns: one waits for the disk for all who came.

The surprise: nobody is in charge. Who gets the turn opens what all the others have left meanwhile, and they find their
answer there when the turn comes to them. A thread that is alone waits for nobody.
"""

import threading
from dataclasses import dataclass, field

from diary_pipeline.core.errors import PermanentError
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.database_errors import UNHOLDABLE
from diary_pipeline.ledger.jobs import NewJob, Opened, open_jobs

MOST_TOGETHER = 256
"""In one transaction; some tens of milliseconds on either database."""
_OF_ONE = (PermanentError, *UNHOLDABLE)
"""What is wrong with one of the jobs; see database_errors.py for why these alone prove that none was opened."""


@dataclass
class _Asked:
    job: NewJob
    opened: Opened | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class JobsTogether:
    """Opens the jobs of one process."""

    ledger: Ledger
    _waiting: list[_Asked] = field(default_factory=list, repr=False, compare=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def open(self, job: NewJob) -> Opened:
        """Open a job durably; blocks. Errors as of `open_jobs`, each for the job that it is about."""
        asked = _Asked(job)
        self._waiting.append(asked)  # lists are safe to append to; taken from by the one whose turn it is
        while asked.opened is None and asked.error is None:
            with self._turn:
                if asked.opened is None and asked.error is None:
                    some = self._waiting[:MOST_TOGETHER]
                    self._open(some)
                    del self._waiting[: len(some)]
        if asked.error is not None:
            raise asked.error
        assert asked.opened is not None  # noqa: S101 -- the loop ends with one of the two
        return asked.opened

    def _open(self, some: list[_Asked]) -> None:
        try:
            for asked, opened in zip(some, open_jobs(self.ledger, [asked.job for asked in some]), strict=True):
                asked.opened = opened
        except Exception as error:  # noqa: BLE001 - told to those whose jobs these are
            if len(some) > 1 and isinstance(error, _OF_ONE):
                self._open_each(some)
                return
            for asked in some:
                asked.error = error

    def _open_each(self, some: list[_Asked]) -> None:
        """Let each find out for itself; what is wrong with the ledger is found out once, because each look may wait."""
        wrong: Exception | None = None
        for asked in some:
            if wrong is None:
                self._open([asked])
                wrong = None if isinstance(asked.error, _OF_ONE) else asked.error
            else:
                asked.error = wrong
