"""Scratch files: bytes on their way into the object store, in a private folder of this machine.

What is being fetched outlives its process and stands in parts.py. The surprise: each file is locked for as long as
somebody uses it. What can be locked was left by a killed process, and may hold a diary: it goes with the next look,
however young it is.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diary_pipeline.intake.near import unwritable
from diary_pipeline.observability.logs import log

logger = log(__name__)


@contextmanager
def scratch_file(folder: Path) -> Iterator[Path]:
    """Give an empty file of this user's own that is gone afterwards; ServiceMissing where there can be none."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, path = _begun(folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def sweep_scratch(folder: Path) -> int:
    """Remove what killed processes left, and return how many files that were; those below folders are others'."""
    return sum(remove_unheld(path) for path in folder.glob("*") if path.is_file())


def remove_unheld(path: Path) -> bool:
    """Remove a file with what lies beside it under a longer name, unless somebody has it locked."""
    try:
        with path.open("r+b", buffering=0) as file:
            if not holds(path, file.fileno()):
                return False
            for mine in path.parent.glob(f"{path.name}*"):
                mine.unlink(missing_ok=True)
    except FileNotFoundError:
        return False  # another worker was faster
    except OSError as error:  # another user's, or no locks there: one file must not keep intake from the others
        logger.warning("scratch_left", error=error.strerror)
        return False
    return True


def holds(path: Path, handle: int) -> bool:
    """Lock an open file and tell whether it is still what bears the name; False: it is, or was, somebody else's."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(path.stat(), os.fstat(handle))
    except (BlockingIOError, FileNotFoundError):
        return False


def _begun(folder: Path) -> tuple[int, Path]:
    while True:
        handle, name = tempfile.mkstemp(dir=folder)  # for this user only
        try:
            if holds(Path(name), handle):  # else a sweep has found it before it was locked
                return handle, Path(name)
        except OSError:
            os.close(handle)
            raise
        os.close(handle)
