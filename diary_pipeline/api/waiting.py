"""Requests that wait for the transcript of their job: all of a process are served by one question at a time.

The surprise: who waits costs nothing but a future. One task asks the ledger for all jobs that are waited for, in one
statement, and it ends when nobody waits any more; a thousand open requests poll as much as one.
"""

import asyncio
from collections import defaultdict

from diary_pipeline.core.batch import ENDED
from diary_pipeline.ledger import submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.submissions import Submission

EVERY_S = 0.3
"""Between two questions: less than a person notices beside the seconds that a transcript takes."""
HEARD = ENDED | {"generating_notes"}
"""Statuses from which on a transcript is there, or will not be."""


class Waiting:
    """The jobs that are waited for in this process; belongs to one event loop."""

    def __init__(self, ledger: Ledger, every_s: float = EVERY_S) -> None:
        self._ledger = ledger
        self._every_s = every_s
        self._waiting: dict[str, set[asyncio.Future[Submission | None]]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None

    async def heard(self, id: str, most_s: float) -> Submission | None:
        """Return a job once it is transcribed or has ended; None when it was removed. TimeoutError after `most_s`."""
        answer: asyncio.Future[Submission | None] = asyncio.get_running_loop().create_future()
        self._waiting[id].add(answer)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._ask())
        try:
            async with asyncio.timeout(most_s):
                return await answer
        finally:
            self._waiting[id].discard(answer)
            if not self._waiting[id]:
                del self._waiting[id]

    async def _ask(self) -> None:
        while self._waiting:
            asked = list(self._waiting)
            try:
                found = await asyncio.to_thread(self._look, asked)
            except Exception as error:  # noqa: BLE001 - each of those who wait is told, and the next who comes asks anew
                for id in asked:
                    self._answer(id, error)
                continue
            for id in asked:
                job = found.get(id)
                if job is None or job.status in HEARD:
                    self._answer(id, job)
            await asyncio.sleep(self._every_s)

    def _look(self, ids: list[str]) -> dict[str, Submission]:
        with self._ledger.reading() as conn:
            return {job.id: job for job in submissions.get(conn, ids)}

    def _answer(self, id: str, said: Submission | Exception | None) -> None:
        for answer in self._waiting.pop(id, set()):
            if answer.done():
                continue
            if isinstance(said, Exception):
                answer.set_exception(said)
            else:
                answer.set_result(said)
