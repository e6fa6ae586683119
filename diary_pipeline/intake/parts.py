"""The files that are being fetched, in the scratch folder under the id of their submission.

They outlive the process, so that whoever takes the submission next on this machine goes on from there. The surprise: a
lease in the ledger is not enough to write to one. A process that was stopped (SIGSTOP, a laptop's lid) wakes up without
its lease and with the file open, so the file itself is locked.
"""

import fcntl
import os
import time
from collections.abc import Iterator
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
        yield part
    finally:
        os.close(handle)


def sweep_parts(scratch: Path, kept_s: float) -> None:
    """Remove what was half fetched and forgotten, and the oldest of too many."""
    parts = []
    for path in (scratch / _FOLDER).glob("*"):
        try:
            parts.append((path.stat().st_mtime, path))
        except FileNotFoundError:
            continue  # another worker was faster
    limit = time.time() - kept_s
    newest_first = sorted(parts, reverse=True)
    for n, (changed_at, path) in enumerate(newest_first):
        if changed_at < limit or n >= _MOST:
            path.unlink(missing_ok=True)
