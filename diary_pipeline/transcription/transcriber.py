"""What the pipeline asks of a speech engine.

The protocol, what may be told to an engine before it listens, and what it gives back. Engines live in their own
files.

What surprises: an engine takes many recordings at once, because short ones must share its model batches, and gives
each back when it is done, in no particular order. Audio comes in as blocks and is never held whole; what comes back
accounts for every sample, silence included.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from diary_pipeline.core.transcript import Engine, Segment
from diary_pipeline.transcription.heard import HeardWindow

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
    """Of most of the speech; None when nothing was said, or the engine does not say."""
    language_probability: float | None
    """1.0 when the language was forced or the model knows only one; None: the engine does not say."""
    segments: tuple[Segment, ...]
    """Partition [0, samples): the first starts at 0, each ends where the next starts, the last at samples / RATE."""


class Checkpoints(Protocol):
    """The finished windows of one recording, kept so that a killed worker need not hear them again."""

    def finished(self) -> Mapping[int, Sequence[HeardWindow]]:
        """Give what is kept by the window's number, counted from 0; a window that was cut up gave several parts."""

    def finish(self, window: int, heard: Sequence[HeardWindow]) -> None:
        """Keep a finished window; durable when it returns."""


@dataclass(frozen=True)
class ToHear:
    """A recording for an engine."""

    key: str
    blocks: Callable[[], Iterable[Block]]
    """Opens the audio; called once, and read on a thread of the engine's."""
    hints: Hints
    checkpoints: Checkpoints | None = None
    """None: too short to be worth it."""
    progress: Callable[[float], None] = lambda _: None
    """Told after a window up to which second the recording is finished; a TransientError of its ends everything."""


class Transcriber(Protocol):
    """A speech engine with its weights and parameters."""

    @property
    def engine(self) -> Engine:
        """Say which weights, parameters and code make the transcripts; costs no model load."""

    def transcribe(self, recordings: Iterable[ToHear]) -> Iterator[tuple[str, Heard | Exception]]:
        """Hear recordings, whatever the sizes of their blocks, and give each by its key as soon as it is done.

        What went wrong with one is given in its place (UsageError `language_not_supported`, what its blocks raised)
        and the others go on; a TransientError is raised, because it speaks of the surroundings. `recordings` is read
        only as far ahead as the engine needs.
        """


def hear(transcriber: Transcriber, blocks: Iterable[Block], hints: Hints | None = None) -> Heard:
    """Hear a single recording; raises what went wrong with it."""
    ((_, found),) = transcriber.transcribe([ToHear("", lambda: blocks, hints or Hints())])
    if isinstance(found, Exception):
        raise found
    return found
