"""Committed transcripts and notes are there by pointer, whole, and no object holds what the ledger did not accept."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from diary_pipeline.catalogue.commit import Failed, commit_notes, commit_refusals, commit_transcripts
from diary_pipeline.catalogue.read import note_of, notes_of, transcript_of, transcripts_of
from diary_pipeline.core.batch import Lease
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.pointers import pointer
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.diaries import SAID, Diary, heard, leases_of, noted, transcript_for
from diary_pipeline_tests.note_builders import make_note


@pytest.fixture
def diary(tmp_path: Path) -> Iterator[Diary]:
    """A diary nobody has begun yet."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield Diary(ledger, FolderStore(tmp_path / "objects"))
    ledger.close()


def objects(diary: Diary) -> set[str]:
    """Return the ids of all objects in the store."""
    return {key.rpartition("/")[0] for key in diary.store.list("catalogue/")}


def test_what_was_committed_is_read_back_equal(diary: Diary) -> None:
    some = diary.accept("walk.m4a", "bread.m4a", "silent.m4a")
    keys = [r.key for r in some]
    assert transcript_of(diary.ledger, diary.store, keys[0]) is None
    leases = leases_of(diary.claim("transcript", some))
    said = dict(zip(keys, (SAID, ("Bread.",), ()), strict=True))
    commit_transcripts(diary.ledger, diary.store, [heard(r, leases[r.key], said[r.key]) for r in some])
    expected = {r.key: transcript_for(r, said[r.key]) for r in some}
    assert transcripts_of(diary.ledger, diary.store, keys) == expected
    assert transcript_of(diary.ledger, diary.store, keys[0]) == expected[keys[0]]
    leases = leases_of(diary.claim("note", some))
    done = commit_notes(diary.ledger, diary.store, [noted(r, leases[r.key], said[r.key]) for r in some])
    assert set(done.committed) == set(keys)
    assert notes_of(diary.ledger, diary.store, keys) == {k: make_note(expected[k]) for k in keys[:2]}
    assert note_of(diary.ledger, diary.store, keys[2]) is None, "nothing was said"
    with diary.ledger.reading() as conn:
        silent = pointer(conn, keys[2], "outcome")
    assert silent is not None
    assert silent.version == "completed:audio_no_speech"


def test_a_batch_of_silent_recordings_only_can_be_read(diary: Diary) -> None:
    some = diary.accept("silent.m4a")
    diary.transcribe(some, said=())
    diary.write(some, said=())
    assert transcript_of(diary.ledger, diary.store, some[0].key) == transcript_for(some[0], ())
    assert note_of(diary.ledger, diary.store, some[0].key) is None


def test_what_was_fenced_found_or_kept_is_in_no_object(diary: Diary) -> None:
    fresh, found, lost, kept = some = diary.accept("fresh.m4a", "found.m4a", "lost.m4a", "kept.m4a")
    diary.transcribe([found, kept])
    leases = leases_of(diary.claim("transcript", some))
    finished = [heard(r, leases[r.key]) for r in (fresh, found)]
    finished.append(heard(lost, Lease(lost.key, leases[lost.key].epoch - 1, "dead")))
    failed = [Failed(kept, leases[kept.key], "transcript", "model_missing", "why")]
    done = commit_transcripts(diary.ledger, diary.store, finished, failed)
    assert done.seq == 2
    assert (done.committed, done.already, done.fenced, done.kept) == (
        (fresh.key,),
        (found.key,),
        (lost.key,),
        (kept.key,),
    )
    assert len(objects(diary)) == 2, "the object of the first try is gone"
    with diary.ledger.reading() as conn:
        mine = pointer(conn, fresh.key, "transcript")
    assert mine is not None
    segments = pq.read_table(diary.store.path(f"{mine.object_id}/segments.parquet"), partitioning=None)
    assert set(segments["recording_key"].to_pylist()) == {fresh.key}


def test_when_nothing_is_left_nothing_is_staged(diary: Diary) -> None:
    some = diary.accept("memo.m4a")
    diary.transcribe(some)
    assert diary.transcribe(some).already == (some[0].key,)
    assert len(objects(diary)) == 1
    assert commit_transcripts(diary.ledger, diary.store, []).seq == 0
    assert commit_refusals(diary.ledger, diary.store, []) == 0


def test_a_failed_note_still_tells_how_long_the_recording_is(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    diary.transcribe([memo])
    diary.fail("note", [memo], "note_failed")
    with diary.ledger.reading() as conn:
        ended = pointer(conn, memo.key, "outcome")
    assert ended is not None
    [row] = pq.read_table(diary.store.path(f"{ended.object_id}/recordings.parquet"), partitioning=None).to_pylist()
    transcript = transcript_for(memo)
    assert (row["duration_s"], row["language"]) == (transcript.duration_s, "en")
    assert (row["status"], row["failed_stage"], row["reason_code"]) == ("failed", "note", "note_failed")


def test_a_recording_stands_once_in_a_commit(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    [lease] = diary.claim("transcript", [memo]).leases
    with pytest.raises(ValueError, match="twice"):
        commit_transcripts(
            diary.ledger, diary.store, [heard(memo, lease)], [Failed(memo, lease, "transcript", "x", "y")]
        )


def test_refusals_are_committed_once(diary: Diary) -> None:
    refused = diary.refuse("notes.txt")
    assert commit_refusals(diary.ledger, diary.store, [refused]) == 0
    assert len(objects(diary)) == 1
