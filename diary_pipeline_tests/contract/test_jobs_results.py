"""Each job keeps answering with the versions it got, whatever is made of its recording since; on both databases."""

from pathlib import Path

import pytest

from diary_pipeline.catalogue.merge import merge
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger import jobs, recordings, versions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.jobs import Result, Results
from diary_pipeline.ledger.log_objects import forget
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.builders import make_recording
from diary_pipeline_tests.contract.query_plans import plans, walks
from diary_pipeline_tests.contract.test_commits import failed, noted, transcribed
from diary_pipeline_tests.contract.test_ledger_jobs import open_, put, read
from diary_pipeline_tests.diaries import Diary


@pytest.fixture
def diary(ledger: Ledger, tmp_path: Path) -> Diary:
    """A diary nobody has begun yet."""
    return Diary(ledger, FolderStore(tmp_path / "objects"))


def bring(diary: Diary, id: str, **wishes: str) -> Recording:
    """Hand the one memo in as a job and return the recording it became."""
    open_(diary.ledger, id)
    memo = make_recording(submission_id=id, **wishes)
    recordings.accept(diary.ledger, id, memo, 1, 60.0)
    return memo


def got(diary: Diary, id: str) -> tuple[str | None, str | None]:
    """Return the versions that a job answers with; `?`: it got another one, which is not kept."""
    found = results(diary, id)
    return shown(found.transcript), shown(found.note)


def shown(found: Result | None) -> str | None:
    """Say a version in one word."""
    return found and found.version + ("" if found.is_own else "?")


def results(diary: Diary, id: str) -> Results:
    """Return what a job led to."""
    with diary.ledger.reading() as conn:
        return jobs.results(conn, read(diary.ledger, id))


def test_a_job_that_has_not_ended_has_its_transcript_from_its_commit_on_and_no_note(diary: Diary) -> None:
    open_(diary.ledger, "job")
    assert got(diary, "job") == (None, None)
    memo = make_recording(submission_id="job")
    recordings.accept(diary.ledger, "job", memo, 1, 60.0)
    assert got(diary, "job") == (None, None)
    transcribed(diary, [memo], "t1")
    assert got(diary, "job") == ("t1", None)
    noted(diary, [memo], "t1", "n1")
    assert got(diary, "job") == ("t1", "n1")


def test_whoever_asks_for_another_model_gets_another_version_and_the_first_job_keeps_its_own(diary: Diary) -> None:
    memo = bring(diary, "first")
    transcribed(diary, [memo], "t1")
    noted(diary, [memo], "t1", "n1")
    bring(diary, "other", whisper_model="small")
    assert (got(diary, "first"), got(diary, "other")) == (("t1", "n1"), (None, None))
    transcribed(diary, [memo], "t2")
    assert got(diary, "other") == ("t2", None)
    noted(diary, [memo], "t2", "n2")
    bring(diary, "same", whisper_model="small")
    assert [got(diary, id) for id in ("first", "other", "same")] == [("t1", "n1"), ("t2", "n2"), ("t2", "n2")]
    versions.show_previous(diary.ledger, memo.key)
    bring(diary, "after going back", whisper_model="small")
    assert [got(diary, id) for id in ("first", "other")] == [("t1", "n1"), ("t2", "n2")]
    assert got(diary, "after going back") == ("t1", "n1"), "what is shown then"


def test_a_stand_in_that_is_upgraded_gives_the_job_the_note_itself(diary: Diary) -> None:
    memo = bring(diary, "job")
    transcribed(diary, [memo], "t1")
    noted(diary, [memo], "t1", "n1", status="degraded")
    assert got(diary, "job") == ("t1", "n1")
    noted(diary, [memo], "t1", "n2")
    assert (read(diary.ledger, "job").status, got(diary, "job")) == ("completed", ("t1", "n2"))
    noted(diary, [memo], "t1", "n3")
    assert got(diary, "job") == ("t1", "n2")


def test_a_job_whose_note_failed_keeps_its_transcript_and_one_whose_model_failed_gets_no_other_s(diary: Diary) -> None:
    memo = bring(diary, "first")
    transcribed(diary, [memo], "t1")
    failed(diary, "note", [memo])
    assert (read(diary.ledger, "first").status, got(diary, "first")) == ("failed", ("t1", None))
    assert read(diary.ledger, "first").progress == 80
    noted(diary, [memo], "t1", "n1")
    bring(diary, "other", whisper_model="small")
    failed(diary, "transcript", [memo])
    assert (read(diary.ledger, "other").status, got(diary, "other")) == ("failed", (None, None))
    assert got(diary, "first") == ("t1", "n1")


def test_a_job_whose_version_is_not_kept_any_more_is_given_the_current_one_and_told_so(diary: Diary) -> None:
    memo = bring(diary, "job")
    transcribed(diary, [memo], "t1")
    noted(diary, [memo], "t1", "n1")
    for n in (2, 3):
        diary.claim("transcript", [memo])
        transcribed(diary, [memo], f"t{n}")
        noted(diary, [memo], f"t{n}", f"n{n}")
    with diary.ledger.reading() as conn:
        mine = [v for v in versions.kept(conn, memo.key) if v.version in ("t1", "n1")]
    for version in mine:
        forget(diary.ledger, version.object_id, [memo.key])
    assert got(diary, "job") == ("t3?", "n3?")


def test_going_back_and_merging_never_give_a_job_an_older_version_than_its_own(diary: Diary) -> None:
    memo = bring(diary, "first")
    diary.transcribe([memo], ["one"])
    diary.write([memo], ["one"])
    bring(diary, "second", whisper_model="small")
    diary.transcribe([memo], ["two"])
    diary.write([memo], ["two"])
    own = got(diary, "second")
    versions.show_previous(diary.ledger, memo.key)
    bring(diary, "third", whisper_model="large-v3")
    diary.transcribe([memo], ["three"])
    diary.write([memo], ["three"])
    assert got(diary, "second") == own
    merge(diary.ledger, diary.store, older_than_s=-60, at_least=2)
    first, second, third = (got(diary, id) for id in ("first", "second", "third"))
    assert second == (f"{third[0]}?", f"{third[1]}?"), "its own is gone, and it does not answer with the first one's"
    assert first[0] != second[0]


def test_results_are_read_by_key(diary: Diary) -> None:
    bring(diary, "job")
    put(diary.ledger, "job", status="completed", ended_at=1.0, transcript_version="t", note_version="n")
    job = read(diary.ledger, "job")
    said = plans(diary.ledger, lambda conn: jobs.results(conn, job))
    assert len(said) == 4
    assert not any(map(walks, said))
