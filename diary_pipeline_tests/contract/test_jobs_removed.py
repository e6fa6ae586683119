"""Jobs that are removed after their end, and what goes with them; on both databases."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy as sa

from diary_pipeline.core.errors import DiaryError, NotFound
from diary_pipeline.ledger import batches, erasures, jobs, recordings, submissions, tombstones
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.tables import batch_items, metadata, seen_files
from diary_pipeline.ledger.tables import batches as batch_table
from diary_pipeline.ledger.tables import submissions as table
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.builders import make_recording
from diary_pipeline_tests.contract.test_jobs_end import LIMITS, SEAL, bring_again, cancel, end, stands, status
from diary_pipeline_tests.contract.test_ledger_jobs import listed, open_, read
from diary_pipeline_tests.diaries import Diary


@pytest.fixture
def diary(ledger: Ledger, tmp_path: Path) -> Diary:
    """A diary nobody has begun yet."""
    return Diary(ledger, FolderStore(tmp_path / "objects"))


def test_an_ended_job_is_removed_and_its_recording_erased(diary: Diary) -> None:
    [memo] = diary.accept("Secret trip.m4a")
    diary.transcribe([memo])
    diary.write([memo])
    gone = end(diary, memo.submission_id)
    assert gone.how == "removed"
    with diary.ledger.reading() as conn:
        assert jobs.find(conn, memo.submission_id) is None
        assert jobs.page(conn, limit=9) == []
        assert [e.id for e in erasures.unfinished(conn)] == [gone.erasure_id]
        assert tombstones.is_there(conn, tombstones.tombstone(SEAL, "me", memo.content_sha256))
    assert stands(diary, memo) is None
    with pytest.raises(NotFound, match="no job"):
        end(diary, memo.submission_id)


def test_a_cancelled_job_is_removed_too_and_one_that_never_was_a_recording(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    refused = diary.refuse("empty.m4a")
    open_(diary.ledger, "job", idempotency=("k", "sha"))
    for id, before in ((memo.submission_id, "cancelled"), (refused, None), ("job", "cancelled")):
        if before:
            assert end(diary, id).how == before
        gone = end(diary, id)
        assert (gone.how, gone.erasure_id is not None) == ("removed", True)
        with pytest.raises(NotFound):
            end(diary, id)
    assert listed(diary.ledger) == []
    assert open_(diary.ledger, "later", idempotency=("k", "other")).is_new, "its key went with it"


def test_a_recording_that_another_job_holds_outlives_the_removed_one(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    submissions.remember(diary.ledger, "me", "/memos/memo.m4a", 1, 1, memo.submission_id)
    diary.transcribe([memo])
    diary.write([memo])
    other = bring_again(diary, memo)
    assert end(diary, memo.submission_id) == jobs.Gone("removed")
    assert (stands(diary, memo), read(diary.ledger, other.id).status) == ("completed", "completed")
    with diary.ledger.reading() as conn:
        told = "\n".join(str(tuple(row)) for t in metadata.sorted_tables for row in conn.execute(sa.select(t)))
        assert conn.execute(sa.select(seen_files.c.submission_id)).scalar_one() == other.id
    assert memo.submission_id not in told
    assert end(diary, other.id).erasure_id is not None
    assert stands(diary, memo) is None


def test_two_jobs_of_one_recording_removed_at_the_same_time_erase_it_once(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    diary.transcribe([memo])
    diary.write([memo])
    ids = [memo.submission_id, *(bring_again(diary, memo).id for _ in range(3))]
    with ThreadPoolExecutor(4) as pool:
        gone = list(pool.map(lambda id: end(diary, id), ids))
    assert [g.how for g in gone] == ["removed"] * 4
    assert sum(g.erasure_id is not None for g in gone) == 1
    assert stands(diary, memo) is None
    assert listed(diary.ledger) == []


def test_a_job_that_joins_a_recording_while_it_is_erased_is_refused_or_keeps_it(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    diary.transcribe([memo])
    diary.write([memo])
    open_(diary.ledger, "late")
    stone = tombstones.tombstone(SEAL, "me", memo.content_sha256)
    same = make_recording(file_name=memo.file_name, content_sha256=memo.content_sha256, submission_id="late")
    both = Barrier(2)

    def join() -> str | None:
        both.wait()
        try:
            recordings.accept(diary.ledger, "late", same, 1, 60.0, tombstone=stone)
        except DiaryError as error:
            return error.code
        return None

    def remove() -> jobs.Gone:
        both.wait()
        return end(diary, memo.submission_id)

    with ThreadPoolExecutor(2) as pool:
        joined, removed = pool.submit(join), pool.submit(remove)
        code, gone = joined.result(), removed.result()
    if code is None:
        assert gone.erasure_id is None, "another job holds it"
        assert read(diary.ledger, "late").status == "completed"
    else:
        assert code == "audio_erased"
        assert gone.erasure_id is not None


def test_a_job_of_somebody_else_is_neither_cancelled_nor_removed(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    for _ in range(2):
        with pytest.raises(NotFound) as caught:
            end(diary, memo.submission_id, "you")
        assert caught.value.code == "job_missing"
        cancel(diary, memo) if status(diary, memo) != "cancelled" else None
    assert end(diary, memo.submission_id, "me").how == "removed"


def test_a_removed_job_leaves_its_batch_and_items_in_order(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    batches.plan_waiting(diary.ledger, "transcript", LIMITS)
    cancel(diary, memo)
    end(diary, memo.submission_id)
    with diary.ledger.reading() as conn:
        assert conn.execute(sa.select(batch_items.c.recording_key)).all() == []
        assert conn.execute(sa.select(batch_table.c.state)).scalars().all() == ["closed"]
        assert conn.execute(sa.select(table.c.id)).all() == []
