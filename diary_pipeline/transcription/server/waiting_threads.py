"""Threads that wait for somebody else's answer, a bounded number of them.

What surprises: they are daemons, unlike those of `concurrent.futures`, for which a process waits before it ends. With a
server that hangs, Ctrl-C would otherwise take as long as its slowest answer.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class WaitingThreads(Generic[T]):
    """Does what is submitted, first come first served; close it when nobody wants the rest."""

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._closed = False
        self._submitted: SimpleQueue[tuple[Future[T], Callable[[], T]] | None] = SimpleQueue()
        for _ in range(count):
            threading.Thread(target=self._work, name=name, daemon=True).start()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have it done as soon as a thread is free."""
        future: Future[T] = Future()
        self._submitted.put((future, work))
        return future

    def close(self) -> None:
        """Begin nothing more; what is under way is left to end by itself."""
        self._closed = True
        for _ in range(self._count):
            self._submitted.put(None)

    def _work(self) -> None:
        while (submitted := self._submitted.get()) is not None:
            future, work = submitted
            if self._closed:
                future.cancel()
                continue
            try:
                future.set_result(work())
            except Exception as error:  # noqa: BLE001 - whoever asks the future gets it
                future.set_exception(error)
