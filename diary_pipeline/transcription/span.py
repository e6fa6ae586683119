"""Where something lies in a recording, in samples.

Everything in this room is counted in samples until the very end; seconds are made from them and never the other way.
"""

from dataclasses import dataclass

RATE = 16_000
"""Samples per second of every block and every sample count in this room."""


@dataclass(frozen=True)
class Span:
    """A stretch of the recording, in samples; `end` is not part of it."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """How many samples it holds."""
        return self.end - self.start
