"""What the product needs from an object store.

A protocol in our words, not a vendor's. Keys come from `keys.py`. Two kinds of object: a file, and a folder of several
files that appears whole or not at all and never changes afterwards.

What surprises: there is no `rename` and no `append`; GCS has neither, and nobody here needs them.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Protocol


class ObjectStore(Protocol):
    """Bytes by key. When a `put` returned, the object survives a power cut; a reader never sees half of one."""

    def put(self, key: str, data: bytes) -> None:
        """Store bytes; an object of that key is replaced."""
        ...

    def put_file(self, key: str, path: Path) -> None:
        """Store a copy of a local file; an object of that key is replaced."""
        ...

    def put_folder(self, key: str, files: Mapping[str, Path]) -> int:
        """Store copies of files as one immutable object and return its bytes; FileExistsError if it is there."""
        ...

    def get(self, key: str) -> bytes:
        """Return the bytes of a file, also of one inside a folder object; NotFound `object_missing`."""
        ...

    def path(self, key: str) -> Path:
        """Return a local path to read the file or folder object from; NotFound `object_missing`. Never write to it."""
        ...

    def bring(self, keys: Collection[str]) -> None:
        """Make ready what `path` will be asked for, where objects lie far away; what is missing is left out."""
        ...

    def exists(self, key: str) -> bool:
        """Tell whether a file or folder object of that key is there."""
        ...

    def written_at(self, key: str) -> float:
        """Return when a file or folder object was written, seconds since the epoch; NotFound `object_missing`."""
        ...

    def delete(self, key: str) -> None:
        """Remove a file or a folder object; nothing happens when it is absent."""
        ...

    def sweep(self, older_than_s: float) -> int:
        """Remove what killed writers left, once it is older than the longest write, and return how many."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys of all files that begin with the prefix (any string), in the order of their characters."""
        ...
