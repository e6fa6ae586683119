"""Features equal faster-whisper's own: to the bit by numpy, within 1e-4 by torch."""

import importlib.util

import numpy as np
import pytest
from faster_whisper.audio import pad_or_trim
from faster_whisper.feature_extractor import FeatureExtractor

from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.transcriber import Block
from diary_pipeline.transcription.whisper.log_mel import Features, LogMel, made_by, torch_features, torch_has_gpu

RANDOM = np.random.default_rng(11)
CLOCK = np.arange(30 * RATE) / RATE
NEEDS_TORCH = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch, of the extra `gpu`, is not installed"
)


def noise(samples: int, level: float = 0.1) -> Block:
    return (RANDOM.standard_normal(samples) * level).astype(np.float32)


def tone(hertz: float) -> Block:
    return (0.5 * np.sin(2 * np.pi * hertz * CLOCK)).astype(np.float32)


def speech_like(samples: int) -> Block:
    """Harmonics of a wandering voice with syllables and pauses, over a floor of -60 dBFS."""
    clock = CLOCK[:samples]
    phase = 2 * np.pi * np.cumsum(120 + 20 * np.sin(3 * clock)) / RATE
    voice = sum(np.sin(n * phase) / n for n in range(1, 20)) * np.clip(np.sin(2 * np.pi * 3 * clock), 0, 1)
    return (0.1 * voice).astype(np.float32) + noise(samples, 0.001)


WINDOWS = {
    "30 s": noise(30 * RATE),
    "one sample less": noise(30 * RATE - 1),
    "no multiple of a hop": noise(7 * RATE + 77),
    "a quarter of a second": noise(RATE // 4),
    "one hop": noise(160),
    "shorter than the reflection": noise(17),
    "digital silence": np.zeros(3 * RATE, np.float32),
    "almost silent": noise(5 * RATE, 1e-6),
    "full scale": np.clip(noise(10 * RATE, 3.0), -1, 1),
    "a click": np.concatenate([np.zeros(RATE, np.float32), np.ones(1, np.float32), np.zeros(RATE, np.float32)]),
    "a pure tone": tone(1000),
    "like speech": speech_like(20 * RATE),
}


def expected(extractor: FeatureExtractor, window: Block) -> Features:
    return pad_or_trim(extractor(window)[..., :-1])


@pytest.mark.parametrize("mels", [80, 128])
def test_numpy_features_are_those_of_faster_whisper_to_the_bit(mels: int) -> None:
    extractor = FeatureExtractor(feature_size=mels)
    maker = LogMel(extractor, "cpu")
    found = maker.features(list(WINDOWS.values()))
    assert (found.shape, found.dtype) == ((len(WINDOWS), mels, 3000), np.float32)
    for name, window, features in zip(WINDOWS, WINDOWS.values(), found, strict=True):
        assert np.array_equal(features, expected(extractor, window)), name


def test_a_window_has_the_same_features_in_every_batch() -> None:
    maker = LogMel(FeatureExtractor(), "cpu")
    first, second = noise(3 * RATE), noise(9 * RATE)
    together = maker.features([first, second])
    assert np.array_equal(together[1], maker.features([second])[0])
    assert maker.features([]).shape == (0, 80, 3000)


@pytest.mark.skipif(torch_has_gpu(), reason="torch sees a GPU")
def test_without_torch_or_a_gpu_numpy_computes_for_a_gpu_too() -> None:
    assert made_by("cuda") == "numpy"
    features = LogMel(FeatureExtractor(), "cuda").features([WINDOWS["like speech"]])
    assert np.array_equal(features[0], expected(FeatureExtractor(), WINDOWS["like speech"]))


@NEEDS_TORCH
@pytest.mark.parametrize("mels", [80, 128])
@pytest.mark.parametrize("name", WINDOWS)
def test_torch_features_are_those_of_numpy_within_1e_4(mels: int, name: str) -> None:
    extractor = FeatureExtractor(feature_size=mels)
    found = np.zeros((2, mels, 3000), np.float32)
    torch_features(extractor, "cpu")([noise(RATE), WINDOWS[name]], found)
    np.testing.assert_allclose(found[1], expected(extractor, WINDOWS[name]), rtol=0, atol=1e-4)


@pytest.mark.skipif(not torch_has_gpu(), reason="needs torch and a GPU")
def test_a_gpu_makes_the_same_features_within_1e_4() -> None:
    extractor = FeatureExtractor(feature_size=128)
    maker = LogMel(extractor, "cuda")
    found = maker.features(list(WINDOWS.values()))
    assert made_by("cuda") == "torch"
    for name, window, features in zip(WINDOWS, WINDOWS.values(), found, strict=True):
        np.testing.assert_allclose(features, expected(extractor, window), rtol=0, atol=1e-4, err_msg=name)
