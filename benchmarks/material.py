"""What the transcription benchmark listens to: short clips and long recordings, made of the demo speech.

A clip is a run of whole sentences of one diary, so that its words are known; a long recording is diaries joined. What
surprises: clips overlap. Ten diaries are five minutes; their sentences make many more different clips than that.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from diary_pipeline.audio.decode import RATE, decode
from diary_pipeline_tests.builders import write_audio
from diary_pipeline_tests.recordings.faulty import DEMO
from diary_pipeline_tests.recordings.script import ENTRIES, Entry

CUTS_S: Mapping[str, tuple[float, ...]] = {
    "2026-03-02 first day back.wav": (4.69, 7.87, 11.91, 16.63),
    "20260303_201500.mp3": (5.65, 9.32, 15.41, 18.12),
    "memo_2026-03-04_07-45.ogg": (4.63, 8.6, 15.06, 19.11, 23.7),
    "20260305_191000.flac": (3.31, 7.69, 12.5, 16.28, 18.57),
    "2026-03-06 report is done.mp3": (2.41, 8.04, 11.78, 15.76, 20.33, 24.85),
    "20260307_114000.ogg": (2.65, 5.53, 11.27, 17.65, 22.05, 25.02),
    "2026-03-08 old guitar.mp3": (2.88, 8.06, 12.09, 16.33, 21.11, 25.56),
    "memo_2026-03-10_18-30.ogg": (2.53, 8.03, 13.14, 16.79, 21.35),
    "New Recording 7.m4a": (4.87, 9.05, 15.58, 21.68, 28.39),
    "birthday idea.mp3": (2.49, 6.61, 11.0, 14.4, 19.13, 23.02),
}
"""Where one sentence has ended and the next has not begun: the middle of the pause, which a test holds to be quiet."""
SHORTEST_S, LONGEST_S = 3.0, 20.0
DIARIES_JOINED = 5
SUFFIXES = (".m4a", ".mp3", ".ogg", ".flac", ".wav")
"""In turn, as recordings come from phones, recorders and computers."""


@dataclass(frozen=True)
class Clip:
    """A stretch of one diary and what is said in it."""

    entry: Entry
    start_s: float
    end_s: float
    text: str


def short_clips(folder: Path, count: int) -> Path:
    """Write clips of 3 to 20 s, about as many short ones as long ones; return their reference set."""
    chosen = _spread(list(_clips()), count)
    sound = {entry.file_name: _samples(entry) for entry in ENTRIES}
    pieces = [
        (sound[clip.entry.file_name][round(clip.start_s * RATE) : round(clip.end_s * RATE)], clip.text)
        for clip in chosen
    ]
    return _written(folder, "clip", pieces)


def long_recordings(folder: Path, count: int) -> Path:
    """Write recordings of several minutes, five diaries each; return their reference set."""
    joined = []
    for n in range(count):
        entries = [ENTRIES[(n * DIARIES_JOINED + i) % len(ENTRIES)] for i in range(DIARIES_JOINED)]
        joined.append((np.concatenate([_samples(entry) for entry in entries]), " ".join(e.text for e in entries)))
    return _written(folder, "long", joined)


def _clips() -> Iterator[Clip]:
    for entry in ENTRIES:
        cuts = (0.0, *CUTS_S[entry.file_name])
        for first, start_s in enumerate(cuts):
            for last in range(first + 1, len(cuts)):
                if SHORTEST_S <= cuts[last] - start_s <= LONGEST_S:
                    yield Clip(entry, start_s, cuts[last], " ".join(entry.sentences[first:last]))


def _spread(clips: Sequence[Clip], count: int) -> list[Clip]:
    # Memos are rather short than long: lengths are drawn evenly on a logarithmic scale, without replacement.
    draw = np.random.default_rng(48)
    left = list(clips)
    chosen = []
    for _ in range(min(count, len(left))):
        wanted_s = float(np.exp(draw.uniform(np.log(SHORTEST_S), np.log(LONGEST_S))))
        nearest = min(left, key=lambda clip: abs(np.log((clip.end_s - clip.start_s) / wanted_s)))
        chosen.append(nearest)
        left.remove(nearest)
    return chosen


def _samples(entry: Entry) -> npt.NDArray[np.float32]:
    return np.concatenate(list(decode(DEMO / entry.file_name)))


def _written(folder: Path, kind: str, pieces: Sequence[tuple[npt.NDArray[np.float32], str]]) -> Path:
    folder.mkdir(parents=True)
    with (folder / "set.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("audio", "reference"))
        for n, (samples, text) in enumerate(pieces):
            audio = folder / f"{kind} {n:02d}{SUFFIXES[n % len(SUFFIXES)]}"
            rows.writerow((write_audio(audio, samples).name, text))
    return folder / "set.csv"
