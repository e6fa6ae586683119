"""`diary quarantine show|retry|drop` over a small real home."""

import io
import json
from collections.abc import Iterator

import pytest

from diary_pipeline.ledger import submissions
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.settings import load_settings
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.commands import Run
from diary_pipeline_tests.diaries import Diary


@pytest.fixture
def troubled(run: Run) -> Iterator[dict[str, str]]:
    """A home in which two recordings failed and a file was refused; their ids by file name."""
    settings = load_settings()
    ledger = open_ledger(settings.ledger_url)
    diary = Diary(ledger, FolderStore(settings.object_dir))
    cut, odd = diary.accept("cut.m4a", "odd.m4a")
    diary.fail("transcript", [cut])
    diary.fail("transcript", [odd], "internal_error")
    yield {"cut.m4a": cut.key, "odd.m4a": odd.key, "empty.m4a": diary.refuse("empty.m4a")}
    ledger.close()


def listed(run: Run) -> set[str]:
    """The files that the quarantine lists."""
    return {row["file_name"] for row in json.loads(run("quarantine", "--format", "json").out)}


def test_one_is_shown_with_each_time_that_it_failed(run: Run, troubled: dict[str, str]) -> None:
    shown = run("quarantine", "show", troubled["cut.m4a"], "--format", "json")
    [attempt] = json.loads(shown.out)
    assert (attempt["stage"], attempt["code"], attempt["tried_again_at"]) == ("transcript", "audio_truncated", None)
    assert "cut.m4a of me" in shown.err


def test_all_of_a_code_are_tried_again_after_their_number_was_said(run: Run, troubled: dict[str, str]) -> None:
    done = run("quarantine", "retry", "--code", "internal_error", "--yes")
    assert (done.code, listed(run)) == (0, {"cut.m4a", "empty.m4a"})
    assert "1 are in quarantine with internal_error." in done.err
    assert "1 are tried again" in done.err


def test_a_refused_file_goes_on_under_a_new_id(run: Run, troubled: dict[str, str]) -> None:
    done = run("quarantine", "retry", troubled["empty.m4a"][:12])
    assert f"{troubled['empty.m4a'][:12]} goes on as" in done.err
    assert listed(run) == {"cut.m4a", "odd.m4a"}
    again = run("quarantine", "retry", troubled["empty.m4a"])
    assert (again.code, "was tried again before: it goes on as" in again.err) == (0, True)


def test_what_cannot_be_tried_again_is_named_with_the_reason(run: Run, troubled: dict[str, str]) -> None:
    ledger = open_ledger(load_settings().ledger_url)
    gone = submissions.submit(ledger, owner="me", source="upload", uri="upload:gone", file_name="gone.m4a", options={})
    submissions.refuse(ledger, gone, "audio_unreadable", "gone.m4a is no audio.")
    ledger.close()
    refused = run("quarantine", "retry", gone)
    assert refused.code == 1
    assert f"gone.m4a ({gone[:12]}) is not tried again: what was uploaded is no longer kept" in refused.err


def test_nothing_is_dropped_without_a_yes(run: Run, troubled: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert run("quarantine", "drop", "--all").code != 0
    assert listed(run) == set(troubled)
    assert run("quarantine", "drop", "--all", "--yes").code == 0
    assert listed(run) == set()
    assert "Dropped at" in run("quarantine", "show", troubled["cut.m4a"]).err


@pytest.mark.parametrize("said", [[], ["x", "--all"], ["--code", "x", "--all"]])
def test_which_ones_are_meant_is_said_in_one_way(run: Run, troubled: dict[str, str], said: list[str]) -> None:
    refused = run("quarantine", "retry", *said)
    assert (refused.code, "one of the three" in refused.err) == (2, True)
