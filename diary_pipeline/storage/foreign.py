"""A bucket that is not ours: its objects are looked at and read, and nothing in it is written or deleted.

How the SDK is asked is bucket.py's business. The surprise: a bucket without versioning holds only the newest generation
of an object, so one that was overwritten is as gone as one that was deleted; `stat` without a generation tells the two
apart.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from diary_pipeline.core.errors import ServiceMissing, TransientError
from diary_pipeline.storage.bucket import Bucket, Stored

PATIENCE_S = 15.0
"""Seconds for which one call is repeated: a tick of Dagster's has sixty, and what failed is tried again anyway."""


class ForeignBucket:
    """Objects of somebody else's, by their whole names; TransientError `source_unreachable`."""

    def __init__(self, name: str, patience_s: float = PATIENCE_S) -> None:
        """Nothing is opened before it is used."""
        self.name = name
        self._bucket = Bucket(f"gs://{name}", patience_s)

    def stat(self, name: str) -> Stored | None:
        """Look at the newest generation of an object; None: it is not there."""
        with self._answers():
            return self._bucket.stat(name)

    def page(self, prefix: str, after: str, most: int) -> list[Stored]:
        """List at most so many objects whose names begin with the prefix and come after a name, in order."""
        with self._answers():
            # The offset includes its own name, so one more is asked for.
            found = list(self._bucket.below(prefix, after, most + 1))
        return [object for object in found if object.name > after][:most]

    def read(self, name: str, generation: int, into: IO[bytes]) -> bool:
        """Write the verified bytes of one generation into a file opened empty; False: it is not there (any more)."""
        with self._answers():
            return self._bucket.read(name, into, generation) is not None

    @contextmanager
    def _answers(self) -> Iterator[None]:
        try:
            yield
        except ServiceMissing as error:
            why = type(error.__cause__).__name__ if error.__cause__ else error.code
            # No ServiceMissing: of many buckets one that is closed to us must not stop the work on the others.
            raise TransientError(
                "source_unreachable",
                f"gs://{self.name} cannot be read ({why}): see that the bucket is there and that these credentials "
                "have the role Storage Object Viewer on it; it is tried again.",
            ) from error
