"""The files of a publisher: the live one, the spare that was live before it, and the one being built.

Two twins take turns: the next file is the spare, which lacks the last two deltas, not a copy of the live one, which
lacks one but costs as much as the file is large. Copying and folding 32 recordings took 0.06 s at 15 MB, 0.11 s at 65
MB and 0.29 s at 260 MB; folding twice as many into a spare 0.05 to 0.08 s at every size. What is in them is fold.py's
business.

What surprises: the spare is the inode that users opened before the last swap, and some may have it open still. DuckDB's
lock tells that of other processes, but not of this one, so our own descriptors are looked through. And a file that
somebody was folding into when they were killed is thrown away, never repaired.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import duckdb

from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.storage.private import swap_in

Origin = Literal["spare", "copy", "log"]
"""What the next file is made from."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_UNWRITABLE = (*_FULL, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO)


class Twins:
    """The live file and its neighbours; they need one local disk. One process at a time may use this (turn.py)."""

    def __init__(self, live: Path) -> None:
        self.live = live
        self._room = live.with_name(f".{live.name}.twin")
        self.next = self._room / "next.duckdb"
        self._spare = self._room / "spare.duckdb"

    def clean(self) -> None:
        """Remove what a killed publisher left; only a spare that is whole stays."""
        self._room.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._clear()
        # Killed between the two steps of a swap: the spare still is the file that users open.
        if not self.live.exists() or (self._spare.exists() and self._spare.samefile(self.live)):
            self._spare.unlink(missing_ok=True)

    def candidates(self) -> Iterator[Origin]:
        """Lay `next` out, cheapest way first; whoever finds it wanting asks on. The last one begins with no file."""
        self._clear()
        if self._spare.exists() and not _is_open_here(self._spare):
            self._spare.chmod(0o600)
            self._spare.rename(self.next)
            yield "spare"
            self._clear()
        if self.live.exists():
            shutil.copyfile(self.live, self.next)
            yield "copy"
            self._clear()
        yield "log"

    def swap(self, *, keep_spare: bool) -> None:
        """Put `next` in the place of the live file. Readers keep the inode they opened; the next open sees the new one.

        Without a spare no byte of the old file is left, once those who have it open close it.
        """
        self._spare.unlink(missing_ok=True)
        if keep_spare:
            with suppress(OSError):  # nothing is live yet, or a disk without hard links: the next publish copies
                self._spare.hardlink_to(self.live)
        # Left by somebody who did write to the live file; the next reader would play it back onto another one.
        self.live.with_name(f"{self.live.name}.wal").unlink(missing_ok=True)
        swap_in(self.next, self.live)

    @contextmanager
    def written(self) -> Iterator[None]:
        """Say in one sentence that the next file cannot be written; whatever came, the live one stays."""
        try:
            yield
        except (OSError, duckdb.Error) as error:
            if (why := _cannot_write(error)) is None:
                raise
            raise ServiceMissing(
                "catalogue_unwritable",
                f"The next catalogue cannot be written beside {self.live} ({why}); the published one stays as it is. "
                "Give that folder as much free space again as the file is large, then run `diary publish`.",
            ) from error
        finally:
            self._clear()

    def _clear(self) -> None:
        if not self._room.is_dir():
            return
        for left in self._room.iterdir():
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            elif left != self._spare:
                left.unlink(missing_ok=True)


def _is_open_here(path: Path) -> bool:
    """Tell whether this process has the file open, under whatever name: its own locks would not stop it."""
    there = path.stat()
    for descriptor in Path("/dev/fd").iterdir():
        with suppress(OSError):
            if os.path.samestat(os.fstat(int(descriptor.name)), there):
                return True
    return False


def _cannot_write(error: Exception) -> str | None:
    if isinstance(error, OSError):
        return error.strerror if error.errno in _UNWRITABLE else None
    return next((said for code in _FULL if (said := os.strerror(code)) in str(error)), None)
