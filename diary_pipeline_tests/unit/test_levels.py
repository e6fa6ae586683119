"""Levels are those of the whole recording, however it is cut into blocks."""

import numpy as np
import pytest

from diary_pipeline.audio.levels import QUIETEST_DBFS, LevelMeter
from diary_pipeline_tests.builders import Samples, silence, speech_like

SINE = np.sin(np.arange(16_000) * 2 * np.pi * 100 / 16_000).astype(np.float32)


@pytest.mark.parametrize(
    ("samples", "peak_dbfs", "rms_dbfs", "clipped_share"),
    [
        (SINE * 0.99, -0.087, -3.098, 0.0),
        (SINE * 0.1, -20.0, -23.01, 0.0),
        (silence(1), QUIETEST_DBFS, QUIETEST_DBFS, 0.0),
        (silence(0), QUIETEST_DBFS, QUIETEST_DBFS, 0.0),
        (np.array([1, -1, 0, 0], np.float32), 0.0, -3.01, 0.5),
        (np.array([32767, -32768, 32765, 0], np.float32) / 32768, 0.0, -1.249, 0.5),
        (np.full(100, 1e-9, np.float32), QUIETEST_DBFS, QUIETEST_DBFS, 0.0),
    ],
)
def test_levels_of_known_sound(samples: Samples, peak_dbfs: float, rms_dbfs: float, clipped_share: float) -> None:
    meter = LevelMeter()
    meter.push(samples)
    assert meter.peak_dbfs == pytest.approx(peak_dbfs, abs=0.01)
    assert meter.rms_dbfs == pytest.approx(rms_dbfs, abs=0.01)
    assert meter.clipped_share == clipped_share


def test_blocks_do_not_matter() -> None:
    sound = speech_like(3)
    whole, pieces = LevelMeter(), LevelMeter()
    whole.push(sound)
    for start in range(0, sound.size, 777):
        pieces.push(sound[start : start + 777])
    assert pieces.peak_dbfs == whole.peak_dbfs
    assert pieces.rms_dbfs == pytest.approx(whole.rms_dbfs)
