"""The committed speech in other languages is what its script says, and stays small."""

import hashlib
import json

import av
import pytest

from diary_pipeline_tests.recordings.script_languages import DIARIES, LANGUAGES, Diary

SAID = json.loads((LANGUAGES / "said.json").read_text(encoding="utf-8"))
BUDGET_BYTES = 800_000


def test_every_diary_is_spoken_and_nothing_else_lies_beside_them() -> None:
    names = {diary.file_name for diary in DIARIES}
    assert set(SAID) == names
    assert {path.name for path in LANGUAGES.iterdir()} == names | {"said.json"}
    assert sum(path.stat().st_size for path in LANGUAGES.iterdir()) <= BUDGET_BYTES


@pytest.mark.parametrize("diary", DIARIES, ids=lambda diary: diary.file_name)
def test_the_ground_truth_is_that_of_the_script_and_of_the_file(diary: Diary) -> None:
    said = SAID[diary.file_name]
    spoken = [(p["language"], p["text"], p["quieter_db"]) for p in said["passages"]]
    assert spoken == [(p.language, p.text, p.quieter_db) for p in diary.passages], "run speak_languages.py"
    assert said["sha256"] == hashlib.sha256((LANGUAGES / diary.file_name).read_bytes()).hexdigest()
    with av.open(str(LANGUAGES / diary.file_name)) as container:
        heard_s = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert heard_s == pytest.approx(said["duration_s"], abs=0.15)
