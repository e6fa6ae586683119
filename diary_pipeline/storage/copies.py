"""Local copies of objects that never change: a bounded folder that all processes of a machine share.

A copy is of one generation of one object, appears whole, and is its owner's alone (0600, folders 0700). Asking the
store is gcs.py's business; here nothing is fetched.

What surprises: the bound gives way. What was handed out within ten minutes is not removed, because a fold opens the
files of many objects at once after asking for all of them.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from diary_pipeline.core.errors import ServiceMissing

IN_USE_S = 600.0
KEPT_S = 86_400.0
"""Seconds after which a copy goes that nobody used or compared with the store: the longest an erased one can last."""
_ROOM = 0.05  # so much of the bound may be filled before the folder is looked through again
_STAGING = ".staging"
_FULL = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR})


@dataclass(frozen=True)
class Copy:
    """One copy as it lies."""

    entry: Path
    name: str
    generation: int
    size_bytes: int
    used_at: float
    compared_at: float


class LocalCopies:
    """The folder; an entry is `<hash of the name>-<generation>/` with `name`, and the object as `object`."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder = folder
        self.most_bytes = most_bytes
        self._taken_in = most_bytes  # the first one taken in looks the folder through

    def find(self, name: str, generation: int) -> Path | None:
        """Return the copy of this very generation, or None."""
        entry = self._entry(name, generation)
        try:
            os.utime(entry)
        except FileNotFoundError:
            return None
        return entry / "object"

    def take_in(self, name: str, generation: int, fill: Callable[[Path], bool]) -> Path | None:
        """Have a copy written to the path that `fill` is given, and return it; None when `fill` says that it cannot."""
        entry = self._entry(name, generation)
        with self.staged() as staged:
            staged.mkdir(mode=0o700)
            private(staged / "name").write_text(name, encoding="ascii")
            if not fill(staged / "object"):
                return None
            size = _size(staged / "object")
            try:
                staged.rename(entry)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # else somebody was faster with the same bytes
                    raise
        self._taken_in += size
        if self._taken_in > self.most_bytes * _ROOM:
            self._taken_in = 0
            self._make_room()
        return self.find(name, generation)

    def forget(self, name: str) -> int:
        """Remove the copies of an object, whatever their generation, and return how many."""
        found = [entry for entry in self.folder.glob(f"{_hash(name)}-*") if self._remove(entry)]
        return len(found)

    def all(self) -> Iterator[Copy]:
        """Yield the copies as they lie; one that vanishes meanwhile is left out."""
        for entry in self.folder.glob("*-*"):
            try:
                said = entry / "name"
                name = said.read_text(encoding="ascii")
                generation = int(entry.name.rpartition("-")[2])
                yield Copy(
                    entry, name, generation, _size(entry / "object"), entry.stat().st_mtime, said.stat().st_mtime
                )
            except (FileNotFoundError, NotADirectoryError, ValueError):
                continue

    def remove(self, copy: Copy) -> bool:
        """Remove a copy; False: somebody did."""
        return self._remove(copy.entry)

    def compared(self, copy: Copy) -> None:
        """Note that the store holds this generation now."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(copy.entry / "name")

    def sweep(self, older_than_s: float) -> int:
        """Remove what killed processes left half done, once it is that old, and what nobody wants; return how many."""
        limit = time.time() - older_than_s
        swept = 0
        for left in (self.folder / _STAGING).glob("*"):
            with contextlib.suppress(FileNotFoundError):
                if left.stat().st_mtime < limit:
                    _delete(left)
                    swept += 1
        return swept + sum(map(self.remove, filter(_unwanted, self.all())))

    @contextlib.contextmanager
    def staged(self) -> Iterator[Path]:
        """Give a path on the disk of the copies that is gone afterwards; `store_unwritable` when there is no room."""
        staged = self.folder / _STAGING / uuid.uuid4().hex
        try:
            for folder in (self.folder, staged.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            yield staged
        except OSError as error:
            if error.errno in _FULL:
                raise ServiceMissing(
                    "store_unwritable",
                    f"The folder of local copies {self.folder} cannot be written by user id {os.getuid()} "
                    f"({error.strerror}); give that user the folder or free space on its disk.",
                ) from error
            raise
        finally:
            _delete(staged)

    def _make_room(self) -> None:
        now = time.time()
        copies = sorted(self.all(), key=lambda copy: copy.used_at)
        held = sum(copy.size_bytes for copy in copies)
        for copy in copies:
            if _unwanted(copy) or (held > self.most_bytes and now - copy.used_at > IN_USE_S):
                self._remove(copy.entry)
                held -= copy.size_bytes

    def _remove(self, entry: Path) -> bool:
        with self.staged() as away:
            try:
                entry.rename(away)  # gone at once for whoever looks for it
            except FileNotFoundError:
                return False
        return True

    def _entry(self, name: str, generation: int) -> Path:
        return self.folder / f"{_hash(name)}-{generation}"


def _unwanted(copy: Copy) -> bool:
    return time.time() - max(copy.used_at, copy.compared_at) > KEPT_S


def private(file: Path) -> Path:
    """Make an empty file that only its owner may read, whatever the umask."""
    file.touch(mode=0o600, exist_ok=False)
    return file


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def _size(path: Path) -> int:
    files = path.iterdir() if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files)


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
