"""The files that are being fetched, in the scratch folder under the id of their submission.

They outlive the process, so that whoever takes the submission next on this machine goes on from there. The surprise: a
lease in the ledger is not enough to write to one. A process that was stopped (SIGSTOP, a laptop's lid) wakes up without
its lease and with the file open, so the file itself is locked.
"""

import fcntl
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from diary_pipeline.core.errors import Fenced
from diary_pipeline.intake.near import unwritable

_FOLDER = "fetched"
_MOST = 50
"""Halves that wait for another try: each may be as large as the largest recording."""


@contextmanager
def part_of(scratch: Path, submission_id: str) -> Iterator[Path]:
    """Give the file that a submission is fetched into; Fenced while another process of this machine has it."""
    folder = scratch / _FOLDER
    part = folder / submission_id
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(part, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Fenced("fetch_lease_lost", "Another worker of this machine still has the file open.") from None
    else:
        if not _is_still(part, handle):
            raise Fenced("fetch_lease_lost", "Another worker of this machine has just removed the file.")
        yield part
    finally:
        os.close(handle)


def sweep_parts(scratch: Path, kept_s: float, waiting: Callable[[Sequence[str]], Collection[str]]) -> None:
    """Remove what was half fetched and forgotten, what no submission waits for, and the oldest of too many.

    What somebody has open is left to them. `waiting`: which of these submissions still wait for their bytes.
    """
    parts: list[tuple[float, Path]] = []
    for path in (scratch / _FOLDER).glob("*"):
        if path.suffix and path.with_suffix("").exists():
            continue  # what a fetcher noted beside a part goes with it
        try:
            parts.append((path.stat().st_mtime, path))
        except FileNotFoundError:
            continue  # another worker was faster
    if not parts:
        return
    wanted = waiting([path.name for _, path in parts])
    limit = time.time() - kept_s
    for n, (changed_at, path) in enumerate(sorted(parts, reverse=True)):
        if changed_at < limit or n >= _MOST or path.name not in wanted:
            _remove(path)


def _remove(part: Path) -> None:
    try:
        handle = os.open(part, os.O_RDWR)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in part.parent.glob(f"{part.name}*"):
            path.unlink(missing_ok=True)
    except BlockingIOError:
        return  # it is being fetched
    finally:
        os.close(handle)


def _is_still(part: Path, handle: int) -> bool:
    """Tell whether what was opened is what bears the name: it may have been removed before it was locked."""
    try:
        return os.path.samestat(part.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
