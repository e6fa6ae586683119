"""`make demo` after its set-up, in a network namespace without routes: real speech, real weights, no way out."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from diary_pipeline_tests.recordings.lay_out import lay_out
from diary_pipeline_tests.servers import missing_server

pytestmark = pytest.mark.slow
NAMESPACE = ["unshare", "--net"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, subprocess.CompletedProcess[str]]]:
    if not shutil.which("unshare") or subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode:
        missing_server("this machine lets nobody make a network namespace (unshare --net)")
    home = tmp_path_factory.mktemp("demo") / ".diary"  # the default, so that the README's lines work as pasted
    lay_out(home / "drop")
    yield home, run_demo(home)


def run_demo(home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*NAMESPACE, sys.executable, "-m", "diary_pipeline.cli.main", "demo", str(home / "drop")],
        env={**os.environ, "DIARY_HOME": str(home), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def ask(home: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(home / "catalogue.duckdb"), read_only=True) as conn:
        return conn.execute(query).fetchall()


def test_the_demo_ends_well_without_a_network(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, done = demo
    assert done.returncode == 0, done.stderr[-3000:]
    assert "make dev" in done.stderr and "diary ingest" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_demo_file_ended_as_it_should(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    home, _ = demo
    ended = dict(ask(home, "SELECT file_name, status || coalesce(' ' || reason_code, '') FROM recordings"))
    assert ended.pop("2026-03-09 pocket.mp3") == "refused audio_unreadable"
    assert ended.pop("2026-03-11 cut short.wav") == "failed audio_truncated"
    assert ended.pop("memo_2026-03-13_23-10.flac") == "completed audio_no_speech"
    assert set(ended.values()) == {"completed"} and len(ended) == 10  # the duplicate made no recording
    assert ask(home, "SELECT count(*) FROM notes") == [(10,)]


def test_dates_come_from_names_and_tags_and_say_which(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    home, _ = demo
    dated = {
        name: (str(at)[:10], source)
        for name, at, source in ask(home, "SELECT file_name, recorded_at, recorded_at_source FROM recordings")
    }
    assert dated["20260303_201500.mp3"] == ("2026-03-03", "file_name")
    assert dated["memo_2026-03-04_07-45.ogg"] == ("2026-03-04", "file_name")
    assert dated["New Recording 7.m4a"] == ("2026-03-12", "container_offset")
    assert dated["birthday idea.mp3"][1] == "file_time"


def pasted(beginning: str) -> list[str]:
    lines = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith(f"$ {beginning}")]


@pytest.mark.parametrize("line", [*pasted("diary sql"), *pasted("python -c"), *pasted("diary notes")])
def test_the_readmes_one_liners_work_as_pasted(demo: tuple[Path, subprocess.CompletedProcess[str]], line: str) -> None:
    home, _ = demo
    here = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    before = "diary marts && " if "marts." in line else ""  # the line above it
    done = subprocess.run(
        ["bash", "-c", before + line],
        cwd=home.parent,
        env={**os.environ, "PATH": here},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "2026-03-05" in done.stdout or "llm_calls" in line  # of which a diary without a model has none


def test_a_second_demo_does_nothing_twice(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    home, first = demo
    before = ask(home, "SELECT * FROM catalogue_state")
    again = run_demo(home)
    assert again.returncode == 0
    assert ask(home, "SELECT * FROM catalogue_state") == before
    assert again.stdout == first.stdout
