"""Sound that voice activity took for silence: loud, but nobody was found to speak in it.

Pure, but for the meter that watches blocks go by. Voice activity is never the only witness for silence: what stands out
of a recording's own noise as far as speech does is called inaudible, not silence.

What surprises: an hour of loud but even noise is silence here. Nothing stands out of it, and nobody can tell more.
"""

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.span import RATE, Span
from diary_pipeline.transcription.transcriber import Block

SOUND_WITHOUT_WORDS = "sound_without_words"
"""Why such a stretch is inaudible."""


@dataclass(frozen=True)
class SoundRules:
    """When a stretch without speech is sound. Levels are the RMS of a second, dBFS."""

    shortest_s: int = 3
    """A door, a cough or a chair is over sooner."""
    above_floor: float = 20.0
    """Over the quiet tenth of the recording; speech lies about 30 above the noise of a room."""
    below_speech: float = 6.0
    """Under the recording's own speech."""
    least: float = -50.0


SOUND_RULES = SoundRules()
_QUIETEST = -90.0


class SecondMeter:
    """Measures each second of a recording while its blocks pass by; 8 bytes a second."""

    def __init__(self) -> None:
        self.levels = array("d")
        self._rest = np.zeros(0, np.float32)

    def watch(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Hand the blocks on; `levels` is complete when they are exhausted, but for less than a second."""
        for block in blocks:
            waiting = np.concatenate([self._rest, block])
            whole = len(waiting) // RATE * RATE
            power = np.var(waiting[:whole].reshape(-1, RATE), axis=1, dtype=np.float64)  # an offset is no sound
            self.levels.extend(10 * math.log10(p) if p > 0 else -math.inf for p in power)
            self._rest = waiting[whole:].copy()
            yield block


def unheard(
    levels: Sequence[float], heard: Iterable[HeardWindow], rules: SoundRules = SOUND_RULES
) -> list[HeardWindow]:
    """Find the stretches of whole seconds that no window covers and that are no silence."""
    covered = np.zeros(len(levels) + 1, bool)
    for window in heard:
        for span in window.spans:
            covered[span.start // RATE : -(-span.end // RATE)] = True
    level = np.array(levels)
    sounding = level[level > _QUIETEST]
    if not sounding.size:
        return []
    loud = max(rules.least, float(np.quantile(sounding, 0.1)) + rules.above_floor)
    if (speech := level[covered[:-1] & (level > _QUIETEST)]).size:
        loud = max(loud, float(np.median(speech)) - rules.below_speech)
    return [
        HeardWindow((Span(first * RATE, end * RATE),), refused=SOUND_WITHOUT_WORDS)
        for first, end in _runs((level >= loud) & ~covered[:-1])
        if end - first >= rules.shortest_s
    ]


def _runs(flags: Iterable[bool]) -> Iterator[tuple[int, int]]:
    began: int | None = None
    at = 0
    for at, flag in enumerate([*flags, False]):
        if flag and began is None:
            began = at
        elif not flag and began is not None:
            yield began, at
            began = None
