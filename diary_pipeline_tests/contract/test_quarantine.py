"""Troubles are tried again or dropped, one, several or all of a code, and keep their history; on both databases."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from diary_pipeline.intake.quarantine import every
from diary_pipeline.ledger import quarantine, submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.failures import Failure, failures_of, forget_old, note_failures
from diary_pipeline.ledger.jobs import find
from diary_pipeline.ledger.quarantine_ends import _drop, _retry, drop, retry
from diary_pipeline.ledger.statements import CHUNK
from diary_pipeline.ledger.tables import recordings, seen_files
from diary_pipeline.ledger.tables import submissions as submission_rows
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.contract.test_commits import failed, noted, shown, transcribed, work_of
from diary_pipeline_tests.contract.test_outbox import SAID, as_job, told
from diary_pipeline_tests.contract.test_retries import crashed
from diary_pipeline_tests.diaries import Diary


@pytest.fixture
def diary(ledger: Ledger, tmp_path: Path) -> Diary:
    """A diary nobody has begun yet."""
    return Diary(ledger, FolderStore(tmp_path / "objects"))


def view(diary: Diary, code: str | None = None) -> list[str]:
    """Return what is in quarantine, by id."""
    return sorted(trouble.id for trouble in every(diary.ledger, code=code))


def history(diary: Diary, id: str) -> list[tuple[str, str, bool]]:
    """Return the failures of one: stage, code, and whether it was to be tried again."""
    with diary.ledger.reading() as conn:
        return [(f.stage, f.code, f.again_at is not None) for f in failures_of(conn, id)]


@pytest.mark.parametrize(("stage", "waits"), [("transcript", "pending"), ("note", "generating_notes")])
def test_a_failed_recording_is_tried_again_at_the_stage_that_failed_and_its_job_completes(
    diary: Diary, stage: str, waits: str
) -> None:
    [memo] = diary.accept("memo.m4a")
    as_job(diary.ledger, memo.submission_id)
    if stage == "note":
        transcribed(diary, [memo])
    failed(diary, stage, [memo], "internal_error")  # type: ignore[arg-type]
    assert view(diary) == [memo.key]
    [again] = retry(diary.ledger, [memo.key])
    assert (again.id, again.now) == (memo.key, memo.key)
    assert view(diary) == []
    assert shown(diary.ledger, memo.key) == (waits, None, None, False)
    row = work_of(diary.ledger, memo.key, stage)  # type: ignore[arg-type]
    assert (row.state, row.wanted, row.retries, row.attempts) == ("ready", True, 0, 0)
    if stage == "transcript":
        transcribed(diary, [memo])
    noted(diary, [memo])
    assert [event for event, _ in told(diary.ledger)] == ["job.failed", "job.completed"]
    assert history(diary, memo.key) == [(stage, "internal_error", False)]


def test_one_that_waits_for_its_retry_is_tried_at_once_when_a_person_asks(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    crashed(diary, "transcript", [memo])
    assert retry(diary.ledger, [memo.key])
    assert work_of(diary.ledger, memo.key, "transcript").state == "ready"
    assert history(diary, memo.key) == [("transcript", "internal_error", True)]


def test_a_refused_file_is_tried_again_as_a_new_submission_of_the_same_job(diary: Diary) -> None:
    id = as_job(diary.ledger, diary.refuse("empty.m4a"))
    [again] = retry(diary.ledger, [id])
    assert view(diary) == []
    assert retry(diary.ledger, [id]) == [], "once"
    with diary.ledger.reading() as conn:
        [waiting] = submissions.waiting(conn, 9, far=True)
        job = find(conn, again.now)
    assert (waiting.id, waiting.uri, waiting.file_name) == (again.now, "/memos/empty.m4a", "empty.m4a")
    assert job is not None
    assert (job.said, job.status) == (SAID, "pending")
    submissions.refuse(diary.ledger, again.now, "audio_empty", "Still empty.")
    assert view(diary) == [again.now]


def test_a_file_of_a_folder_that_is_refused_again_stays_in_view(diary: Diary) -> None:
    id = diary.refuse("empty.m4a")
    seen = {"owner": "me", "path": "/memos/empty.m4a", "size_bytes": 0, "mtime_ns": 0, "submission_id": id}
    with diary.ledger.writing() as tx:
        tx.execute(seen_files.insert().values(seen))
    [again] = retry(diary.ledger, [id])
    submissions.refuse(diary.ledger, again.now, "audio_empty", "Still empty.")
    assert view(diary) == [again.now]


def test_a_refused_upload_is_not_tried_again_before_its_bytes_lie_under_the_new_id(diary: Diary) -> None:
    id = diary.refuse("empty.m4a")
    with diary.ledger.writing() as tx:
        tx.execute(submission_rows.update().values(uri=f"upload:{id}"))
    assert retry(diary.ledger, [id]) == []
    assert view(diary) == [id]


@pytest.mark.parametrize("second", [lambda tx, id: _retry(tx, [id], None), lambda tx, id: _drop(tx, [id], "b", None)])
def test_of_two_who_want_a_trouble_at_the_same_time_one_has_it(
    diary: Diary, second: Callable[[sa.Connection, str], object]
) -> None:
    id = diary.refuse("empty.m4a")
    with ThreadPoolExecutor(1) as pool:
        with diary.ledger.writing() as tx:
            assert _retry(tx, [id], None)
            came = pool.submit(diary.ledger.write, lambda mine: second(mine, id))
            deadline = time.monotonic() + 60
            while diary.ledger.engine.dialect.name == "postgresql" and not _somebody_waits(diary.ledger):
                assert time.monotonic() < deadline
                threading.Event().wait(0.005)
        assert came.result() == []
    with diary.ledger.reading() as conn:
        assert len(submissions.waiting(conn, 9, far=True)) == 1


def _somebody_waits(ledger: Ledger) -> bool:
    with ledger.reading() as conn:
        return bool(conn.execute(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar())


def test_what_was_dropped_leaves_the_view_and_says_who_and_when(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    failed(diary, "transcript", [memo])
    refused = diary.refuse("empty.m4a")
    assert sorted(drop(diary.ledger, [memo.key, refused, "nobody"], "anna")) == sorted([memo.key, refused])
    assert view(diary) == []
    assert drop(diary.ledger, [memo.key], "berta") == [], "it was dropped already"
    with diary.ledger.reading() as conn:
        trouble = quarantine.find(conn, memo.key)
        assert trouble is not None
        at_by = quarantine.dropped(conn, trouble)
        assert at_by is not None
        assert (at_by[0] >= trouble.ended_at, at_by[1]) == (True, "anna")
        assert submissions.counts(conn) == {"failed": 1, "refused": 1}, "counted as before"


def test_what_was_dropped_comes_back_when_it_fails_once_more(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    failed(diary, "transcript", [memo])
    drop(diary.ledger, [memo.key], "anna")
    failed(diary, "transcript", [memo], "internal_error")
    assert view(diary) == [memo.key]
    assert history(diary, memo.key) == [
        ("transcript", "audio_truncated", False),
        ("transcript", "internal_error", False),
    ]


def test_all_of_a_code_are_found(diary: Diary) -> None:
    one, two = diary.accept("one.m4a", "two.m4a")
    failed(diary, "transcript", [one], "internal_error")
    failed(diary, "transcript", [two])
    empty = diary.refuse("empty.m4a")
    assert view(diary, "internal_error") == [one.key]
    assert view(diary, "audio_empty") == [empty]
    assert view(diary, "never") == []


def test_nobody_touches_what_is_somebody_elses_or_well(diary: Diary) -> None:
    bad, good = diary.accept("bad.m4a", "good.m4a")
    failed(diary, "transcript", [bad])
    transcribed(diary, [good])
    assert retry(diary.ledger, [bad.key], owner="stranger") == []
    assert drop(diary.ledger, [bad.key], "stranger", owner="stranger") == []
    assert retry(diary.ledger, [good.key, "nobody"]) == []
    with diary.ledger.reading() as conn:
        assert quarantine.find(conn, bad.key, owner="stranger") is None
        assert quarantine.find(conn, good.key) is None
    assert view(diary) == [bad.key]


def test_the_history_of_what_has_ended_long_ago_goes_and_of_nothing_else(diary: Diary) -> None:
    well, wrong, open_ = diary.accept("well.m4a", "wrong.m4a", "open.m4a")
    with diary.ledger.writing() as tx:
        note_failures(tx, [Failure("erased", "intake", "x", 1.0)] * (CHUNK + 1))
        note_failures(tx, [Failure(memo.key, "transcript", "old", 1.0) for memo in (well, wrong, open_)])
    refused = diary.refuse("empty.m4a")
    transcribed(diary, [well])
    noted(diary, [well])
    failed(diary, "transcript", [wrong], "internal_error")
    subjects = [well.key, wrong.key, open_.key, refused]
    assert forget_old(diary.ledger) == CHUNK + 1, "no one has ended long ago"
    with diary.ledger.writing() as tx:
        tx.execute(submission_rows.update().where(submission_rows.c.id == refused).values(ended_at=2.0))
        tx.execute(recordings.update().where(recordings.c.key.in_([well.key, wrong.key])).values(ended_at=2.0))
    assert forget_old(diary.ledger) == 2
    assert [len(history(diary, subject)) for subject in subjects] == [0, 1, 1, 1]
