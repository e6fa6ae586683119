"""What failed and may go away is tried again after 60, 300 and 1800 s, and has failed only then; on both databases."""

from pathlib import Path
from typing import Any

import pytest

from diary_pipeline.core.batch import Stage
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger import batches
from diary_pipeline.ledger.again import want_again
from diary_pipeline.ledger.commits import Change, Committed
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.retries import RETRY, is_due, pause_s, plan_due, waiting
from diary_pipeline.ledger.tables import work
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.contract.batch_work import LIMITS
from diary_pipeline_tests.contract.query_plans import plans, walks
from diary_pipeline_tests.contract.test_commits import answer, at, commit, failed, noted, shown, transcribed, work_of
from diary_pipeline_tests.contract.test_outbox import as_job, told
from diary_pipeline_tests.diaries import Diary

AFTER_S = (60.0, 300.0, 1800.0)


@pytest.fixture
def diary(ledger: Ledger, tmp_path: Path) -> Diary:
    """A diary nobody has begun yet."""
    return Diary(ledger, FolderStore(tmp_path / "objects"))


def crashed(diary: Diary, stage: Stage, some: list[Recording], **changes: Any) -> Committed:
    """Commit that a stage went wrong in a way that may go away."""
    told: dict[str, Any] = {"reason_code": "internal_error", "message": "why", "retry_after_s": AFTER_S, **changes}
    batch = diary.claim(stage, some)
    return commit(diary.ledger, stage, [Change(x.key, x.epoch, "failed", None, **told) for x in batch.leases])


def pass_by(ledger: Ledger, seconds: float) -> None:
    """Let time pass for what waits for a retry; the clock is the database's."""
    with ledger.writing() as tx:
        tx.execute(work.update().where(work.c.state == RETRY).values(ready_at=work.c.ready_at - seconds))


@pytest.mark.parametrize(("retries", "pause"), [(0, 60.0), (1, 300.0), (2, 1800.0), (3, None), (9, None)])
def test_every_pause_is_made_once(retries: int, pause: float | None) -> None:
    assert pause_s(retries, AFTER_S) == pause


def test_without_pauses_the_first_failure_is_the_last() -> None:
    assert pause_s(0, ()) is None


@pytest.mark.parametrize(("stage", "waits"), [("transcript", "pending"), ("note", "generating_notes")])
def test_a_failure_is_tried_three_times_more_and_has_failed_only_then(diary: Diary, stage: Stage, waits: str) -> None:
    [memo] = diary.accept("memo.m4a")
    as_job(diary.ledger, memo.submission_id)
    if stage == "note":
        transcribed(diary, [memo])
    for n, pause in enumerate(AFTER_S, start=1):
        assert crashed(diary, stage, [memo]).retried == (memo.key,)
        assert shown(diary.ledger, memo.key) == (waits, None, "internal_error", False)
        assert answer(diary.ledger, memo.submission_id) == (waits, "internal_error", False, None)
        assert (work_of(diary.ledger, memo.key, stage).state, work_of(diary.ledger, memo.key, stage).retries) == (
            RETRY,
            n,
        )
        pass_by(diary.ledger, pause - 2)
        assert plan_due(diary.ledger) == 0, "too early"
        assert batches.plan_waiting(diary.ledger, stage, LIMITS) == []
        pass_by(diary.ledger, 2)
        assert plan_due(diary.ledger) == 1
        assert plan_due(diary.ledger) == 0
        assert told(diary.ledger) == [], "nothing has ended"
        assert at(diary.ledger, memo.key, "outcome") is None
    assert crashed(diary, stage, [memo]).committed == (memo.key,)
    assert shown(diary.ledger, memo.key) == ("failed", stage, "internal_error", True)
    assert told(diary.ledger) == [("job.failed", memo.submission_id)]
    assert work_of(diary.ledger, memo.key, stage).state == "failed"


def test_what_cannot_go_away_is_never_tried_again(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    failed(diary, "transcript", [memo], "audio_truncated")
    assert shown(diary.ledger, memo.key)[0] == "failed"
    assert plan_due(diary.ledger) == 0


def test_one_that_waits_for_its_retry_holds_up_nobody_of_its_batch(diary: Diary) -> None:
    good, bad = diary.accept("good.m4a", "bad.m4a")
    batch = diary.claim("transcript", [good, bad])
    changes = [
        Change(x.key, x.epoch, "generating_notes", "t1")
        if x.key == good.key
        else Change(x.key, x.epoch, "failed", None, "internal_error", "why", retry_after_s=AFTER_S)
        for x in batch.leases
    ]
    first = commit(diary.ledger, "transcript", changes)
    assert (first.seq, first.dropped) == (0, {bad.key})
    assert commit(diary.ledger, "transcript", [c for c in changes if c.key == good.key]).committed == (good.key,)
    batches.release(diary.ledger, batch)
    assert work_of(diary.ledger, bad.key, "transcript").state == RETRY, "what a run gives back is not this"
    with diary.ledger.reading() as conn:
        assert list(waiting(conn, [good.key, bad.key])) == [bad.key]
        assert [b.id for b in batches.unreported(conn, "transcript")] == [batch.id], "Dagster is told of the failure"


def test_a_success_after_a_retry_forgets_what_went_wrong(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    crashed(diary, "transcript", [memo])
    transcribed(diary, [memo])
    noted(diary, [memo])
    assert work_of(diary.ledger, memo.key, "transcript").retries == 0
    assert shown(diary.ledger, memo.key) == ("completed", None, None, True)
    assert answer(diary.ledger, memo.submission_id)[:2] == ("completed", None)


def test_a_good_version_stays_what_users_see_while_its_successor_is_tried_again(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    transcribed(diary, [memo])
    noted(diary, [memo])
    want_again(diary.ledger, "transcript", [memo.key])
    assert crashed(diary, "transcript", [memo]).retried == (memo.key,)
    assert shown(diary.ledger, memo.key) == ("completed", None, None, True)
    assert answer(diary.ledger, memo.submission_id)[0] == "completed"


def test_work_that_nobody_waits_for_is_not_tried_again(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    failed(diary, "transcript", [memo], "internal_error")
    assert crashed(diary, "transcript", [memo]).retried == (), "a person launched it by hand and sees what came of it"
    assert shown(diary.ledger, memo.key)[0] == "failed"


def test_the_look_for_what_is_due_reads_an_index(ledger: Ledger) -> None:
    looked = plans(ledger, is_due)[-1]
    assert not walks(looked)
    assert "work_" in looked
