"""`diary eval notes`: both tables, for our data and for files of one's own, in four formats."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diary_pipeline.cli.main import main
from diary_pipeline.settings import SETTINGS
from diary_pipeline_tests.drafting import honest
from diary_pipeline_tests.provider_servers import Asked, ProviderDouble, Reply, provider_server

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


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProviderDouble]:
    """A home of its own whose configuration names a loopback server and a provider without a key."""
    for name in (*SETTINGS, "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with provider_server("openai") as double:
        config = tmp_path / "diary.toml"
        config.write_text(
            f'[llm]\nrun_budget_usd = 0.5\n[[llm.routes]]\nname = "home"\nprovider = "openai"\nmodel = "m"\n'
            f'base_url = "{double.url}"\nlocal = true\nprose = true\n'
            f"price = {{input = 0.1, output = 0.1, as_of = 2026-11-22}}\n"
            '[[llm.routes]]\nname = "keyless"\nprovider = "openai"\nmodel = "m"\n'
        )
        monkeypatch.setenv("DIARY_CONFIG", str(config))
        monkeypatch.setenv("DIARY_HOME", str(tmp_path / "home"))
        yield double


def tried(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert ended("eval", "notes", "--route", "home", "--half", "held_out", "--format", "json", *arguments) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_routes_own_notes_are_counted_like_good_ones(
    configured: ProviderDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    configured.otherwise = Reply(honest)
    found = tried(capsys)
    drafts = found["drafts"]
    assert drafts["diaries"] == drafts["accepted"] + drafts["repaired"] + drafts["degraded"] == 17
    assert drafts["calls"] == len(configured.asked) == sum(drafts["outcomes"].values())
    assert drafts["accepted"] > 8
    names = next(row for row in found["planted"] if row["kind"] == "name")
    assert names["wrong"] > 100
    assert names["recall"] > 0.95


def test_what_is_mended_after_advice_and_what_is_never_right_are_told_apart(
    configured: ProviderDouble, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("Anna", "Berta", "Clara")
    (tmp_path / "three.toml").write_text("".join(DIARY.replace("Anna", n).replace('"run"', f'"{n}"') for n in names))

    def answer(asked: Asked) -> str:
        before = sum("Berta" in other.text for other in configured.asked)
        return "nonsense" if "Clara" in asked.text or ("Berta" in asked.text and before == 1) else honest(asked)

    configured.otherwise = Reply(answer)
    found = tried(capsys, str(tmp_path / "three.toml"))
    assert {name: found["drafts"][name] for name in ("accepted", "repaired", "degraded")} == {
        "accepted": 1,
        "repaired": 1,
        "degraded": 1,
    }


def test_a_spent_budget_ends_the_trial_without_another_call(
    configured: ProviderDouble, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "diary.toml"
    config.write_text(config.read_text().replace("run_budget_usd = 0.5", "run_budget_usd = 0.0"))
    assert tried(capsys)["drafts"] == {
        **{"route": "home", "diaries": 17, "accepted": 0, "repaired": 0, "degraded": 17},
        **{"calls": 0, "outcomes": {}, "cost_usd": 0.0},
    }
    assert configured.asked == []


@pytest.mark.parametrize(("name", "code"), [("away", "[route_unknown]"), ("keyless", "[route_unused]")])
def test_a_route_that_cannot_be_asked_is_wrong_usage(
    name: str, code: str, configured: ProviderDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended("eval", "notes", "--route", name) == 2
    assert code in capsys.readouterr().err
