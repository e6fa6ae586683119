"""Rooms in which nobody speaks: hiss, mains hum, a fan, now and then a click or a door, made in code, in blocks.

Speech comes from demo/ and languages/. Always the same samples for the same seed; a room of a day costs no more memory
than one of a minute.

What surprises: the steady noise repeats after PERIOD_S, without a seam, because it is made in the frequency domain;
drawing fresh noise costs ten times as much. The clicks and doors do not repeat.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

RATE = 16_000
PERIOD_S = 61
BLOCK_S = 30
HUM_HZ, FAN_HZ = 50, 115
KNOCK_EVERY_S = 40
MURMUR_S = 3
"""A murmur is voiced, has a syllable's rhythm and no words; voice activity takes it for speech."""

Block = npt.NDArray[np.float32]


def room(
    seconds: float, level_db: float = -55.0, seed: int = 1, knocks_db: float = 20.0, murmur_every_s: int | None = None
) -> Iterator[Block]:
    """Yield a room whose noise is at `level_db` dBFS (RMS); clicks, doors and murmurs peak `knocks_db` above that."""
    rng = np.random.default_rng(seed)
    level = 10 ** (level_db / 20)
    steady = _steady(rng) * level
    left, at = round(seconds * RATE), 0
    while left > 0:
        size = min(left, BLOCK_S * RATE)
        block = np.take(steady, np.arange(at, at + size), mode="wrap")
        sounds = list(_knocks(rng, size))
        if murmur_every_s and at // (murmur_every_s * RATE) < (at + size) // (murmur_every_s * RATE):
            sounds.append(_murmur(rng))
        for sound in sounds:
            start = int(rng.integers(0, max(1, size - len(sound))))
            block[start : start + len(sound)] += sound[:size] * level * 10 ** (knocks_db / 20)
        yield np.clip(block, -1, 1)
        at, left = at + size, left - size


def _steady(rng: np.random.Generator) -> Block:
    samples = PERIOD_S * RATE
    hertz = np.fft.rfftfreq(samples, 1 / RATE)
    spectrum = np.fft.rfft(rng.normal(0, 1, samples))
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(hertz, 20)), samples)
    low = np.fft.irfft(spectrum * np.exp(-(((hertz - 180) / 120) ** 2)), samples)
    clock = np.arange(samples) / RATE
    hum = sum(np.sin(2 * np.pi * HUM_HZ * k * clock) / k for k in (1, 2, 3, 5))
    # A fan's blades beat slowly, because nothing turns evenly.
    fan = (1 + 0.3 * np.sin(2 * np.pi * clock / PERIOD_S * 20)) * np.sin(2 * np.pi * FAN_HZ * clock)
    mixed = _unit(pink) + 0.5 * _unit(low) + 0.4 * _unit(np.asarray(hum)) + 0.3 * _unit(fan)
    return np.asarray(_unit(mixed), np.float32)


def _knocks(rng: np.random.Generator, size: int) -> Iterator[Block]:
    for _ in range(rng.poisson(size / RATE / KNOCK_EVERY_S)):
        if rng.random() < 0.5:  # a click: a few milliseconds of hiss
            sound = rng.normal(0, 0.3, RATE // 50) * np.exp(-np.arange(RATE // 50) / (RATE / 500))
        else:  # a door, or something heavy upstairs: a low thud
            clock = np.arange(RATE // 2) / RATE
            sound = np.sin(2 * np.pi * rng.uniform(55, 110) * clock) * np.exp(-clock / 0.08)
        yield np.asarray(sound / np.abs(sound).max(), np.float32)


def _murmur(rng: np.random.Generator) -> Block:
    clock = np.arange(MURMUR_S * RATE) / RATE
    pitch = rng.uniform(110, 180)
    phase = pitch * clock + 2 * np.sin(2 * np.pi * 1.1 * clock)
    voice = sum(np.exp(-(((pitch * k - 500) / 400) ** 2)) * np.sin(2 * np.pi * k * phase) for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 3 * clock) * 4, 0, 1)
    sound = np.asarray(voice) * syllables
    return np.asarray(sound / np.abs(sound).max(), np.float32)


def _unit(samples: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return samples / samples.std()
