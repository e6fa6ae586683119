"""`diary edit` over a small real home: what can be corrected, correcting it, and what people read afterwards."""

import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.notes.batch import WriteNotes
from diary_pipeline.settings import load_settings
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.commands import Ran, Run
from diary_pipeline_tests.diaries import Diary
from diary_pipeline_tests.note_builders import offline_notes

WALK = ("I walked by the river with Brea today.", "Then I bought bread at the market.")
RIVER = "I walked by the river with Priya today."


@pytest.fixture
def diary(run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Diary]:
    """A home with a published walk, whose transcripts lie as files too."""
    monkeypatch.setenv("DIARY_TRANSCRIPT_FILES", "srt")
    settings = load_settings()
    ledger = open_ledger(settings.ledger_url)
    diary = Diary(ledger, FolderStore(settings.object_dir))
    some = diary.accept("walk.m4a")
    diary.transcribe(some, WALK)
    WriteNotes(ledger, diary.store, offline_notes())(diary.claim("note", some))
    Publisher(ledger, diary.store, settings.catalogue_file).publish()
    yield diary
    ledger.close()


@pytest.fixture
def key(diary: Diary) -> str:
    """The key of the walk."""
    with diary.ledger.reading() as conn:
        from diary_pipeline.ledger import recordings

        return recordings.page(conn, limit=1)[0].recording.key


def told(ran: Ran) -> list[dict[str, object]]:
    """Read rows that were printed as JSON."""
    assert ran.code == 0, ran.err
    rows: list[dict[str, object]] = json.loads(ran.out)
    return rows


def test_it_shows_with_numbers_what_can_be_corrected(run: Run, key: str) -> None:
    rows = told(run("edit", key, "--format", "json"))
    assert [r["what"] for r in rows[:2]] == ["title", "date"]
    walked, bread = [r for r in rows if r["what"] == "segment"]
    assert (walked["number"], walked["text"], bread["number"], bread["text"]) == (0, WALK[0], 2, WALK[1])
    assert ("item", "person", "Brea") in [(r["what"], r["kind"], r["text"]) for r in rows]


def test_a_correction_is_in_the_note_file_at_once_and_in_sql_after_the_publish(
    run: Run, key: str, diary: Diary
) -> None:
    ran = run("edit", key, "--segment", f"0={RIVER}", "--title", "By the river", "--date", "2026-03-05")
    assert (ran.code, ran.out) == (0, "")
    assert "3 corrections now" in ran.err
    assert "planned to be written again" in ran.err
    file = next(load_settings().note_dir.rglob(f"{key}.md"))
    assert file.read_text().startswith("# By the river\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert RIVER in next(load_settings().transcript_dir.rglob(f"{key}.srt")).read_text()
    assert told(run("sql", "SELECT title FROM notes", "--format", "json")) != [{"title": "By the river"}]
    Publisher(diary.ledger, diary.store, load_settings().catalogue_file).publish()
    assert told(run("sql", "SELECT title FROM notes", "--format", "json")) == [{"title": "By the river"}]
    shown = run("show", key)
    assert shown.out.startswith("# By the river\n")
    assert f"3 corrections by its owner; `diary edit {key} --list` shows them." in shown.err
    assert RIVER in run("show", key, "--transcript").out
    assert RIVER in run("show", key, "--format", "srt").out
    rows = told(run("edit", key, "--format", "json"))
    assert (RIVER, WALK[0]) in [(r["text"], r["machine_text"]) for r in rows]


def test_corrections_are_listed_and_taken_back(run: Run, key: str) -> None:
    run("edit", key, "--title", "By the river", "--remove-item", "0", "--by", "ana")
    rows = told(run("edit", key, "--list", "--format", "json"))
    assert sorted((str(r["target"]), r["text"], r["placed"], r["made_by"]) for r in rows) == [
        ("removed_item", "", True, "ana"),
        ("title", "By the river", True, "ana"),
    ]
    [title] = [str(r["correction_id"]) for r in rows if r["target"] == "title"]
    assert "1 corrections now" in run("edit", key, "--revert", title).err
    assert run("edit", key, "--revert", "all").code == 0
    assert told(run("edit", key, "--list", "--format", "json")) == []
    assert "reads so already" in run("edit", key, "--revert", "all").err


def test_in_an_editor_what_was_changed_is_taken_and_an_item_whose_line_is_gone_is_struck(
    run: Run, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "editor.py"
    script.write_text(
        "import pathlib, re, sys\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "text = file.read_text().replace('with Brea today.', 'with Priya today.')\n"
        "text = re.sub('(?m)^title: .*$', 'title: By the river', text)\n"
        "file.write_text(re.sub(r'(?m)^item \\d+ \\(person.*\\n', '', text))\n"
    )
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"{sys.executable} {script}")
    assert run("edit", key, "--open").code == 0
    rows = told(run("edit", key, "--list", "--format", "json"))
    wanted = {("title", "By the river"), ("removed_item", ""), ("segment", RIVER)}
    assert wanted <= {(str(r["target"]), str(r["text"])) for r in rows}
    monkeypatch.setenv("EDITOR", "true")
    assert "Nothing was changed." in run("edit", key, "--open").err


@pytest.mark.parametrize(
    ("editor", "code"),
    [("false", "editor_failed"), ("/nowhere/at/all", "editor_missing"), ("sed -i s/title:/titel:/", "edit_invalid")],
)
def test_an_editor_that_fails_changes_nothing(
    run: Run, key: str, monkeypatch: pytest.MonkeyPatch, editor: str, code: str
) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", editor)
    ran = run("edit", key, "--open")
    assert f"[{code}]" in ran.err
    assert told(run("edit", key, "--list", "--format", "json")) == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--segment", "Priya"], "edit_invalid"),
        (["--segment", "1=Priya"], "segment_missing"),
        (["--item", "99=Priya"], "item_missing"),
        (["--date", "soon"], "date_invalid"),
        (["--revert", "0123456789ab"], "correction_missing"),
    ],
)
def test_what_cannot_be_corrected_is_wrong_usage(run: Run, key: str, arguments: list[str], code: str) -> None:
    ran = run("edit", key, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert f"[{code}]" in ran.err
