"""`diary eval transcripts`: its four formats, its exit codes, and our own demo speech as a reference set."""

import csv
import io
import json
from pathlib import Path

import pytest

from diary_pipeline.cli.main import main
from diary_pipeline.settings import SETTINGS
from diary_pipeline_tests.recordings.faulty import DEMO
from diary_pipeline_tests.recordings.script import ENTRIES


def ended(*arguments: str) -> int:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    return int(exit_.value.code or 0)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in set(SETTINGS) - {"DIARY_MODEL_DIR"}:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIARY_CPU_THREADS", "1")
    monkeypatch.setenv("DIARY_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def manifest(folder: Path, entries: int, *more: tuple[str, str]) -> Path:
    """Write a reference set of demo recordings, the shortest first, and further rows."""
    shortest = sorted(ENTRIES, key=lambda entry: len(entry.text))[:entries]
    with (folder / "demo.csv").open("w", encoding="utf-8", newline="") as file:
        rows = [(str(DEMO / entry.file_name), entry.text) for entry in shortest]
        csv.writer(file).writerows([("audio", "reference"), *rows, *more])
    return folder / "demo.csv"


@pytest.mark.speech
def test_the_demo_speech_is_a_reference_set_and_a_bad_row_is_named(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "noise.mp3").write_bytes(b"no audio at all" * 100)
    file = manifest(tmp_path, 2, ("noise.mp3", "lost"), ("gone.mp3", "lost"))
    assert ended("eval", "transcripts", str(file), "--model", "tiny.en", "--format", "json") == 1
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert [row["row"] for row in found["recordings"]] == [2, 3]
    assert found["total"]["words"] == sum(row["words"] for row in found["recordings"]) > 130
    assert found["total"]["wer"] <= 0.08
    assert 0 < found["total"]["cer"] <= 0.08 or found["total"]["word_errors"] == 0
    assert found["engine"]["model"] == "tiny.en"
    assert found["real_time_factor"] == pytest.approx(found["wall_s"] / found["total"]["duration_s"])
    assert [row["code"] for row in found["failed"]] == ["audio_unreadable", "audio_missing"]
    assert said.err.splitlines() == [f"{row['message']} [{row['code']}]" for row in found["failed"]]
    assert not home.exists(), "no ledger and no catalogue is made"


@pytest.mark.speech
@pytest.mark.parametrize("form", ["table", "csv", "markdown"])
def test_each_format_holds_the_same_figures(tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = min(ENTRIES, key=lambda entry: len(entry.text)).file_name
    command = ("eval", "transcripts", str(manifest(tmp_path, 1)), "--model", "tiny.en", "--language", "en")
    assert ended(*command, "--format", form) == 0
    said = capsys.readouterr().out
    assert name in said
    if form == "csv":
        [row] = csv.DictReader(io.StringIO(said))
        assert float(row["wer"]) == pytest.approx(
            sum(int(row[kind]) for kind in ("substitutions", "deletions", "insertions")) / int(row["words"])
        )
    else:
        assert "total" in said
        assert "real-time factor 0." in said
    if form == "markdown":
        assert said.startswith("| row | audio | language | seconds | words | wer | cer | inaudible | flags |\n| --- |")


@pytest.mark.parametrize(
    ("arguments", "ended_with", "said"),
    [
        (("gone.csv",), 2, "gone.csv is not there"),
        (("set.csv", "--model", "large-v3"), 3, "diary models get large-v3"),
        (("columns.csv",), 2, "has no column reference"),
    ],
)
def test_what_is_missing_is_one_sentence(
    home: Path, arguments: tuple[str, ...], ended_with: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest(home.parent, 1).rename("set.csv")
    Path("columns.csv").write_text("audio,text\n", encoding="utf-8")
    assert ended("eval", "transcripts", *arguments) == ended_with
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("diary: ")
    assert printed.err.count("\n") == 1
    assert said in printed.err
