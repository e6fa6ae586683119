"""Whether something answers, tried once a second at most however many ask: nobody needs a key for that.

What surprises: whoever asks while somebody tries is told the last answer at once, and one of the first second, before
any, that it does not answer. All routes share their threads, and those who waited here for a ledger that is held would
keep everybody from reading.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from diary_pipeline.core.errors import DiaryError
from diary_pipeline.observability.logs import log

BELIEVED_S = 1.0
"""A failure as long as a success."""

logger = log(__name__)


@dataclass
class Probe:
    """The last answer of one thing that must be there."""

    name: str
    demand: Callable[[], None]
    """Raises where it does not answer; gives up by itself."""
    believed_s: float = BELIEVED_S
    _is_good: bool = False
    _until: float = 0.0
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def is_good(self) -> bool:
        """Tell whether it answers; one asker at a time waits for that."""
        if self._turn.acquire(blocking=False):
            try:
                if time.monotonic() > self._until:
                    self._is_good = self._try()
                    self._until = time.monotonic() + self.believed_s
            finally:
                self._turn.release()
        return self._is_good

    def _try(self) -> bool:
        try:
            self.demand()
        except DiaryError as error:
            logger.warning("not_ready", missing=self.name, code=error.code)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, it is not ready
            logger.warning("not_ready", missing=self.name, error=error)
        else:
            return True
        return False
