"""Fetching `gs://bucket/object#generation`: the bytes that were announced, or a code that says why not.

How a bucket is asked is storage/foreign.py's business. A download is verified whole and begins anew with each try: GCS
sends a day of speech in seconds. The surprise: an object that was overwritten before it was read is *superseded*, which
is no loss, because its newer generation has an announcement of its own.
"""

import time
from dataclasses import dataclass, field
from typing import IO, Any

from diary_pipeline.audio.probe import refuse_by_size
from diary_pipeline.core.errors import NotFound, PermanentError, TransientError
from diary_pipeline.intake.buckets import object_of
from diary_pipeline.intake.fetcher import Order
from diary_pipeline.storage.bucket import PATIENCE_S, Stored
from diary_pipeline.storage.foreign import ForeignBucket


@dataclass(frozen=True)
class GsFetcher:
    """Fetches objects; keeps one connection for each bucket."""

    buckets: dict[str, ForeignBucket] = field(default_factory=dict)

    def check(self, uri: str) -> None:
        """Refuse what is no address of an object."""
        object_of(uri)

    def fetch(self, order: Order) -> float | None:
        """Write the verified bytes of one generation; return when it was written. Without a generation, the newest."""
        name_of_bucket, name, pinned = object_of(order.uri)
        bucket = self.buckets.setdefault(name_of_bucket, ForeignBucket(name_of_bucket, PATIENCE_S))
        there = _wanted(order, bucket.stat(name), pinned)
        refuse_by_size(order.file_name, there.size_bytes, order.limits)
        order.on_progress(0, there.size_bytes)
        with order.into.open("r+b") as file:
            told: Any = _Watched(file, order, there.size_bytes)
            if not bucket.read(name, there.generation, told):
                _wanted(order, bucket.stat(name), there.generation)
                raise TransientError("source_unreachable", f"{order.file_name} was not there for a moment; try later.")
        return there.written_at


def _wanted(order: Order, there: Stored | None, pinned: int | None) -> Stored:
    if there is None:
        raise NotFound("source_gone", f"{order.file_name} was deleted from its bucket before it was read.")
    if pinned is not None and there.generation != pinned:
        raise PermanentError(
            "superseded",
            f"{order.file_name} was overwritten in its bucket before it was read; the newer object is taken by itself.",
        )
    return there


class _Watched:
    """A file that tells of each write how far it is."""

    def __init__(self, file: IO[bytes], order: Order, size_bytes: int) -> None:
        self._file, self._order, self._size_bytes = file, order, size_bytes

    def __getattr__(self, verb: str) -> object:
        return getattr(self._file, verb)

    def write(self, piece: bytes) -> int:
        written = self._file.write(piece)
        if time.monotonic() > self._order.until:
            raise TransientError("source_too_slow", f"{self._order.file_name} took too long to arrive; try later.")
        self._order.on_progress(self._file.tell(), self._size_bytes)
        return written
