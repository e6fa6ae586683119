"""Recordings of hours: the demo sentences again and again in changing order, in a room, with what was said when.

Written block by block, so that a day needs no more memory than a minute. The same seed gives the same recording.

    python -m diary_pipeline_tests.recordings.long HOURS FILE.ogg    # prints what was said when, as JSON lines

What surprises: a start is where the voice sets in, known from laying it out and not from hearing it, to 10 ms.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diary_pipeline_tests.recordings import encode
from diary_pipeline_tests.recordings.rooms import RATE, Block, room
from diary_pipeline_tests.recordings.sentences import Sentence, demo_sentences

# The least work that stays well understood: 13 CPU-s for two hours of ogg, a day is about 150 MB.
SMALL = {
    ".ogg": encode.Codec("libopus", 16_000, 16_000, {"application": "voip", "compression_level": "0"}),
    ".mp3": encode.Codec("libmp3lame", 16_000, 32_000, {"compression_level": "9"}),
}
ROOM_DB = -58.0
LONG_PAUSE_S = (5.0, 20.0)
PAUSE_S = (0.5, 1.5)


@dataclass(frozen=True)
class Said:
    """One sentence of a long recording."""

    start_s: float
    text: str


@dataclass(frozen=True)
class Habit:
    """How somebody talks: so many sentences in a row, then so long nothing."""

    sentences: int
    silence_s: tuple[float, float]


DIARIST = Habit(12, LONG_PAUSE_S)
"""Talks all the time, as into a recorder on a long walk: two thirds are speech."""
LEFT_ON = Habit(12, (1200.0, 2400.0))
"""A recorder that somebody forgot: a minute of speech each half hour."""


def write_long(path: Path, hours: float, habit: Habit, seed: int = 1) -> list[Said]:
    """Write a recording of exactly `hours` and return what is said in it; the last sentence ends before the file."""
    said: list[Said] = []
    encode.write_blocks(path, laid_out(hours * 3600, habit, seed, said.append), RATE, SMALL[path.suffix])
    return said


def laid_out(seconds: float, habit: Habit, seed: int, say: Callable[[Said], object]) -> Iterator[Block]:
    """Yield the samples, telling `say` of each sentence before it comes."""
    places = _places(seconds, habit, np.random.default_rng(seed))
    start, sentence = next(places, (None, None))
    carried: list[tuple[int, Block]] = []
    at = 0
    for block in room(seconds, ROOM_DB, seed):
        end = at + len(block)
        while start is not None and sentence is not None and start < end:
            say(Said(start / RATE + sentence.onset_s, sentence.text))
            carried.append((start, sentence.samples))
            start, sentence = next(places, (None, None))
        for first, samples in carried:
            part = samples[max(0, at - first) : max(0, end - first)]
            offset = max(0, first - at)
            block[offset : offset + len(part)] += part
        carried = [(first, samples) for first, samples in carried if first + len(samples) > end]
        yield np.clip(block, -1, 1)
        at = end


def _places(seconds: float, habit: Habit, rng: np.random.Generator) -> Iterator[tuple[int, Sentence]]:
    known = demo_sentences()
    order: list[int] = []
    at, in_a_row = RATE, 0
    while True:
        # Each round says every sentence once, so that a repetition lies minutes away and no window holds it twice.
        order = order or [int(i) for i in rng.permutation(len(known))]
        sentence = known[order.pop()]
        if at + len(sentence.samples) > (seconds - 1) * RATE:
            return
        yield at, sentence
        in_a_row = (in_a_row + 1) % habit.sentences
        pause_s = rng.uniform(*(PAUSE_S if in_a_row else habit.silence_s))
        at += len(sentence.samples) + round(pause_s * RATE)


if __name__ == "__main__":
    hours = float(sys.argv[1])
    for one in write_long(Path(sys.argv[2]), hours, DIARIST if hours <= 3 else LEFT_ON):
        print(json.dumps({"start_s": round(one.start_s, 2), "text": one.text}))
