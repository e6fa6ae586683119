"""`diary eval notes`: both tables, for our data and for files of one's own, in four formats."""

import csv
import io
import json
from pathlib import Path

import pytest

from diary_pipeline.cli.main import main

DIARY = """
[[diary]]
key = "run"
half = "held_out"
day = 2026-01-05
said = '''
I ran along the river with Anna before breakfast, fourteen kilometres.
I have to buy new shoes by Friday.
I am proud of us.
'''
title = "A run with Anna"
summary = "I ran along the river with Anna, 14 kilometres. I am proud of us."
people = ["Anna"]
items = [{kind = "action", text = "Buy new shoes.", quote = "I have to buy new shoes by Friday", due = 2026-01-09}]
"""
ANSWER = {
    "diary": "run",
    "use": "choose",
    "language": "en",
    "recorded_on": "2026-01-05",
    "segments": [{"id": 1, "start_s": 0.0, "end_s": 4.0, "text": "I ran along the river with Anna before breakfast."}],
    "model": "parrot",
    "shape": "NoteDraft",
    "items": [
        {"field": "people", "index": 0, "text": "Anna", "label": "good"},
        {
            "field": "people",
            "index": 1,
            "text": "Bartholomew",
            "label": "bad",
            "type": "fabricated",
            "reason": "unsaid",
        },
        {"field": "title", "index": 0, "text": "Diary Entry", "label": "bad", "type": "empty_title", "reason": "empty"},
        {
            "field": "summary",
            "index": 0,
            "text": "I ran along the river with Anna.",
            "label": "bad",
            "type": "said_differently",
        },
    ],
}


def ended(*arguments: str) -> int:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    return int(exit_.value.code or 0)


def test_both_tables_of_our_data_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("eval", "notes", "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["kind"]: row["met"] for row in found["planted"]}["name"] is True
    assert found["real"][0]["kind"] == "all"
    assert found["real"][0]["wrong"] > 0


def test_a_file_of_ones_own_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.toml").write_text(DIARY)
    (tmp_path / "two.toml").write_text(DIARY + DIARY.replace('"run"', '"again"'))
    assert ended("eval", "notes", str(tmp_path / "two.toml"), "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["errors"] for row in rows} == {"planted"}
    assert next(r for r in rows if r["kind"] == "name")["false_alarms"] == "0.0 %"


def test_labelled_answers_are_counted_by_type_and_misses_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_text(json.dumps(ANSWER))
    assert ended("eval", "notes", str(tmp_path), "--half", "all", "--missed", "--format", "json") == 0
    said = capsys.readouterr()
    table = {row["kind"]: row for row in json.loads(said.out)["real"]}
    assert (table["all"]["wrong"], table["all"]["caught"], table["all"]["flagged"]) == (3, 2, 0)
    assert (table["said_differently"]["caught"], table["fabricated"]["caught"]) == (0, 1)
    assert said.err.splitlines() == ["missed run summary: I ran along the river with Anna. [said_differently]"]


def test_markdown_is_a_table_for_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.json").write_text(json.dumps(ANSWER))
    assert ended("eval", "notes", str(tmp_path / "run.json"), "--half", "choose", "--format", "markdown") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| errors | kind |")
    assert lines[2].startswith("| real | all | 3 | 2 |")


@pytest.mark.parametrize(
    ("name", "text"), [("gone.toml", None), ("broken.toml", "[["), ("broken.json", "{}"), ("other.json", "[1]")]
)
def test_what_cannot_be_read_is_wrong_usage(
    name: str, text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    assert ended("eval", "notes", str(tmp_path / name)) == 2
    assert name.rpartition(".")[0] in capsys.readouterr().err or name == "broken.toml"
