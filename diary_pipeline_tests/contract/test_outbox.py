"""Applications are told once of the end of each job, in the transaction that ends it; on both databases."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger import outbox, recordings, submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.outbox import put, tell_ended
from diary_pipeline.ledger.tables_jobs import jobs
from diary_pipeline.ledger.tables_jobs import outbox as table
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.builders import make_recording
from diary_pipeline_tests.contract.query_plans import plans, walks
from diary_pipeline_tests.contract.test_commits import failed, noted, transcribed
from diary_pipeline_tests.diaries import Diary

URL = "https://app.example/told"
SAID = {"order": 7, "nested": {"list": [1, None, "ä"]}}


@pytest.fixture
def diary(ledger: Ledger, tmp_path: Path) -> Diary:
    """A diary nobody has begun yet."""
    return Diary(ledger, FolderStore(tmp_path / "objects"))


def as_job(ledger: Ledger, submission_id: str, url: str | None = URL) -> str:
    """Let an application have asked for a submission."""
    with ledger.writing() as tx:
        tx.execute(jobs.insert().values(submission_id=submission_id, said=SAID, callback_url=url))
    return submission_id


def listening(diary: Diary, *names: str) -> list[Recording]:
    """Accept recordings of jobs that want to be told."""
    memos = diary.accept(*names)
    for memo in memos:
        as_job(diary.ledger, memo.submission_id)
    return memos


def told(ledger: Ledger) -> list[tuple[str, str]]:
    """Return the events in the order in which they came: which, and of what job."""
    return [(row.event, row.submission_id) for row in rows(ledger)]


def rows(ledger: Ledger) -> list[Any]:
    """Return the outbox."""
    with ledger.reading() as conn:
        return list(conn.execute(sa.select(table).order_by(table.c.id)))


def test_a_completed_job_is_told_once_with_all_that_its_application_needs(diary: Diary) -> None:
    [memo] = listening(diary, "memo.m4a")
    transcribed(diary, [memo])
    assert told(diary.ledger) == [], "it has not ended"
    noted(diary, [memo])
    [row] = rows(diary.ledger)
    assert (row.event, row.url, row.attempts, row.delivered_at) == ("job.completed", URL, 0, None)
    id = memo.submission_id
    assert row.body | dict.fromkeys(("id", "at", "created_at", "ended_at")) == {
        "id": None,
        "event": "job.completed",
        "at": None,
        "job_id": id,
        "status": "completed",
        "code": None,
        "user_id": "me",
        "metadata": SAID,
        "links": {
            "job": f"/jobs/{id}",
            "transcription": f"/jobs/{id}/transcription",
            "diary_note": f"/jobs/{id}/diary-note",
        },
        "created_at": None,
        "ended_at": None,
    }
    assert len(row.body["id"]) == 32
    assert row.body["created_at"] < row.body["ended_at"] < row.body["at"] < "2100"


def test_a_job_without_a_callback_is_told_nothing_and_costs_one_look_at_an_index(diary: Diary) -> None:
    quiet, loud = diary.accept("quiet.m4a", "loud.m4a")
    as_job(diary.ledger, quiet.submission_id, None)
    noted_both = [quiet, loud]
    transcribed(diary, noted_both)
    noted(diary, noted_both)
    assert told(diary.ledger) == []
    [looked] = plans(diary.ledger, lambda conn: outbox.listeners(conn, [quiet.key, loud.key]))
    assert not walks(looked)
    assert "submissions_recording" in looked


@pytest.mark.parametrize(("status", "event"), [("completed", "job.completed"), ("degraded", "job.degraded")])
def test_how_a_job_ends_is_the_name_of_its_event(diary: Diary, status: str, event: str) -> None:
    [memo] = listening(diary, "memo.m4a")
    transcribed(diary, [memo])
    noted(diary, [memo], status=status)
    assert told(diary.ledger) == [(event, memo.submission_id)]


def test_a_degraded_job_is_told_of_its_upgrade_once(diary: Diary) -> None:
    [memo] = listening(diary, "memo.m4a")
    transcribed(diary, [memo])
    noted(diary, [memo], status="degraded")
    noted(diary, [memo], version="n2")
    noted(diary, [memo], version="n3")
    assert [event for event, _ in told(diary.ledger)] == ["job.degraded", "job.upgraded"]
    assert rows(diary.ledger)[1].body["status"] == "completed"


def test_a_failure_is_told_with_its_code_and_what_puts_it_right_as_well(diary: Diary) -> None:
    [memo] = listening(diary, "memo.m4a")
    failed(diary, "transcript", [memo])
    [row] = rows(diary.ledger)
    assert (row.event, row.body["status"], row.body["code"]) == ("job.failed", "failed", "audio_truncated")
    assert row.body["links"] == {"job": f"/jobs/{memo.submission_id}"}
    transcribed(diary, [memo])
    noted(diary, [memo])
    assert [event for event, _ in told(diary.ledger)] == ["job.failed", "job.completed"]


def test_a_refused_job_has_failed_for_its_application_and_is_refused_once(diary: Diary) -> None:
    id = as_job(diary.ledger, diary.submit("empty.m4a"))
    submissions.refuse(diary.ledger, id, "audio_empty", "empty.m4a holds no audio.")
    submissions.refuse(diary.ledger, id, "audio_empty", "said too late")
    [row] = rows(diary.ledger)
    assert (row.event, row.body["status"], row.body["code"]) == ("job.failed", "failed", "audio_empty")


def test_every_job_of_one_recording_is_told_those_that_come_when_it_has_ended_too(diary: Diary) -> None:
    [memo] = listening(diary, "memo.m4a")
    same = as_job(diary.ledger, diary.submit("memo.m4a"))
    recordings.accept(diary.ledger, same, make_recording(file_name="memo.m4a"), 1, 60.0)
    transcribed(diary, [memo])
    noted(diary, [memo])
    late = as_job(diary.ledger, diary.submit("memo.m4a"))
    recordings.accept(diary.ledger, late, make_recording(file_name="memo.m4a"), 1, 60.0)
    assert sorted(told(diary.ledger)[:2]) == sorted(("job.completed", id) for id in (memo.submission_id, same))
    assert told(diary.ledger)[2:] == [("job.completed", late)]


def test_a_commit_that_is_rolled_back_tells_nobody(diary: Diary) -> None:
    [memo] = listening(diary, "memo.m4a")
    with pytest.raises(ZeroDivisionError), diary.ledger.writing() as tx:
        tx.execute(submissions.submissions.update().values(status="cancelled", ended_at=1.0))
        tell_ended(tx, [memo.submission_id])
        raise ZeroDivisionError
    assert told(diary.ledger) == []


def test_a_cancelled_job_is_told_so_and_one_that_goes_on_is_not(diary: Diary) -> None:
    stopped, going = listening(diary, "stopped.m4a", "going.m4a")
    with diary.ledger.writing() as tx:
        mine = submissions.submissions.c.id == stopped.submission_id
        tx.execute(submissions.submissions.update().where(mine).values(status="cancelled", ended_at=1.0))
        tell_ended(tx, [stopped.submission_id, going.submission_id])
    assert told(diary.ledger) == [("job.cancelled", stopped.submission_id)]


def test_an_event_of_the_deployment_belongs_to_no_job(ledger: Ledger) -> None:
    with ledger.writing() as tx:
        put(tx, "run.failed", URL, {"run_id": "r1", "codes": {"worker_lost": 2}})
    [row] = rows(ledger)
    assert (row.submission_id, row.event, row.body["codes"]) == (None, "run.failed", {"worker_lost": 2})
