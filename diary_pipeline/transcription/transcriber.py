"""What the pipeline asks of a speech engine.

The protocol, what may be told to an engine before it listens, and what it gives back. Engines live in their own
files.

What surprises: audio comes in as blocks and is never held whole, and what comes back accounts for every sample,
silence included.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from diary_pipeline.core.transcript import Engine, Segment

RATE = 16_000
"""Samples per second of every block and every sample count in this room."""

Block = npt.NDArray[np.float32]
"""Mono samples in -1..1."""


@dataclass(frozen=True)
class Hints:
    """What we know about a recording before it is heard."""

    language: str | None = None
    """Forced language (ISO 639-1)."""
    languages: tuple[str, ...] = ()
    """The owner's languages; detection chooses among them. Empty: any."""
    vocabulary: tuple[str, ...] = ()
    """Names and terms that are likely to be said."""


@dataclass(frozen=True)
class Heard:
    """What an engine made of one recording."""

    samples: int
    language: str | None
    """None when nothing was said."""
    language_probability: float
    """1.0 when the language was forced or the model knows only one."""
    segments: tuple[Segment, ...]
    """Partition [0, samples): the first starts at 0, each ends where the next starts, the last at samples / RATE."""


class Transcriber(Protocol):
    """A speech engine with its weights and parameters."""

    @property
    def engine(self) -> Engine:
        """Say which weights, parameters and code make the transcripts; costs no model load."""

    def transcribe(self, blocks: Iterable[Block], hints: Hints) -> Heard:
        """Hear one recording, whatever the sizes of its blocks; UsageError `language_not_supported` when it cannot."""
