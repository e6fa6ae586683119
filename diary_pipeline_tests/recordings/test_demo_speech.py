"""The committed speech is what the script says, within its budget, and its faulty relatives are faulty.

How well it is recognised is measured where the transcriber is tested.
"""

import hashlib
import json
import wave
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest

from diary_pipeline_tests.recordings.faulty import DEMO, add_faulty
from diary_pipeline_tests.recordings.script import ENTRIES, Entry

SAID = json.loads((DEMO / "said.json").read_text(encoding="utf-8"))
BUDGET_BYTES = 3_000_000


@pytest.fixture
def faulty(tmp_path: Path) -> dict[str, Path]:
    """Paths of the faulty files by expected code."""
    return {code: tmp_path / name for name, code in add_faulty(tmp_path).items()}


def test_every_entry_is_spoken_and_nothing_else_lies_beside_them() -> None:
    names = {entry.file_name for entry in ENTRIES}
    assert set(SAID) == names
    assert {path.name for path in DEMO.iterdir()} == names | {"said.json"}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.file_name)
def test_the_ground_truth_is_that_of_the_script_and_of_the_file(entry: Entry) -> None:
    said = SAID[entry.file_name]
    assert said["text"] == entry.text, "script.py changed: run speak.py"
    assert said["voice"] == entry.voice
    assert said["recorded_day"] == (entry.recorded_day and entry.recorded_day.isoformat())
    assert said["sha256"] == hashlib.sha256((DEMO / entry.file_name).read_bytes()).hexdigest()
    with av.open(str(DEMO / entry.file_name)) as container:
        heard_s = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
        assert heard_s == pytest.approx(said["duration_s"], abs=0.15)
        assert dict(entry.tags).items() <= {**container.metadata}.items()


def test_the_set_is_small_and_varied() -> None:
    assert sum(path.stat().st_size for path in DEMO.iterdir()) <= BUDGET_BYTES
    assert {Path(name).suffix for name in SAID} == {".wav", ".mp3", ".m4a", ".ogg", ".flac"}
    assert min(Counter(said["voice"] for said in SAID.values()).values()) >= 2
    assert all(20 <= said["duration_s"] <= 40 for said in SAID.values())
    assert sum(said["recorded_day"] is None for said in SAID.values()) == 1


def test_faulty_files_are_the_same_every_time(tmp_path: Path) -> None:
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
        add_faulty(folder)
    first, second = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert first == second


def test_the_corrupt_file_cannot_be_opened(faulty: dict[str, Path]) -> None:
    with pytest.raises(av.error.InvalidDataError), av.open(str(faulty["audio_unreadable"])):
        pass


def test_the_truncated_file_promises_more_than_it_holds(faulty: dict[str, Path]) -> None:
    path = faulty["audio_truncated"]
    with wave.open(str(path)) as promised:
        assert promised.getnframes() * 2 > path.stat().st_size * 1.5


def test_the_silent_file_is_quiet_but_not_digital_silence(faulty: dict[str, Path]) -> None:
    with av.open(str(faulty["audio_no_speech"])) as container:
        samples = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)]) / 32768
    assert len(samples) == 20 * 16_000
    assert -70 < 20 * np.log10(samples.std()) < -60


def test_the_duplicate_is_one_of_the_demo_recordings(faulty: dict[str, Path]) -> None:
    path = faulty["duplicate"]
    assert path.name not in SAID
    assert hashlib.sha256(path.read_bytes()).hexdigest() in {said["sha256"] for said in SAID.values()}
