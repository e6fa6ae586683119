"""Speech without words: stretches of a window in which somebody speaks and nothing was written down.

Pure. Hearing them on their own is ladder.py's business.

What surprises: nothing in a window's scores shows them. Whisper stops early, or passes over what is in another voice or
language, and is as sure of the rest as ever; only the clock of its words tells.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from diary_pipeline.transcription.heard import HeardWindow, PlacedWord
from diary_pipeline.transcription.repair.pieces import SHORTEST
from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.speech.windows import Window

MISSED = 2 * RATE
"""Clean windows had at most 1.04 s between two words, 33 of 35 in which a passage was lost had 2.2 s or more."""
STRETCHED = int(1.2 * RATE)
"""A word that lasts longer and is not sure was laid over what was not understood; no clean word took 0.9 s."""
UNSURE = 0.5


@dataclass(frozen=True)
class Gap:
    """A stretch of a window's clock without a word, in samples."""

    start: int
    end: int
    around: tuple[int, int]
    """The same, widened by whole words until it is long enough to be understood on its own."""

    @property
    def length(self) -> int:
        """How long nothing was written down."""
        return self.end - self.start


def missed(window: Window, heard: HeardWindow) -> list[Gap]:
    """Find the stretches of the window's clock without a word, the longest first."""
    words = [(window.clock(w.at.start), window.clock(w.at.end)) for w in heard.words if not _stretched(w)]
    gaps = sorted(_gaps(words, window.length), key=lambda gap: gap[0] - gap[1])
    return [Gap(start, end, _widened(start, end, words)) for start, end in gaps if end - start >= MISSED]


def part_of(heard: HeardWindow, window: Window, piece: Window) -> HeardWindow:
    """Give what was heard of a window inside one piece of it."""
    start = piece.offset - window.offset
    inside = [w for w in heard.words if start <= (window.clock(w.at.start) + window.clock(w.at.end)) // 2]
    inside = [w for w in inside if (window.clock(w.at.start) + window.clock(w.at.end)) // 2 < start + piece.length]
    return replace(heard, spans=piece.spans, words=tuple(inside), tokens=())


def _widened(start: int, end: int, words: list[tuple[int, int]]) -> tuple[int, int]:
    for _, later in words:
        if end - start < SHORTEST and later > end:
            end = later
    for earlier, _ in reversed(words):
        if end - start < SHORTEST and earlier < start:
            start = earlier
    return start, end


def _gaps(words: list[tuple[int, int]], length: int) -> Iterator[tuple[int, int]]:
    before = 0
    for start, end in words:
        yield before, max(before, start)
        before = max(before, end)
    yield before, max(before, length)


def _stretched(word: PlacedWord) -> bool:
    return word.at.length > STRETCHED and word.probability is not None and word.probability < UNSURE
