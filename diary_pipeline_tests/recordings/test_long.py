"""A recording of hours holds what it says it holds, where it says so."""

from pathlib import Path

import numpy as np
import pytest

from diary_pipeline.audio.decode import RATE, decode
from diary_pipeline_tests.recordings.long import DIARIST, LEFT_ON, Habit, write_long
from diary_pipeline_tests.recordings.script import ENTRIES

SHORT = 0.1


@pytest.mark.parametrize("name", ["long.ogg", "long.mp3"])
def test_each_sentence_sets_in_where_it_is_said_to(tmp_path: Path, name: str) -> None:
    said = write_long(tmp_path / name, SHORT, DIARIST)
    samples = np.concatenate(list(decode(tmp_path / name)))
    assert len(samples) / RATE == pytest.approx(SHORT * 3600, abs=0.1)
    assert len(said) > 40
    for one in said:
        at = round(one.start_s * RATE)
        before, after = samples[at - RATE // 5 : at - RATE // 20], samples[at : at + RATE // 5]
        assert np.abs(after).max() > 5 * np.abs(before).max(), one


def test_every_sentence_is_of_the_script_and_none_comes_twice_in_a_minute(tmp_path: Path) -> None:
    said = write_long(tmp_path / "long.ogg", SHORT, DIARIST)
    assert {one.text for one in said} <= {sentence for entry in ENTRIES for sentence in entry.sentences}
    starts: dict[str, float] = {}
    for one in said:
        assert one.start_s - starts.get(one.text, -60.0) > 20.0, one
        starts[one.text] = one.start_s


@pytest.mark.parametrize("habit", [DIARIST, LEFT_ON])
def test_the_same_seed_gives_the_same_recording(tmp_path: Path, habit: Habit) -> None:
    first, second = (write_long(tmp_path / f"{i}.ogg", SHORT, habit, seed=4) for i in range(2))
    assert first == second
    assert (tmp_path / "0.ogg").read_bytes() == (tmp_path / "1.ogg").read_bytes()
