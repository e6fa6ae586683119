"""The object store in a folder: a local disk or NFS.

Everything is written under `.staging` inside the root (so on the same file system), synced, and renamed into place. A
crash leaves litter in `.staging` only, never a half object; `sweep` removes it.

What surprises: the parent folder is synced too. Without that a rename that returned can be undone by a power cut. And
whatever the umask says, objects are their owner's alone (0600, folders 0700): they hold a diary.
"""

import errno
import os
import shutil
import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from diary_pipeline.core.errors import NotFound, ServiceMissing, UsageError
from diary_pipeline.storage.keys import checked_key

STAGING = ".staging"
_UNWRITABLE = frozenset(
    {errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ESTALE}
)


class FolderStore:
    """Objects as files; see ObjectStore for the promises."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, key: str, data: bytes) -> None:
        """Store bytes; an object of that key is replaced."""
        target = self._target(key)
        with self._staged() as staged:
            _private(staged).write_bytes(data)
            _into_place(staged, target)

    def put_file(self, key: str, path: Path) -> None:
        """Store a copy of a local file; an object of that key is replaced."""
        target = self._target(key)
        with self._staged() as staged:
            shutil.copyfile(path, _private(staged))
            _into_place(staged, target)

    def put_folder(self, key: str, files: Mapping[str, Path]) -> int:
        """Store copies of files as one immutable object and return its bytes; FileExistsError if it is there."""
        target = self._target(key)
        if not files:
            raise UsageError("object_key_invalid", f"Folder object {key} has no files; leave it out.")
        if target.exists():
            raise FileExistsError(errno.EEXIST, "object exists", key)
        size = 0
        with self._staged() as staged:
            staged.mkdir(mode=0o700)
            for name, path in files.items():
                copy = staged / checked_key(name)
                if copy.parent != staged:
                    raise UsageError("object_key_invalid", f"{name!r} in {key} is a path; folder objects are flat.")
                shutil.copyfile(path, _private(copy))
                size += _sync(copy)
            _sync(staged)
            _make_folder(target.parent)
            try:
                staged.rename(target)
            except OSError as error:
                # Renaming onto a full folder says ENOTEMPTY on Linux and EEXIST elsewhere: somebody was faster.
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise FileExistsError(errno.EEXIST, "object exists", key) from error
                raise
            _sync(target.parent)
        return size

    def get(self, key: str) -> bytes:
        """Return the bytes of a file, also of one inside a folder object; NotFound `object_missing`."""
        try:
            return self._target(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise _missing(key) from error

    def path(self, key: str) -> Path:
        """Return the file or folder itself; NotFound `object_missing`. Never write to it."""
        target = self._target(key)
        if not target.exists():
            raise _missing(key)
        return target

    def bring(self, keys: Collection[str]) -> None:
        """Do nothing: everything is here."""

    def exists(self, key: str) -> bool:
        """Tell whether a file or folder object of that key is there."""
        return self._target(key).exists()

    def written_at(self, key: str) -> float:
        """Return when a file or folder object was written, seconds since the epoch; NotFound `object_missing`."""
        try:
            return self._target(key).stat().st_mtime
        except (FileNotFoundError, NotADirectoryError) as error:
            raise _missing(key) from error

    def delete(self, key: str) -> None:
        """Remove a file or a folder object; nothing happens when it is absent."""
        target = self._target(key)
        with self._staged() as staged:
            try:
                target.rename(staged)  # gone at once for readers, however long removing its files takes
            except (FileNotFoundError, NotADirectoryError):
                return
            _sync(target.parent)

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys of all files that begin with the prefix (any string), in the order of their characters."""
        folder = prefix.rpartition("/")[0]
        if folder:
            checked_key(folder)
        return self._walk(self.root / folder, f"{folder}/" if folder else "", prefix)

    def sweep(self, older_than_s: float) -> int:
        """Remove what killed writers left in staging, once it is older than the longest write, and return how many."""
        limit = time.time() - older_than_s
        swept = 0
        for left in (self.root / STAGING).glob("*"):
            try:
                if left.stat().st_mtime < limit:
                    _remove(left)
                    swept += 1
            except OSError:
                continue  # its writer finished, or it is another user's
        return swept

    def _target(self, key: str) -> Path:
        return self.root / checked_key(key)

    @contextmanager
    def _staged(self) -> Iterator[Path]:
        staged = self.root / STAGING / uuid.uuid4().hex
        try:
            _make_folder(staged.parent)
            yield staged
        except OSError as error:
            if error.errno in _UNWRITABLE:
                raise ServiceMissing(
                    "store_unwritable",
                    f"The object folder {self.root} cannot be written by user id {os.getuid()} ({error.strerror}); "
                    "give that user the folder or free space on its disk.",
                ) from error
            raise
        finally:
            _remove(staged)

    def _walk(self, folder: Path, at: str, prefix: str) -> Iterator[str]:
        try:
            # A folder sorts as `name/`, as GCS sorts whole keys: `a-b` before `a/b`.
            names = sorted(
                e.name + ("/" if e.is_dir() else "") for e in os.scandir(folder) if not e.name.startswith(".")
            )
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in names:
            key = at + name
            if name.endswith("/"):
                if key.startswith(prefix) or prefix.startswith(key):
                    yield from self._walk(folder / name, key, prefix)
            elif key.startswith(prefix):
                yield key


def _into_place(staged: Path, target: Path) -> None:
    _sync(staged)
    _make_folder(target.parent)
    staged.replace(target)
    _sync(target.parent)


def _private(file: Path) -> Path:
    file.touch(mode=0o600, exist_ok=False)
    return file


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError as error:  # a file is in the way
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error
    _sync(folder.parent)


def _sync(path: Path) -> int:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
        return os.fstat(handle).st_size
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def _missing(key: str) -> NotFound:
    return NotFound(
        "object_missing", f"Object {key} is not in the store; restore it from a backup, or ingest its recording again."
    )
