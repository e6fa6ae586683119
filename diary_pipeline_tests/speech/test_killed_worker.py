"""A worker killed in the middle of a long recording: at most one window is heard twice, and nothing differs."""

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from diary_pipeline.audio.decode import decode
from diary_pipeline_tests.builders import write_audio
from diary_pipeline_tests.recordings.faulty import DEMO

pytestmark = [pytest.mark.speech, pytest.mark.slow]
KILLS = 4


def start(audio: Path, folder: Path) -> subprocess.Popen[bytes]:
    said = [str(p) for p in (audio, folder / "store", folder / "count", folder / "out")]
    return subprocess.Popen([sys.executable, "-m", "diary_pipeline_tests.speech.worker", *said])


def finished(folder: Path) -> int:
    return len(list((folder / "store").rglob("*.json")))


def begun(folder: Path) -> int:
    count = folder / "count"
    return len(count.read_text().splitlines()) if count.exists() else 0


def test_a_killed_worker_repeats_at_most_one_window(tmp_path: Path) -> None:
    spoken = [np.concatenate(list(decode(path))) for path in sorted(DEMO.iterdir()) if path.suffix != ".json"]
    audio = write_audio(tmp_path / "long.wav", np.concatenate(spoken * 2))
    for life in ("whole", "killed"):
        (tmp_path / life / "store").mkdir(parents=True)
    assert start(audio, tmp_path / "whole").wait() == 0
    windows = finished(tmp_path / "whole")
    assert begun(tmp_path / "whole") == windows > 12

    chance = random.Random()  # other points each time: that it holds at each of them is the claim
    killed = tmp_path / "killed"
    points = sorted(chance.sample(range(1, windows - 1), KILLS))
    for point in points:
        worker = start(audio, killed)
        while worker.poll() is None and begun(killed) <= point:
            time.sleep(0.01)
        time.sleep(chance.random() * 0.5)
        worker.kill()
        assert worker.wait() != 0, f"it was done before it could be killed at window {point}"
    assert start(audio, killed).wait() == 0
    assert begun(killed) <= windows + KILLS, points
    assert (killed / "out").read_text() == (tmp_path / "whole" / "out").read_text(), points
