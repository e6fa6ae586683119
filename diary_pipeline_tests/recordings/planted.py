"""Faults planted into good speech or made of nothing, with what was really said, for calibrating the signals.

Always the same samples for the same speech. Judging what an engine makes of them is benchmarks/calibration.py's
business; files that cannot be taken in at all are in faulty.py.

What surprises: some faults have no right answer. Reversed speech and four voices at once say nothing that anybody
could write down, so whatever is kept of them is wrong.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import av.filter
import numpy as np
import numpy.typing as npt

HELD_OUT = Path(__file__).parent / "held_out"
"""Good recordings on which no limit was chosen; speak_held_out.py made them."""
RATE = 16_000
Sound = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TimedWord:
    """A word of the good recording, by its seconds."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Speech:
    """A good recording at 16 kHz. `words` need only be good enough to cut at."""

    sound: Sound
    said: str
    words: Sequence[TimedWord]


@dataclass(frozen=True)
class Planted:
    """A faulty recording and what can be heard in it; empty: nothing."""

    fault: str
    sound: Sound
    said: str


def from_nothing(seed: int = 7) -> Iterator[Planted]:
    """Make 20 s each of what holds no speech."""
    noise = np.random.default_rng(seed)
    count = 20 * RATE
    t = np.arange(count) / RATE
    white = noise.normal(0, 1, count)
    spectrum = np.fft.rfft(noise.normal(0, 1, count))
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), count)
    hum = sum(np.sin(2 * np.pi * 50 * k * t) / k for k in (1, 2, 3, 5))
    bursts = white * (np.sin(2 * np.pi * 1.5 * t) > 0.3)
    for name, sound, level in (
        ("silence", np.zeros(count), 0.0),
        ("white noise -60 dBFS", white, 0.001),
        ("white noise -20 dBFS", white, 0.1),
        ("pink noise -20 dBFS", pink, 0.1),
        ("mains hum", hum, 0.1),
        ("noise bursts", bursts, 0.1),
        ("music-like tones", _tune(t, noise), 0.15),
    ):
        yield Planted(name, _at_level(sound, level), "")


def from_speech(speech: Speech, others: Sequence[Speech], seed: int = 7) -> Iterator[Planted]:
    """Plant each fault into one recording; `others` speak at the same time in one of them."""
    noise = np.random.default_rng(seed)
    sound = speech.sound
    white = noise.normal(0, 1, len(sound))
    for fault, change in _CHANGES.items():
        yield Planted(fault, change(sound).astype(np.float32), speech.said)
    for decibels in (10, 0, -10):
        level = _rms(sound) * 10 ** (-decibels / 20)
        yield Planted(f"speech in noise, {decibels} dB", _unclipped(sound + level * white), speech.said)
    tail = np.concatenate([sound, noise.normal(0, 0.0015, 30 * RATE)]).astype(np.float32)
    yield Planted("30 s of silent room after it", tail, speech.said)
    hum = np.concatenate([sound, _at_level(white[: 15 * RATE], 0.05)]).astype(np.float32)
    yield Planted("15 s of noise after it", hum, speech.said)
    yield from _spoiled_middle(speech, noise)
    yield _truncated(speech)
    yield _looped(speech)
    yield Planted("reversed", sound[::-1].copy(), "")
    shortest = min(len(one.sound) for one in (speech, *others))
    crowd = np.sum([one.sound[:shortest] / _rms(one.sound) for one in (speech, *others)], axis=0)
    yield Planted(f"{len(others) + 1} voices at once", _at_level(crowd, 0.1), "")


def joined(first: Speech, second: Speech, first_s: float) -> Planted:
    """Let one recording change into another, at the end of the word that is spoken at `first_s`."""
    words = [word for word in first.words if word.start_s < first_s]
    cut = int(words[-1].end_s * RATE)
    pause = np.zeros(RATE // 2, np.float32)
    said = " ".join([*(word.text for word in words), second.said])
    return Planted("code-switched", np.concatenate([first.sound[:cut], pause, second.sound]), said)


def faster(sound: Sound, times: float) -> Sound:
    """Speed speech up without changing its pitch."""
    graph = av.filter.Graph()
    ends = (
        graph.add_abuffer(sample_rate=RATE, format="flt", layout="mono", time_base=f"1/{RATE}"),
        *(graph.add("atempo", str(times ** (1 / 2))) for _ in range(2)),
        graph.add("abuffersink"),
    )
    graph.link_nodes(*ends).configure()
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None], np.float32), format="flt", layout="mono")
    frame.sample_rate, frame.pts = RATE, 0
    graph.push(frame)
    graph.push(None)
    pieces = []
    while True:
        try:
            pieces.append(graph.pull().to_ndarray().ravel())
        except (av.error.EOFError, av.error.BlockingIOError):
            return np.concatenate(pieces)


def _spoiled_middle(speech: Speech, noise: np.random.Generator) -> Iterator[Planted]:
    # Only the middle third is lost: what is said before and after it should survive.
    third = len(speech.words) // 3
    before, after = speech.words[:third], speech.words[2 * third :]
    start, end = int(before[-1].end_s * RATE), int(after[0].start_s * RATE)
    middle = speech.sound[start:end]
    said = " ".join(word.text for word in (*before, *after))
    drowned = middle + _rms(middle) * 10 ** (15 / 20) * noise.normal(0, 1, len(middle))
    for fault, spoiled in (("reversed", middle[::-1]), ("drowned in noise", _unclipped(drowned))):
        whole = np.concatenate([speech.sound[:start], spoiled, speech.sound[end:]])
        yield Planted(f"middle third {fault}", whole.astype(np.float32), said)


def _truncated(speech: Speech) -> Planted:
    end_s = len(speech.sound) / RATE * 0.55
    said = " ".join(word.text for word in speech.words if word.end_s <= end_s)
    return Planted("truncated at 55 %", speech.sound[: int(end_s * RATE)], said)


def _looped(speech: Speech) -> Planted:
    words = [word for word in speech.words if word.end_s <= speech.words[0].start_s + 2.5]
    phrase = speech.sound[int(words[0].start_s * RATE) : int(words[-1].end_s * RATE) + RATE // 5]
    return Planted("a phrase said 14 times", np.tile(phrase, 14), " ".join([word.text for word in words] * 14))


def _tune(t: npt.NDArray[np.float64], noise: np.random.Generator) -> npt.NDArray[np.float64]:
    notes = noise.choice([220.0, 261.6, 293.7, 329.6, 392.0, 440.0], size=64)
    pitch = notes[(t / 0.4).astype(int) % 64]
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    decay = np.exp(-4 * (t % 0.4))
    return sum(np.sin(k * phase) / k for k in (1, 2, 3, 4)) * decay


def _rms(sound: npt.NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))


def _at_level(sound: npt.NDArray[np.floating], rms: float) -> Sound:
    return (sound * (rms / max(_rms(sound), 1e-9))).clip(-1, 1).astype(np.float32)


def _unclipped(sound: npt.NDArray[np.floating]) -> Sound:
    return (sound / max(1.0, float(np.abs(sound).max()))).astype(np.float32)


_CHANGES: Mapping[str, Callable[[Sound], Sound]] = {
    "none": lambda sound: sound,
    "clipped": lambda sound: (sound * 20).clip(-1, 1),
    "40 dB quieter": lambda sound: sound * np.float32(0.01),
    "60 dB quieter, 16 bit": lambda sound: np.round(sound * np.float32(0.001) * 32768) / np.float32(32768),
    "twice as fast": lambda sound: faster(sound, 2),
    "three times as fast": lambda sound: faster(sound, 3),
}
