"""The files that are being fetched, in the scratch folder under the id of their submission.

They outlive the process, so that whoever takes the submission next on this machine goes on from there. The surprise: a
lease in the ledger is not enough to write to one. A process that was stopped (SIGSTOP, a laptop's lid) wakes up without
its lease and with the file open, so the file itself is locked.
"""

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from diary_pipeline.core.errors import Fenced
from diary_pipeline.intake.near import unwritable
from diary_pipeline.intake.scratch import holds, remove_unheld, sweep_scratch
from diary_pipeline.ledger import submissions
from diary_pipeline.ledger.connect import Ledger

KEPT_S = 6 * 3600.0
"""The longest pause between two tries to fetch is shorter."""
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
        if not holds(part, handle):
            raise _held()
        yield part
    finally:
        os.close(handle)


def sweep_intake(scratch: Path, ledger: Ledger) -> None:
    """Remove what killed processes left on this machine of what was on its way in, and what nobody waits for."""

    def waiting(ids: Sequence[str]) -> set[str]:
        with ledger.reading() as conn:
            return submissions.waiting_among(conn, ids)

    sweep_scratch(scratch)
    sweep_parts(scratch, KEPT_S, waiting)


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
            remove_unheld(path)


def halves_of(scratch: Path, submission_ids: Collection[str]) -> int:
    """Count those of these submissions of which something is half fetched here."""
    return sum((scratch / _FOLDER / id).exists() for id in submission_ids)


def _held() -> Fenced:
    return Fenced("fetch_lease_lost", "Another worker of this machine has the file open, or has just removed it.")
