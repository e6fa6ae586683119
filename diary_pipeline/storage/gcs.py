"""The object store on Google Cloud Storage.

A file is one object of its key. A folder object is one object too, `<key>/.pack`: an uncompressed ZIP of its files,
whose names also stand in the object's metadata. So it is there whole or not at all, is immutable by the precondition
that nothing lies there yet, and goes with one delete. Reading one of its files fetches them all, to this machine.

What surprises: `path` and reads from a folder object use local copies, which another process's `delete` does not
reach. A file is compared with the bucket each time; a folder object, whose name is never used twice, once a minute.
`forget_erased` compares all copies now; `sweep` does it once an hour, and what nobody compared for a day goes.
"""

import errno
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from diary_pipeline.core.errors import NotFound, UsageError
from diary_pipeline.storage.bucket import PATIENCE_S, Bucket, Stored, as_file
from diary_pipeline.storage.copies import LocalCopies, private
from diary_pipeline.storage.keys import checked_key

PACK = ".pack"
"""Begins with a dot, which no key does, and so comes before all names of its folder in a listing."""
TRUSTED_S = 60.0
COMPARED_S = 3600.0
_FILES = "files"


@dataclass(frozen=True)
class _Found:
    """An object that holds what a key names: itself, all of a folder object (`file` is ""), or one file of one."""

    stored: Stored
    packed: bool = False
    file: str = ""


class GcsStore:
    """Objects in a bucket; see ObjectStore for the promises."""

    def __init__(self, url: str, copies: Path, copies_mb: int, *, patience_s: float = PATIENCE_S) -> None:
        """`url` is gs://BUCKET/PREFIX; `copies` is a folder for at most about so many MB of local copies."""
        self.bucket = Bucket(url, patience_s)
        self.copies = LocalCopies(copies, copies_mb * 1_000_000)
        self._packs: dict[str, tuple[float, Stored]] = {}
        self._swept_at = float("-inf")

    def put(self, key: str, data: bytes) -> None:
        """Store bytes; an object of that key is replaced."""
        self.bucket.write(checked_key(key), data)

    def put_file(self, key: str, path: Path) -> None:
        """Store a copy of a local file; an object of that key is replaced."""
        self.bucket.write(checked_key(key), path)

    def put_folder(self, key: str, files: Mapping[str, Path]) -> int:
        """Store copies of files as one immutable object and return its bytes; FileExistsError if it is there."""
        checked_key(key)
        if not files:
            raise UsageError("object_key_invalid", f"Folder object {key} has no files; leave it out.")
        if inside := [name for name in files if "/" in checked_key(name)]:
            raise UsageError("object_key_invalid", f"{inside[0]!r} in {key} is a path; folder objects are flat.")
        with self.copies.staged() as pack:
            with private(pack).open("wb") as opened, zipfile.ZipFile(opened, "w", zipfile.ZIP_STORED) as packed:
                for name, path in files.items():
                    packed.write(path, name)
                size = sum(member.file_size for member in packed.infolist())
            if not self.bucket.write_over(f"{key}/{PACK}", pack, 0, {_FILES: "\n".join(sorted(files))}):
                raise FileExistsError(errno.EEXIST, "object exists", key)
        return size

    def get(self, key: str) -> bytes:
        """Return the bytes of a file, also of one inside a folder object; NotFound `object_missing`."""
        if self._trusted(checked_key(key).rpartition("/")[0]) is None and (found := self.read(key)) is not None:
            return found[0]
        try:
            return self.path(key).read_bytes()
        except IsADirectoryError as error:
            raise _missing(key) from error

    def path(self, key: str) -> Path:
        """Return a local copy of a file or folder object; NotFound `object_missing`. Never write to it."""
        for _ in range(2):  # it may be replaced between the look and the download
            found = self._find(checked_key(key))
            if found is None:
                break
            stored = found.stored
            copy = self.copies.find(stored.name, stored.generation)
            copy = copy or self.copies.take_in(stored.name, stored.generation, partial(self._fetch, found))
            if copy is not None:
                return copy / found.file if found.file else copy
            self._forget(stored.name)
        raise _missing(key)

    def exists(self, key: str) -> bool:
        """Tell whether a file or folder object of that key is there."""
        return self._find(checked_key(key)) is not None

    def delete(self, key: str) -> None:
        """Remove a file or a folder object, and its copies on this machine; nothing happens when it is absent."""
        for name in (checked_key(key), f"{key}/{PACK}"):
            self.bucket.delete(name)
            self._forget(name)

    def sweep(self, older_than_s: float) -> int:
        """Remove what killed processes left beside the local copies, and copies of what is gone; return how many.

        The bucket itself holds nothing half done. At most every ten minutes, because intake asks in every tick.
        """
        if time.monotonic() - self._swept_at < 600:
            return 0
        self._swept_at = time.monotonic()
        return self.copies.sweep(older_than_s) + self.forget_erased(COMPARED_S)

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys of all files that begin with the prefix (any string), in the order of their characters."""
        folder, _, begun = prefix.rpartition("/")
        if folder:
            checked_key(folder)
        return self._walk(prefix, folder if begun else "")

    def read(self, key: str) -> tuple[bytes, int] | None:
        """Return the bytes of a file with their generation, from the bucket itself; None: it is not there."""
        into = as_file()
        found = self.bucket.read(checked_key(key), into)
        return (into.getvalue(), found.generation) if found else None

    def put_over(self, key: str, data: bytes, generation: int) -> bool:
        """Replace a file if it still is of this generation (0: it is not there); False: somebody was faster."""
        return self.bucket.write_over(checked_key(key), data, generation)

    def fetch(self, key: str, into: Path) -> None:
        """Write a file of the store to a new, private local one, past the local copies; NotFound `object_missing`."""
        with private(into).open("r+b") as file:
            if self.bucket.read(checked_key(key), file) is None:
                raise _missing(key)

    def forget_erased(self, not_compared_for_s: float = 0.0) -> int:
        """Remove local copies of objects that are no longer in the bucket, or are others now, and return how many.

        Erasure calls it on each machine that keeps copies; the bytes are in no process's reach afterwards.
        """
        gone = 0
        for copy in self.copies.all():
            if time.time() - copy.compared_at >= not_compared_for_s:
                stored = self.bucket.stat(copy.name)
                if stored is not None and stored.generation == copy.generation:
                    self.copies.compared(copy)
                else:
                    self._packs.pop(copy.name, None)
                    gone += self.copies.remove(copy)
        return gone

    def _find(self, key: str) -> _Found | None:
        folder, _, name = key.rpartition("/")
        if (pack := self._trusted(folder)) is not None:
            return _Found(pack, True, name) if name in _names(pack) else None
        if self._trusted(key) is None and (stored := self.bucket.stat(key)) is not None:
            return _Found(stored)
        if (pack := self._pack(key)) is not None:
            return _Found(pack, True)
        if folder and (pack := self._pack(folder)) is not None and name in _names(pack):
            return _Found(pack, True, name)
        self._forget(key)
        return None

    def _pack(self, key: str) -> Stored | None:
        if (pack := self._trusted(key)) is not None:
            return pack
        name = f"{key}/{PACK}"
        pack = self.bucket.stat(name)
        if pack is None:
            self._forget(name)
        else:
            self._packs[name] = time.monotonic(), pack
        return pack

    def _trusted(self, key: str) -> Stored | None:
        seen_at, pack = self._packs.get(f"{key}/{PACK}", (float("-inf"), None))
        return pack if time.monotonic() - seen_at < TRUSTED_S else None

    def _fetch(self, found: _Found, at: Path) -> bool:
        """Write the object, unpacked, to `at`; False: the bucket holds that generation no longer."""
        with self.copies.staged() as staged, private(staged).open("r+b") as file:
            if self.bucket.read(found.stored.name, file, found.stored.generation) is None:
                return False
            if found.packed:
                at.mkdir(mode=0o700)
                _unpack(file, at)
            else:
                staged.rename(at)
        return True

    def _forget(self, name: str) -> None:
        self._packs.pop(name, None)
        self.copies.forget(name)

    def _walk(self, prefix: str, inside: str) -> Iterator[str]:
        if inside and (pack := self._pack(inside)) is not None:
            yield from (key for name in _names(pack) if (key := f"{inside}/{name}").startswith(prefix))
        for stored in self.bucket.below(prefix):
            folder, _, name = stored.name.rpartition("/")
            if name == PACK:
                yield from (f"{folder}/{name}" for name in _names(stored))
            else:
                yield stored.name


def _names(pack: Stored) -> list[str]:
    return pack.said.get(_FILES, "").split("\n")


def _unpack(file: IO[bytes], folder: Path) -> None:
    with zipfile.ZipFile(file) as packed:
        for name in packed.namelist():
            with packed.open(name) as member, private(folder / checked_key(name)).open("wb") as into:
                while block := member.read(1 << 20):
                    into.write(block)


def _missing(key: str) -> NotFound:
    return NotFound(
        "object_missing", f"Object {key} is not in the bucket; restore it from a backup, or ingest its recording again."
    )
