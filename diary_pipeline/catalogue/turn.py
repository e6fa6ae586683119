"""One publisher at a time: of this file on this machine, and of this ledger on all machines.

A lock on a file beside the catalogue holds the first, a session of a PostgreSQL ledger the second. Both go when their
holder dies, however it dies.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diary_pipeline.ledger.connect import Ledger

NAME = "publisher"


@contextmanager
def turn(ledger: Ledger, live: Path) -> Iterator[None]:
    """Wait until nobody else publishes, and hold the others off until the end of the block."""
    live.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(live.with_name(f".{live.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with ledger.alone(NAME):
            yield
    finally:
        os.close(lock)
