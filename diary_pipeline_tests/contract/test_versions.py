"""Going back to an earlier version and forward again, on SQLite and on PostgreSQL."""

from pathlib import Path

import pytest

from diary_pipeline.core.errors import NotFound, PermanentError
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger import batches, recordings
from diary_pipeline.ledger.again import want_again
from diary_pipeline.ledger.clock import clock_now
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.pointers import Pointer, pointers_of, pointers_since
from diary_pipeline.ledger.stale import plan_stale
from diary_pipeline.ledger.versions import kept, show_previous, show_version, went_back
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.contract.test_commits import failed, noted, transcribed, work_of
from diary_pipeline_tests.diaries import Diary


@pytest.fixture
def diary(ledger: Ledger, tmp_path: Path) -> Diary:
    """A diary nobody has begun yet."""
    return Diary(ledger, FolderStore(tmp_path / "objects"))


@pytest.fixture
def recording(diary: Diary) -> Recording:
    """A recording with two transcripts; the second one has two notes."""
    (recording,) = diary.accept("a.m4a")
    assert transcribed(diary, [recording], "t1").seq
    assert noted(diary, [recording], "t1", "n1", made_with="p1").seq
    assert transcribed(diary, [recording], "t2").seq
    stand_in = {"status": "degraded", "reason_code": "llm_failed", "made_with": "degraded/p1"}
    assert noted(diary, [recording], "t2", "n2", **stand_in).seq
    assert noted(diary, [recording], "t2", "n3", made_with="p2").seq
    return recording


def shown(ledger: Ledger, key: str) -> dict[str, Pointer]:
    """What is current, by kind."""
    kinds = ("transcript", "note", "outcome")
    with ledger.reading() as conn:
        return {kind: pointers_of(conn, [key], kind)[key] for kind in kinds}  # type: ignore[arg-type]


def versions(ledger: Ledger, key: str) -> list[tuple[str, str, str, bool]]:
    """What is kept, as (stage, version, transcript, current)."""
    with ledger.reading() as conn:
        return [(v.stage, v.version, v.transcript, v.current) for v in kept(conn, key)]


def test_every_version_is_listed_once_with_its_transcript(ledger: Ledger, recording: Recording) -> None:
    assert versions(ledger, recording.key) == [
        ("note", "n3", "t2", True),
        ("note", "n2", "t2", False),
        ("transcript", "t2", "t2", True),
        ("note", "n1", "t1", False),
        ("transcript", "t1", "t1", False),
    ]


def test_going_back_goes_step_by_step_to_the_first(ledger: Ledger, recording: Recording) -> None:
    steps = [show_previous(ledger, recording.key) for _ in range(2)]
    assert [(s.transcript, s.note) for s in steps] == [("t2", "n2"), ("t1", "n1")]
    with pytest.raises(NotFound) as nothing:
        show_previous(ledger, recording.key)
    assert nothing.value.code == "version_missing"
    now = shown(ledger, recording.key)
    assert {kind: p.version for kind, p in now.items()} == {
        "transcript": "t1",
        "note": "n1",
        "outcome": "completed",
    }
    assert now["note"].seq > now["transcript"].seq, "a note is younger than its transcript"


def test_what_moved_is_found_by_its_seq(ledger: Ledger, recording: Recording) -> None:
    with ledger.reading() as conn:
        before = clock_now(conn)
    moved = show_previous(ledger, recording.key, "transcript")
    with ledger.reading() as conn:
        since = pointers_since(conn, before)
        assert clock_now(conn) == moved.seq
    assert {(p.kind, p.version) for p in since} == {("transcript", "t1"), ("note", "n1"), ("outcome", "completed")}


def test_the_recording_stands_as_it_did_with_that_note(ledger: Ledger, recording: Recording) -> None:
    show_previous(ledger, recording.key)
    with ledger.reading() as conn:
        (row,) = recordings.rows(conn, [recording.key])
    assert (row.status, row.reason_code) == ("degraded", "llm_failed")
    show_version(ledger, recording.key, "n3")
    with ledger.reading() as conn:
        (row,) = recordings.rows(conn, [recording.key])
    assert (row.status, row.reason_code) == ("completed", None)


def test_who_went_back_is_left_alone_by_sensors_until_they_go_forward(ledger: Ledger, recording: Recording) -> None:
    def stale() -> int:
        return plan_stale(ledger, lambda _owner: frozenset({"p2"}), 10, upgrades=False)

    show_previous(ledger, recording.key)
    assert stale() == 0
    show_version(ledger, recording.key, "n3")
    assert shown(ledger, recording.key)["note"].made_with == "p2"
    show_version(ledger, recording.key, "n2")
    assert shown(ledger, recording.key)["note"].made_with is None
    assert stale() == 0


def test_a_note_of_another_transcript_takes_it_along(ledger: Ledger, recording: Recording) -> None:
    assert show_version(ledger, recording.key, "n1").transcript == "t1"
    assert show_version(ledger, recording.key, "n2").transcript == "t2"


def test_a_transcript_without_kept_note_has_one_written(diary: Diary, ledger: Ledger) -> None:
    (recording,) = diary.accept("b.m4a")
    transcribed(diary, [recording], "t1")
    transcribed(diary, [recording], "t2")
    noted(diary, [recording], "t2", "n2")
    assert show_version(ledger, recording.key, "t1").note is None
    assert work_of(ledger, recording.key, "note").state == "ready"
    assert noted(diary, [recording], "t1", "n1").committed == (recording.key,)


def test_work_that_was_under_way_for_what_was_current_comes_too_late(diary: Diary, recording: Recording) -> None:
    ledger, slow = diary.ledger, diary.claim("note", [recording], holder="slow")
    with pytest.raises(PermanentError) as busy:
        show_previous(ledger, recording.key)
    assert busy.value.code == "recording_busy"
    batches.release(ledger, slow, retry_s=0)
    assert show_previous(ledger, recording.key).note == "n2"


@pytest.mark.parametrize(
    ("version", "code"), [("n9", "version_missing"), ("", "version_missing"), ("n", "version_missing")]
)
def test_a_version_that_is_not_one_is_refused(ledger: Ledger, recording: Recording, version: str, code: str) -> None:
    with pytest.raises(NotFound) as refused:
        show_version(ledger, recording.key, version)
    assert refused.value.code == code
    assert shown(ledger, recording.key)["note"].version == "n3"


def test_who_went_back_to_a_transcript_is_known(ledger: Ledger, recording: Recording) -> None:
    def back() -> set[str]:
        with ledger.reading() as conn:
            return went_back(conn, [recording.key, "nobody"])

    assert back() == set()
    show_version(ledger, recording.key, "t1")
    assert back() == {recording.key}
    show_version(ledger, recording.key, "t2")
    assert back() == set()


def test_what_is_wanted_again_keeps_status_and_version_until_the_next(diary: Diary, recording: Recording) -> None:
    ledger, key = diary.ledger, recording.key
    assert want_again(ledger, "transcript", [key, key, "nobody"]) == [key]
    assert want_again(ledger, "transcript", [key]) == [], "it waits already"
    assert want_again(ledger, "note", [key]) == [], "its transcript is to be made anew"
    with ledger.reading() as conn:
        (row,) = recordings.rows(conn, [key])
    assert row.status == "completed"
    assert shown(ledger, key)["transcript"].version == "t2"
    assert transcribed(diary, [recording], "t3").committed == (key,)
    assert work_of(ledger, key, "note").state == "ready"


def test_a_failure_of_what_was_wanted_again_leaves_the_good_version(diary: Diary, recording: Recording) -> None:

    want_again(diary.ledger, "transcript", [recording.key])
    assert failed(diary, "transcript", [recording], "audio_unreadable").kept == (recording.key,)
    assert shown(diary.ledger, recording.key)["transcript"].version == "t2"
    with diary.ledger.reading() as conn:
        (row,) = recordings.rows(conn, [recording.key])
    assert row.status == "completed"
