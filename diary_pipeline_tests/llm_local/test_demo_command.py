"""`make demo-llm` after its set-up, with two recordings and the smallest model: speech to notes, all of it real."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from diary_pipeline.notes.local_model.weights import SMALLEST
from diary_pipeline_tests.llm_local.conftest import weights
from diary_pipeline_tests.recordings.lay_out import DEMO
from diary_pipeline_tests.recordings.script import ENTRIES

pytestmark = pytest.mark.llm_local


def run_demo(home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "diary_pipeline.cli.main", "demo", str(home / "drop"), "--llm", SMALLEST],
        env={**os.environ, "DIARY_HOME": str(home), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def ask(home: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(home / "catalogue.duckdb"), read_only=True) as conn:
        return conn.execute(query).fetchall()


def test_the_demo_shows_notes_beside_what_was_said_and_a_second_one_does_nothing_twice(tmp_path: Path) -> None:
    weights()
    home = tmp_path / ".diary-llm"
    (home / "drop").mkdir(parents=True)
    for entry in ENTRIES[1:3]:
        shutil.copy(DEMO / entry.file_name, home / "drop")
    first = run_demo(home)
    assert first.returncode == 0, first.stderr[-3000:]
    assert "Traceback" not in first.stderr
    assert "\x1b" not in first.stdout + first.stderr
    assert "bucket" in first.stdout
    assert "entries came into the note" in first.stderr or "degraded" in first.stderr
    asked = ask(home, "SELECT recording_key, outcome FROM llm_calls")
    assert len({key for key, _ in asked}) == 2
    before = ask(home, "SELECT * FROM catalogue_state")
    again = run_demo(home)
    assert again.returncode == 0
    assert ask(home, "SELECT * FROM catalogue_state") == before
    assert ask(home, "SELECT recording_key, outcome FROM llm_calls") == asked
    assert again.stdout == first.stdout
