"""`diary sql`: questions from anywhere, answers that help, and what can be asked."""

import io
import json
import sys
from pathlib import Path

import pytest

from diary_pipeline_tests.commands import Run
from diary_pipeline_tests.unit.test_cli_read import keys  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("keys")

TWO_LINES = "SELECT count(*) AS n\nFROM notes -- all of them\n"


def test_a_statement_may_come_from_a_file_or_from_standard_input(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "count.sql").write_text(TWO_LINES)
    by_file = run("sql", "--file", "count.sql", "--format", "csv")
    monkeypatch.setattr(sys, "stdin", io.StringIO(TWO_LINES))
    by_pipe = run("sql", "-", "--format", "csv")
    assert by_file.out == by_pipe.out == run("sql", TWO_LINES, "--format", "csv").out == "n\n2\n"


def test_how_long_it_took_is_no_data(run: Run) -> None:
    ran = run("sql", "FROM notes SELECT title", "--format", "json")
    assert len(json.loads(ran.out)) == 2
    assert ran.err.startswith("2 rows in 0.")


def test_a_limit_says_that_there_are_more(run: Run) -> None:
    ran = run("sql", "FROM range(7)", "--limit", "3", "--format", "csv")
    assert ran.out == "range\n0\n1\n2\n"
    assert ran.err.startswith("3 rows in 0.") and "there are more" in ran.err
    assert "more" not in run("sql", "FROM range(7)", "--limit", "7").err


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT titel FROM notes", 'did you mean "title"'),
        ("FROM note", 'did you mean "notes'),
        ("SELECT\n  summery\nFROM notes", "(line 2)"),
        ("SELECT lenght(title) FROM notes", 'did you mean "length"'),
    ],
)
def test_a_slip_is_answered_with_what_may_be_meant(run: Run, query: str, said: str) -> None:
    ran = run("sql", query)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err and ran.err.count("\n") == 1


def test_the_schema_teaches_what_can_be_asked(run: Run) -> None:
    tables = {row["name"]: row["comment"] for row in json.loads(run("sql", "--schema", "--format", "json").out)}
    assert tables["note_items"] == "a claim of a note, with its evidence"
    assert {"recordings", "segments", "action_items", "recording_costs", "catalogue_state"} <= set(tables)
    assert not any(name.startswith("data.") for name in tables)
    columns = json.loads(run("sql", "--schema", "notes", "--format", "json").out)
    assert columns[0] == {
        "column_name": "recording_key",
        "data_type": "VARCHAR",
        "comment": "the recording, the same as its partition key",
    }
    unknown = run("sql", "--schema", "note")
    assert unknown.code == 2 and "note_items" in unknown.err


@pytest.mark.parametrize("arguments", [[], ["FROM notes", "--file", "x.sql"], ["--schema", "--file", "x.sql"]])
def test_two_questions_or_none_are_refused(run: Run, arguments: list[str]) -> None:
    ran = run("sql", *arguments)
    assert ran.code == 2 and "[usage_invalid]" in ran.err


def test_a_file_that_is_not_there_is_named(run: Run) -> None:
    ran = run("sql", "--file", "gone.sql")
    assert ran.code == 2 and "gone.sql" in ran.err
