"""`diary export` on the command line: what is told, and where."""

import json
import stat
from pathlib import Path

import duckdb
import pytest

from diary_pipeline_tests.commands import Run
from diary_pipeline_tests.unit.test_cli_read import keys  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("keys")


def test_progress_is_no_data(run: Run, tmp_path: Path) -> None:
    ran = run("export", "--to", "me.duckdb", "--user", "me")
    assert (ran.code, ran.out) == (0, "")
    assert "words: " in ran.err and "2 notes of 5 recordings" in ran.err
    with duckdb.connect(str(tmp_path / "me.duckdb"), read_only=True) as db:
        assert db.execute("SELECT count(*) > 0 FROM words").fetchall() == [(True,)]
    assert stat.S_IMODE((tmp_path / "me.duckdb").stat().st_mode) == 0o600
    without = run("export", "--to", "me.duckdb", "--user", "me", "--no-words")
    assert without.code == 0 and "words" not in without.err


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_folder_has_one_file_a_table(run: Run, tmp_path: Path, form: str) -> None:
    assert run("export", "--to", "out", "--as", form).code == 0
    there = {path.stem for path in (tmp_path / "out").glob(f"*.{form}")}
    assert {"recordings", "segments", "notes", "note_items", "checks", "words", "action_items"} <= there


def test_a_user_of_whom_nothing_is_known_is_told_so(run: Run) -> None:
    ran = run("export", "--to", "x.duckdb", "--user", "nobody")
    assert ran.code == 2 and "Nothing of nobody" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--to", "x", "--since", "spring"], 2, "[day_invalid]"),
        (["--to", "home", "--as", "csv", "--force"], 2, "[export_refused]"),
        (["--to", "taken"], 2, "[export_exists]"),
        ([], 2, "--to"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    run: Run,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    (tmp_path / "taken").write_text("a letter")
    ran = run("export", *arguments)
    assert ran.code == code and said in ran.err
    assert (tmp_path / "taken").read_text() == "a letter"


def test_a_vault_is_brought_up_to_date_and_status_names_what_was_edited(
    run: Run,
    tmp_path: Path,
) -> None:
    assert "2 notes new or changed" in run("export", "--as", "obsidian", "--to", "vault").err
    [page, other] = sorted((tmp_path / "vault" / "Notes").iterdir())
    assert "edited by hand" not in run("status").err
    page.write_text(page.read_text().replace("# 2026", "# My own 2026"))
    memory = tmp_path / "vault" / ".diary-vault.json"
    memory.write_text(memory.read_text().replace('"made_for": "1', '"made_for": "0'))  # as after an upgrade
    page_text = page.read_text()
    ran = run("export", "--as", "obsidian", "--to", "vault", "--no-transcripts")
    assert "1 pages were edited by hand" in ran.err
    assert page.read_text() == page_text and "diary://" not in page_text
    told = run("status")
    assert str(page) in told.err and f"{page.stem}.diary-new.md" in told.err
    assert str(other) not in told.err
    known = json.loads((tmp_path / "home" / "exports.json").read_text())["exports"]
    assert [(e["path"], e["form"]) for e in known] == [(str(tmp_path / "vault"), "obsidian")]
    assert stat.S_IMODE((tmp_path / "vault").stat().st_mode) == 0o700
