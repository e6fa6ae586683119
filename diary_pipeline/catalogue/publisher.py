"""The one who makes commits visible: copy the live file, fold what is new into the copy, rename it onto the live name.

What is folded, and how, stands in fold.py. One publisher at a time on one machine, by a lock on a file beside the
catalogue; the live file and its neighbours need a local disk.

The file is its owner's alone and read-only (0400), and is built in a folder that is private too: it holds a diary.

What surprises: run it in its own process. DuckDB gives a second open of the same path the first one's instance, and its
file locks are per process, so a process that both reads and publishes fools itself.
"""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from diary_pipeline.catalogue import fold
from diary_pipeline.ledger.commits import clock_now, pointers_since, published_watermark, set_published
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.store import ObjectStore

logger = log("catalogue.publisher")

# No extension is needed, and none may be fetched: the pipeline opens no connection that is not configured.
OFFLINE = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}


@dataclass(frozen=True)
class Published:
    """What users can see now."""

    watermark: int
    """Of the last commit in the file."""
    recordings: int
    """Recordings and refusals that were folded by this call; 0: there was nothing new."""
    seconds: float


class Publisher:
    """Folds the log into `live`; a crash anywhere leaves the old file whole."""

    def __init__(self, ledger: Ledger, store: ObjectStore, live: Path) -> None:
        self.ledger = ledger
        self.store = store
        self.live = live
        self.workplace = live.with_name(f".{live.name}.next")
        self.next = self.workplace / live.name

    def publish(self) -> Published:
        """Make everything committed before this call visible, and return how far that is."""
        started = time.perf_counter()
        self.live.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            with self.ledger.reading() as conn:
                head, noted = clock_now(conn), published_watermark(conn)
            folded = 0
            if self._seen() != head:
                try:
                    head, folded = self._prepare(head)
                    self._swap()
                finally:
                    self._clean()
            if noted != head:
                set_published(self.ledger, head)
        done = Published(head, folded, time.perf_counter() - started)
        if folded:
            logger.info("published", watermark=head, recordings=folded, seconds=round(done.seconds, 3))
        return done

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        lock = os.open(self.live.with_name(f".{self.live.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._clean()  # what a killed publisher left
            yield
        finally:
            os.close(lock)

    def _seen(self) -> int | None:
        """Return the watermark of the live file; None: there is none, or this process cannot tell."""
        if not self.live.exists():
            return None
        try:
            with duckdb.connect(str(self.live), read_only=True, config=dict(OFFLINE)) as db:
                return fold.watermark(db)
        except duckdb.Error:
            return None  # damaged, or open here with other settings: the copy will tell

    def _prepare(self, head: int) -> tuple[int, int]:
        """Build the next file; return the commit it reaches (`head` or later) and how many recordings moved."""
        self._begin()
        mark = self._copied(head)
        with self.ledger.reading() as conn:  # one snapshot, so that the file holds whole commits
            head, moved = clock_now(conn), pointers_since(conn, mark)
        with duckdb.connect(str(self.next), config=dict(OFFLINE)) as db:
            if mark == 0:
                fold.create(db)
            fold.fold(db, self.store, moved, head)
            db.execute("CHECKPOINT")
        return head, len({p.subject for p in moved})

    def _copied(self, head: int) -> int:
        """Copy the live file and return its watermark; 0: begin with an empty one, the log holds everything."""
        if not self.live.exists():
            return 0
        shutil.copyfile(self.live, self.next)
        try:
            with duckdb.connect(str(self.next), config=dict(OFFLINE)) as db:
                mark = fold.watermark(db)
        except duckdb.Error as error:
            logger.warning("catalogue_unreadable", error=type(error).__name__)
            mark = None
        if mark is not None and 0 < mark <= head:
            return mark
        # Another schema, a damaged file, or one that is ahead of a ledger restored from a backup.
        logger.info("catalogue_rebuilt", watermark=mark, head=head)
        self._begin()
        return 0

    def _swap(self) -> None:
        """Readers keep the inode they opened; the next open sees the new one. Never both, never half."""
        handle = os.open(self.next, os.O_RDONLY)
        try:
            # Not writable: a DuckDB shell opened without -readonly would lock all readers out.
            os.fchmod(handle, 0o400)
            os.fsync(handle)
        finally:
            os.close(handle)
        self.next.rename(self.live)
        folder = os.open(self.live.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _begin(self) -> None:
        self._clean()
        self.workplace.mkdir(mode=0o700)

    def _clean(self) -> None:
        for left in self.live.parent.glob(f"{self.workplace.name}*"):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink()
