"""Quiet passages raised, so that voice activity and the model hear them.

Works on pieces of fixed length as they stream by, so the sizes of blocks change nothing and a long recording costs no
memory. Measuring a recording for people is audio/levels.py's business.

A constant offset, as cheap converters add, is taken away first: it hides quiet speech from any measure of loudness, and
from voice activity.

What surprises: the gain belongs to a piece, not to the recording. One slammed door would otherwise keep forty quiet
minutes quiet, and a loud opening would keep a murmured end unheard.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.transcriber import Block


@dataclass(frozen=True)
class LevelRules:
    """When a piece is raised, and how far. Levels are the RMS of the loudest 100 ms, dBFS."""

    piece_s: float = 8.0
    raise_below: float = -40.0
    """Speech at -46 dBFS was still recognised as well as loud speech (word error rate 1.5 %), at -60 all was lost."""
    target: float = -20.0
    """Where speech of the demo recordings lies."""
    nothing_below: float = -84.0
    """Two steps of 16 bits: below it there is only the rounding of silence."""
    offset: float = 0.003
    """A mean further from 0 is a converter's fault (-50 dBFS); that of sound is below 0.0003. Smaller ones stay, so
    that good recordings reach the model bit by bit."""

    def gain(self, level: float) -> float:
        """Give the factor for a piece of this level; 1.0 leaves it as it is."""
        if not self.nothing_below <= level < self.raise_below:
            return 1.0
        return float(10 ** ((self.target - level) / 20))


LEVEL_RULES = LevelRules()
_MOMENT = RATE // 10


def levelled(blocks: Iterable[Block], rules: LevelRules = LEVEL_RULES) -> Iterator[Block]:
    """Give the recording in pieces of equal length, the last one shorter, the quiet ones raised."""
    size = round(rules.piece_s * RATE)
    waiting: list[Block] = []
    have = 0
    for block in blocks:
        waiting.append(block)
        have += len(block)
        if have >= size:
            joined = np.concatenate(waiting)
            whole = have - have % size
            for start in range(0, whole, size):
                yield _raised(joined[start : start + size], rules)
            waiting, have = [joined[whole:].copy()], have - whole
    if have:
        yield _raised(np.concatenate(waiting), rules)


def level_of(piece: Block) -> float:
    """Measure the loudest 100 ms: a click is too short to count for much, a spoken word is not."""
    whole = len(piece) // _MOMENT * _MOMENT
    moments = piece[:whole].reshape(-1, _MOMENT) if whole else piece.reshape(1, -1)
    loudest = float(np.sqrt(np.mean(np.square(moments, dtype=np.float64), axis=1)).max()) if piece.size else 0.0
    return 20 * math.log10(loudest) if loudest > 0 else -math.inf


def _raised(piece: Block, rules: LevelRules) -> Block:
    mean = float(np.mean(piece, dtype=np.float64))
    if abs(mean) > rules.offset:
        piece = piece - np.float32(mean)
    gain = rules.gain(level_of(piece))
    return piece if gain == 1.0 else np.clip(piece * np.float32(gain), -1.0, 1.0)
