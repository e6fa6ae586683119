"""Jobs that are cancelled before they end, whoever works on them; on both databases.

The regressions are those of FEATURES 9, by number.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa

from diary_pipeline.core.batch import Batch
from diary_pipeline.core.errors import DiaryError, Fenced
from diary_pipeline.core.recording import Recording
from diary_pipeline.core.seal import Seal
from diary_pipeline.ledger import batches, jobs, recordings, submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.endings import read_endings
from diary_pipeline.ledger.jobs import Job
from diary_pipeline.ledger.planner import PlanLimits
from diary_pipeline.ledger.tables import batches as batch_table
from diary_pipeline.ledger.tables import work
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.builders import make_recording
from diary_pipeline_tests.contract.query_plans import plans, walks
from diary_pipeline_tests.contract.test_ledger_jobs import listed, make_job, open_, put, read
from diary_pipeline_tests.diaries import Diary

SEAL = Seal("of this test")
LIMITS = PlanLimits(60, 10, 9)


@pytest.fixture
def diary(ledger: Ledger, tmp_path: Path) -> Diary:
    """A diary nobody has begun yet."""
    return Diary(ledger, FolderStore(tmp_path / "objects"))


def end(diary: Diary, id: str, owner: str | None = None) -> jobs.Gone:
    """Want a job no more."""
    return jobs.cancel_or_remove(diary.ledger, SEAL, id, owner)


def cancel(diary: Diary, memo: Recording) -> None:
    """Cancel the job that brought a recording."""
    assert end(diary, memo.submission_id).how == "cancelled"


def bring_again(diary: Diary, memo: Recording, source: str = "api", **changes: Any) -> Job:
    """Hand the audio of a recording in once more, and return the job."""
    id = f"again-{len(listed(diary.ledger))}"
    jobs.open_jobs(diary.ledger, [make_job(id, source=source)])
    same = make_recording(
        file_name=memo.file_name, content_sha256=memo.content_sha256, submission_id=id, **{"owner": "me", **changes}
    )
    recordings.accept(diary.ledger, id, same, 1, 60.0)
    return read(diary.ledger, id)


def stands(diary: Diary, memo: Recording) -> str | None:
    """Return the status of a recording; None: it is not there."""
    with diary.ledger.reading() as conn:
        return next((row.status for row in recordings.rows(conn, [memo.key])), None)


def status(diary: Diary, memo: Recording) -> str:
    """Return the status of the job that brought a recording."""
    return read(diary.ledger, memo.submission_id).status


def planned(diary: Diary) -> list[str]:
    """Plan what waits, for all stages, and return the keys."""
    with diary.ledger.reading() as conn:
        before = {id for stage in ("transcript", "note") for id in [b.id for b in batches.open_batches(conn, stage)]}
    ids = [id for stage in ("transcript", "note") for id in batches.plan_waiting(diary.ledger, stage, LIMITS)]
    with diary.ledger.reading() as conn:
        return [key for id in ids if id not in before for key in batches.keys_of(conn, id)]


# regressions


def test_regression_03_two_workers_on_one_job_give_exactly_one_result(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    [id] = batches.plan_waiting(diary.ledger, "transcript", LIMITS)
    both = Barrier(2)

    def work_on(holder: str) -> tuple[str, ...]:
        both.wait()
        try:
            batch = batches.claim_batch(diary.ledger, id, 1, holder, 60.0)
        except Fenced:
            return ()
        return diary.transcribe([memo], batch=batch).committed if batch.leases else ()

    with ThreadPoolExecutor(2) as pool:
        committed = [key for keys in pool.map(work_on, ("replica-1", "replica-2")) for key in keys]
    assert committed == [memo.key]
    diary.write([memo])
    job = read(diary.ledger, memo.submission_id)
    with diary.ledger.reading() as conn:
        found = jobs.results(conn, job)
    assert job.status == "completed"
    assert found.transcript and found.transcript.is_own
    assert found.note and found.note.is_own


def test_regression_03_a_worker_that_was_given_up_for_dead_adds_no_second_result(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    dead = diary.claim("transcript", [memo], holder="dead", lease_s=-1)
    assert diary.transcribe([memo], batch=diary.claim("transcript", [memo], holder="alive")).committed == (memo.key,)
    assert diary.transcribe([memo], batch=dead).fenced == (memo.key,)


def test_regression_04_without_any_worker_a_job_waits_and_is_done_when_one_comes(diary: Diary) -> None:
    open_(diary.ledger, "job")
    for _ in range(3):
        assert read(diary.ledger, "job").status == "pending"
    memo = make_recording(submission_id="job")
    recordings.accept(diary.ledger, "job", memo, 1, 60.0)
    [id] = batches.plan_waiting(diary.ledger, "transcript", LIMITS)
    batches.mark_requested(diary.ledger, [id])  # and no run takes it
    batches.next_attempt(diary.ledger, id)
    assert read(diary.ledger, "job").status == "pending", "nobody has failed it"
    diary.transcribe([memo], batch=batches.claim_batch(diary.ledger, id, 2, "at last", 60.0))
    diary.write([memo])
    assert read(diary.ledger, "job").status == "completed"


@pytest.mark.parametrize("stage", ["transcript", "note"])
def test_regression_07_cancelling_wins_over_the_worker(diary: Diary, stage: str) -> None:
    gone, stays = diary.accept("gone.m4a", "stays.m4a")
    if stage == "note":
        diary.transcribe([gone, stays])
    do: Callable[..., Any] = diary.transcribe if stage == "transcript" else diary.write
    batch = diary.claim(stage, [gone, stays])  # type: ignore[arg-type]
    cancel(diary, gone)
    done = do([gone, stays], batch=batch)
    assert (done.fenced, done.committed) == ((gone.key,), (stays.key,))
    batches.release(diary.ledger, batch)
    assert (status(diary, gone), stands(diary, gone)) == ("cancelled", "cancelled")
    assert gone.key not in planned(diary)
    with diary.ledger.reading() as conn:
        assert conn.execute(sa.select(batch_table.c.state).where(batch_table.c.id == batch.id)).scalar() == "closed"


def test_a_job_is_cancelled_or_done_and_never_both_when_worker_and_user_meet(diary: Diary) -> None:
    memos = diary.accept(*(f"{n}.m4a" for n in range(6)))
    diary.transcribe(memos)
    batch = diary.claim("note", memos)
    both = Barrier(3)

    def commit() -> Any:
        both.wait()
        done, left = [], list(memos)
        for memo in memos:  # one by one, so that cancelling comes in between
            if diary.write([memo], batch=batch).committed:
                done.append(memo.key)
            left.remove(memo)
        return done

    def give_up(some: list[Recording]) -> dict[str, str]:
        both.wait()
        return {memo.key: end(diary, memo.submission_id).how for memo in some}

    with ThreadPoolExecutor(3) as pool:
        committing = pool.submit(commit)
        first, second = pool.submit(give_up, memos[::-1]), pool.submit(give_up, memos[3:])
        done, told = committing.result(), [first.result(), second.result()]
    for memo in memos:
        how = [answer[memo.key] for answer in told if memo.key in answer]
        if memo.key in done:  # it had ended when its turn came, so it was removed, or cancelled and fenced the worker
            assert "cancelled" not in how
            assert stands(diary, memo) is None
        else:
            assert how.count("cancelled") == 1
            assert stands(diary, memo) == ("cancelled" if len(how) == 1 else None)


def test_a_batch_that_is_claimed_while_its_jobs_are_cancelled_holds_none_of_them_in_the_end(diary: Diary) -> None:
    memos = diary.accept(*(f"{n}.m4a" for n in range(6)))
    [id] = batches.plan_waiting(diary.ledger, "transcript", LIMITS)
    both = Barrier(2)

    def claim() -> Batch:
        both.wait()
        return batches.claim_batch(diary.ledger, id, 1, "run", 60.0)

    def give_up() -> None:
        both.wait()
        for memo in memos[:5]:
            cancel(diary, memo)

    with ThreadPoolExecutor(2) as pool:
        claimed, gone = pool.submit(claim), pool.submit(give_up)
        gone.result()
        batch = claimed.result()
    leased = {lease.key for lease in batch.leases}
    committed = diary.transcribe([m for m in memos if m.key in leased], batch=batch)
    assert (set(committed.fenced), committed.committed) == (leased - {memos[5].key}, (memos[5].key,))
    assert [status(diary, memo) for memo in memos] == ["cancelled"] * 5 + ["generating_notes"]
    with diary.ledger.reading() as conn:
        assert conn.execute(sa.select(batch_table.c.state)).scalars().all() == ["closed"]


# cancelling


def test_a_cancelled_job_stays_visible_keeps_its_transcript_and_owes_nobody_anything(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    diary.transcribe([memo])
    cancel(diary, memo)
    job = read(diary.ledger, memo.submission_id)
    assert (job.status, job.progress, job.reason_code) == ("cancelled", 80, None)
    assert job.ended_at is not None
    assert listed(diary.ledger, status="cancelled") == [job.id]
    with diary.ledger.reading() as conn:
        found = jobs.results(conn, job)
        assert batches.unreported(conn, "transcript")[0].run_id == "run-1", "the transcript is told, the note is not"
        assert batches.unreported(conn, "note") == []
        assert batches.exhausted(conn, "note", 0) == []
    assert (found.transcript is not None, found.note) == (True, None)


def test_a_recording_that_another_unfinished_job_wants_goes_on(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    other = bring_again(diary, memo)
    batch = diary.claim("transcript", [memo])
    cancel(diary, memo)
    assert diary.transcribe([memo], batch=batch).committed == (memo.key,)
    diary.write([memo])
    assert (status(diary, memo), read(diary.ledger, other.id).status) == ("cancelled", "completed")


def test_a_recording_stops_when_the_last_job_that_wants_it_is_cancelled(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    other = bring_again(diary, memo)
    cancel(diary, memo)
    assert stands(diary, memo) == "pending"
    assert end(diary, other.id).how == "cancelled"
    assert stands(diary, memo) == "cancelled"
    assert planned(diary) == []


def test_a_cancelled_job_and_one_that_shares_an_ended_recording_are_counted(diary: Diary) -> None:
    [gone, done] = diary.accept("gone.m4a", "done.m4a")
    cancel(diary, gone)
    diary.transcribe([done])
    diary.write([done])
    bring_again(diary, done)
    with diary.ledger.reading() as conn:
        counted = read_endings(conn)
    assert (counted["cancelled", ""], counted["completed", ""]) == (1, 2)


@pytest.mark.parametrize("source", ["api", "cli", "folder"])
@pytest.mark.parametrize("heard", [False, True])
def test_a_cancelled_recording_that_is_handed_in_again_works_again(diary: Diary, source: str, heard: bool) -> None:
    [memo] = diary.accept("memo.m4a")
    if heard:
        diary.transcribe([memo])
    cancel(diary, memo)
    again = bring_again(diary, memo, source)
    assert again.status == ("generating_notes" if heard else "pending")
    assert planned(diary) == [memo.key]
    if not heard:
        diary.transcribe([memo])
    diary.write([memo])
    assert read(diary.ledger, again.id).status == "completed"
    assert status(diary, memo) == "cancelled", "what was cancelled stays so"


def test_cancelling_a_wish_for_another_model_leaves_what_there_was(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    diary.transcribe([memo])
    diary.write([memo])
    other = bring_again(diary, memo, whisper_model="small")
    assert other.status == "pending"
    assert end(diary, other.id).how == "cancelled"
    assert (stands(diary, memo), status(diary, memo)) == ("completed", "completed")
    assert planned(diary) == []
    assert bring_again(diary, memo, whisper_model="small").status == "pending", "asked for again, it is made"


def test_a_job_whose_bytes_are_on_the_way_is_cancelled_and_they_go(diary: Diary) -> None:
    jobs.open_jobs(diary.ledger, [make_job("half", uri="upload:half", not_before=9e9, expected_bytes=10)])
    put(diary.ledger, "half", fetching_since=1.0, received_bytes=4)
    assert end(diary, "half") == jobs.Gone("cancelled", upload="uploads/half")
    job = read(diary.ledger, "half")
    assert (job.status, job.progress) == ("cancelled", 4)
    with pytest.raises(DiaryError, match="cancelled"):
        recordings.accept(diary.ledger, "half", make_recording(submission_id="half"), 1, 60.0)
    submissions.refuse(diary.ledger, "half", "audio_empty", "said too late")
    assert read(diary.ledger, "half").status == "cancelled"
    with diary.ledger.reading() as conn:
        assert submissions.waiting(conn, 9) == []


def test_a_job_that_is_taken_in_while_it_is_cancelled_leaves_no_work_behind(diary: Diary) -> None:
    ids = [f"job{n}" for n in range(6)]
    jobs.open_jobs(diary.ledger, [make_job(id) for id in ids])
    both = Barrier(2)

    def take_in() -> None:
        both.wait()
        for id in ids:
            try:
                recordings.accept(diary.ledger, id, make_recording(file_name=f"{id}.m4a", submission_id=id), 1, 60.0)
            except DiaryError as error:
                assert error.code == "submission_ended"

    def give_up() -> None:
        both.wait()
        for id in ids:
            assert end(diary, id).how == "cancelled"

    with ThreadPoolExecutor(2) as pool:
        for done in (pool.submit(take_in), pool.submit(give_up)):
            done.result()
    assert [read(diary.ledger, id).status for id in ids] == ["cancelled"] * 6
    assert planned(diary) == []
    with diary.ledger.reading() as conn:
        assert set(conn.execute(sa.select(work.c.state)).scalars()) <= {"failed"}


def test_cancelling_walks_nothing(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    diary.accept(*(f"{n}.m4a" for n in range(5)))
    diary.claim("transcript", [memo])

    def ask(tx: sa.Connection) -> None:
        from diary_pipeline.ledger.jobs_end import _cancel_or_remove

        _cancel_or_remove(tx, SEAL, memo.submission_id, "me", erase=True)

    said = plans(diary.ledger, ask)
    assert len(said) > 8
    for plan in said:
        assert not walks(plan), plan
