"""What fetches one kind of address: the protocol, and what it is told. fetch.py says when, fetch_http.py is one.

The surprise: a fetcher neither waits nor counts its tries. It says whether another could succeed, and leaves what it
has in the file; everything else is the same for all kinds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from diary_pipeline.audio.limits import AudioLimits


@dataclass(frozen=True)
class Order:
    """One fetch, as a fetcher is told."""

    uri: str
    """May hold secrets: say `shown_url` in errors and logs, or the file name."""
    file_name: str
    into: Path
    """Holds what an earlier try fetched, or nothing; anything may be kept beside it under names that begin like it."""
    limits: AudioLimits
    until: float
    """A moment of time.monotonic at which it took too long."""
    on_progress: Callable[[int, int | None], None]
    """Call it before each request and after each piece: bytes received and expected; what it raises ends the fetch."""


class Fetcher(Protocol):
    """Fetches one kind of address."""

    def check(self, uri: str) -> None:
        """Refuse at the door what could never be fetched: PermanentError. Nothing is asked."""
        ...

    def fetch(self, order: Order) -> float | None:
        """Write the bytes into `order.into`; return when the source says they were last changed, seconds UTC, or None.

        TransientError where another try may succeed, PermanentError where none would, each with a stable code. What is
        in the file then is gone on from, or not, as the fetcher likes. Whatever checksum the source gave was compared.
        """
        ...
