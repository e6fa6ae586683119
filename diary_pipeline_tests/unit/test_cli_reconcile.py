"""`diary reconcile` over a real home, and `diary publish --compact`."""

import json
from pathlib import Path

import duckdb
import pytest

from diary_pipeline.settings import load_settings
from diary_pipeline.wiring.deployment import Wiring
from diary_pipeline_tests.commands import ran
from diary_pipeline_tests.diaries import Diary


@pytest.fixture
def wiring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wiring:
    """A home with a diary in it, published."""
    monkeypatch.setenv("DIARY_HOME", str(tmp_path))
    wiring = Wiring(load_settings())
    diary = Diary(wiring.ledger, wiring.store)
    some = diary.accept("walk.m4a", "bread.m4a")
    for recording in some:
        wiring.store.put(recording.object_key, b"sound")
    diary.transcribe(some)
    diary.write(some)
    wiring.publisher.publish()
    return wiring


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Return exit code, data and messages of a command."""
    done = ran(capsys, arguments)
    return done.code, done.out, done.err


def test_nothing_differs(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "reconcile", "--format", "json")
    assert (code, json.loads(out)) == (0, [])
    assert err.startswith("0 differences, 0 left to you")


def test_what_is_left_to_a_person_is_named_and_told_by_the_exit_code(
    wiring: Wiring, capsys: pytest.CaptureFixture[str]
) -> None:
    diary = Diary(wiring.ledger, wiring.store)
    [unheard] = diary.accept("unheard.m4a")
    lost = next(key.rpartition("/")[0] for key in wiring.store.list("catalogue/") if "transcript-" in key)
    wiring.store.delete(lost)
    for _ in range(2):
        code, out, _ = run(capsys, "reconcile", "--dry-run", "--format", "json")
        rows = json.loads(out)
        assert code == 1
        assert [(r["difference"], r["subject"], r["state"]) for r in rows] == [
            ("missing_object", lost, "to_mend"),
            ("missing_audio", unheard.key, "left"),
        ]
    code, out, err = run(capsys, "reconcile", "--months", "1")
    assert code == 1
    assert "planned again: 2 transcripts, 0 notes" in out
    assert err.startswith("2 differences, 1 left to you")


def test_a_published_file_is_rewritten_on_request(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    before = wiring.settings.catalogue_file.stat().st_ino
    assert run(capsys, "publish")[0] == 0
    assert wiring.settings.catalogue_file.stat().st_ino == before, "there is nothing new"
    assert run(capsys, "publish", "--compact")[0] == 0
    assert wiring.settings.catalogue_file.stat().st_ino != before
    with duckdb.connect(str(wiring.settings.catalogue_file), read_only=True) as db:
        assert db.execute("SELECT count(*) FROM notes").fetchall() == [(2,)]
