"""Who asks for another model gets its result, whatever was on its way before; on both databases."""

from dataclasses import replace
from pathlib import Path

import pytest

from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger import batches
from diary_pipeline.ledger.acceptance import accept
from diary_pipeline.ledger.commits import Change
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.tables import batches as batch_table
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.contract.test_commits import answer, commit, failed, noted, row, shown, transcribed, work_of
from diary_pipeline_tests.diaries import Diary


@pytest.fixture
def diary(ledger: Ledger, tmp_path: Path) -> Diary:
    """A diary nobody has begun yet."""
    return Diary(ledger, FolderStore(tmp_path / "objects"))


def wanted_anew(diary: Diary, memo: Recording, model: str = "small") -> str:
    """Ask for a recording in another model and return the submission."""
    asked = diary.submit(memo.file_name)
    assert accept(diary.ledger, asked, replace(memo, whisper_model=model), 3, 60.0).new_work
    return asked


@pytest.mark.parametrize("how", ["new", "found", "failed"])
def test_the_note_of_an_old_transcript_ends_nothing_while_another_model_is_waited_for(diary: Diary, how: str) -> None:
    [memo] = diary.accept("memo.m4a")
    transcribed(diary, [memo])
    if how == "found":
        noted(diary, [memo])
    writing = diary.claim("note", [memo], holder="writer")
    asked = wanted_anew(diary, memo)
    status, version = ("failed", None) if how == "failed" else ("completed", "n1")
    [lease] = writing.leases
    commit(diary.ledger, "note", [Change(memo.key, lease.epoch, status, version)])  # type: ignore[arg-type]
    assert shown(diary.ledger, memo.key) == ("pending", None, None, False)
    assert answer(diary.ledger, asked) == ("pending", None, False, None)
    assert row(diary.ledger, batch_table, batch_table.c.id == writing.id).state == "closed"
    assert work_of(diary.ledger, memo.key, "note").state == ("failed" if how == "failed" else "done")
    # A run that began before and raises now gives the transcript back as what it is: still to be made.
    batches.release(diary.ledger, diary.claim("transcript", [memo]))
    assert work_of(diary.ledger, memo.key, "transcript").state == "ready"
    transcribed(diary, [memo], "t2")
    assert work_of(diary.ledger, memo.key, "note").priority == 3
    done = noted(diary, [memo], "t2", "n2")
    assert shown(diary.ledger, memo.key) == ("completed", None, None, True)
    assert answer(diary.ledger, asked) == ("completed", None, True, done.seq)


def test_a_note_of_the_old_transcript_does_not_answer_who_asked_for_a_model_that_failed(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    transcribed(diary, [memo])
    asked = wanted_anew(diary, memo)
    failed(diary, "transcript", [memo], "internal_error")
    assert shown(diary.ledger, memo.key) == ("generating_notes", None, None, False)
    noted(diary, [memo])
    assert shown(diary.ledger, memo.key) == ("completed", None, None, True)
    assert answer(diary.ledger, asked)[:2] == ("failed", "internal_error")
