"""The keys that requests show, looked up in the ledger and believed for a few seconds.

What a key may do is auth.py's business. What surprises: a revocation bites after FRESH_S at most, on every replica,
without anybody telling them; and a key that was good once is looked up again even from an address that guesses keys,
so that one bad neighbour locks nobody out.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

from diary_pipeline.ledger import api_keys
from diary_pipeline.ledger.api_keys import ApiKey
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.observability.logs import log

FRESH_S = 5.0
MOST_KEPT = 10_000

logger = log(__name__)


class KeyRing:
    """The keys of one ledger as one process knows them; for one event loop."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._clock = clock
        self._found: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()
        self._noted_at: dict[str, float] = {}
        self._noting: set[asyncio.Task[None]] = set()

    def knows(self, text: str) -> bool:
        """Tell whether this very key was found before, fresh or not."""
        parts = api_keys.taken_apart(text)
        entry = self._found.get(parts[0]) if parts else None
        return entry is not None and parts is not None and entry[1].fits(parts[1])

    async def find(self, text: str) -> ApiKey | None:
        """Return the key that reads so, in whatever state it is; None: there is none."""
        parts = api_keys.taken_apart(text)
        if parts is None:
            return None
        id, secret = parts
        entry = self._found.get(id)
        if entry is not None and self._clock() < entry[0] + FRESH_S:
            key = entry[1] if entry[1].fits(secret) else None
        else:
            asked_at = self._clock()  # before the ledger answers: what it says is as old as the question
            key = await asyncio.to_thread(self._look_up, id, secret)
            self._keep(id, key, asked_at)
        if key is not None and key.state == "good":
            self._note_use(id)
        return key

    def _look_up(self, id: str, secret: str) -> ApiKey | None:
        with self._ledger.reading() as conn:
            return api_keys.matching(conn, id, secret)

    def _keep(self, id: str, key: ApiKey | None, asked_at: float) -> None:
        if key is None:  # what guessers ask for is not kept, or they would fill the memory
            return
        self._found[id] = (asked_at, key)
        self._found.move_to_end(id)
        if len(self._found) > MOST_KEPT:
            forgotten, _ = self._found.popitem(last=False)
            self._noted_at.pop(forgotten, None)

    def _note_use(self, id: str) -> None:
        """Write down the use beside the request, which waits for no writer of the ledger."""
        noted_at = self._noted_at.get(id)
        if noted_at is not None and self._clock() < noted_at + api_keys.USED_S:
            return
        self._noted_at[id] = self._clock()
        task = asyncio.create_task(asyncio.to_thread(self._write_use, id))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    def _write_use(self, id: str) -> None:
        try:
            api_keys.used(self._ledger, id)
        except Exception:  # when it was used last is good to know, and no reason to fail anything
            logger.exception("key_use_not_noted", key_id=id)
