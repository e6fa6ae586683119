"""The demo speech cut into the sentences of its script, so that new recordings can be laid out whose clock is known.

What surprises: nothing here recognises anything. speak.py left longer pauses between sentences than there are inside
them, so the cuts are found by level alone; a recording in which their number differs from the script's is not used.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diary_pipeline.audio.decode import RATE, decode
from diary_pipeline_tests.recordings.faulty import DEMO
from diary_pipeline_tests.recordings.script import ENTRIES

PAUSE_S = 0.5
SPEECH = 0.012
"""Far above the room of speak.py (0.0015), far below the voices (peak 0.5)."""
EDGE = RATE // 20
STEP = RATE // 100


@dataclass(frozen=True)
class Sentence:
    """A sentence as it was spoken."""

    text: str
    samples: npt.NDArray[np.float32]
    """From 50 ms before the first sound to 50 ms after the last."""

    @property
    def onset_s(self) -> float:
        """Where in `samples` the voice sets in."""
        return EDGE / RATE


@functools.cache
def demo_sentences() -> tuple[Sentence, ...]:
    """Return the sentences of all demo recordings that can be cut, in the order of the script."""
    return tuple(sentence for entry in ENTRIES for sentence in _cut(entry.file_name, entry.sentences))


def _cut(file_name: str, texts: tuple[str, ...]) -> Iterator[Sentence]:
    samples = np.concatenate(list(decode(DEMO / file_name)))
    stretches = list(_stretches(samples))
    if len(stretches) == len(texts):
        for text, (start, end) in zip(texts, stretches, strict=True):
            yield Sentence(text, samples[max(0, start - EDGE) : end + EDGE])


def _stretches(samples: npt.NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    steps = np.abs(samples[: len(samples) // STEP * STEP]).reshape(-1, STEP).max(axis=1)
    loud = np.flatnonzero(steps > SPEECH)
    pauses = np.flatnonzero(np.diff(loud) > PAUSE_S * RATE / STEP)
    starts, ends = loud[[0, *(pauses + 1)]], loud[[*pauses, -1]]
    yield from zip(starts * STEP, (ends + 1) * STEP, strict=True)
