"""What a restored backup knows nothing of is told to it by receipts, on SQLite and on PostgreSQL."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from diary_pipeline.core.seal import Seal
from diary_pipeline.ledger import erasures, recordings, snapshot, submissions, tombstones
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.erasures import Scope
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.statements import now
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.upkeep.again import back_again, hide_again, keep_begun
from diary_pipeline.upkeep.receipts import Receipt, is_genuine, keep_receipt, write_receipt
from diary_pipeline_tests.builders import make_recording
from diary_pipeline_tests.diaries import Diary

SEAL = Seal("of this test")
POND = "b" * 64
Back = Callable[[], Ledger]


@pytest.fixture
def diary(ledger: Ledger, tmp_path: Path) -> Diary:
    """A diary with a recording that a backup holds."""
    found = Diary(ledger, FolderStore(tmp_path / "objects"))
    found.accept("walk.m4a")
    return found


@pytest.fixture
def go_back(diary: Diary, ledger_url: str, tmp_path: Path) -> Back:
    """Take a backup of the ledger; called, it is put back."""
    copy = tmp_path / "ledger.copy"
    snapshot.take(diary.ledger, copy)

    def put_back() -> Ledger:
        diary.ledger.close()
        snapshot.put_back(ledger_url, copy)
        return open_ledger(ledger_url)

    return put_back


def keys(ledger: Ledger) -> list[str]:
    """Return what is in the diary."""
    with ledger.reading() as conn:
        return sorted(row.recording.key for row in recordings.page(conn, limit=10))


def erase(ledger: Ledger, scope: Scope, target: str, into: Path) -> None:
    """Erase to the end."""
    erasure = erasures.hide(ledger, SEAL, scope, target)
    with ledger.reading() as conn:
        at, stones = now(conn), tombstones.of(conn, erasure.id)
    receipt = write_receipt(SEAL, erasure, at, stones, ())
    keep_receipt(into, receipt)
    erasures.clear(ledger, erasure.id)
    erasures.finish(ledger, erasure.id, receipt, at)


def told(folder: Path) -> list[Receipt]:
    """Read receipts."""
    return [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]


def test_audio_that_came_and_was_erased_after_the_backup_is_not_taken_in_again(
    diary: Diary, go_back: Back, tmp_path: Path
) -> None:
    (later,) = diary.accept("pond.m4a", content_sha256=POND)
    erase(diary.ledger, "recording", later.key, tmp_path / "receipts")
    restored = go_back()
    before = keys(restored)
    for _ in range(2):  # again, as after a kill
        assert hide_again(restored, SEAL, told(tmp_path / "receipts")) == 0
    with restored.reading() as conn:
        assert tombstones.stands(conn, SEAL, "me", POND)
        assert [e.receipt for e in erasures.finished(conn, 10)] == told(tmp_path / "receipts")
    assert keys(restored) == before
    restored.close()


def test_what_was_let_in_again_stays_through_the_next_restore(diary: Diary, go_back: Back, tmp_path: Path) -> None:
    (later,) = diary.accept("pond.m4a", content_sha256=POND)
    erase(diary.ledger, "recording", later.key, tmp_path / "receipts")
    restored = go_back()
    hide_again(restored, SEAL, told(tmp_path / "receipts"))
    assert tombstones.allow(restored, SEAL, "me", POND)
    hide_again(restored, SEAL, told(tmp_path / "receipts"))
    with restored.reading() as conn:
        assert not tombstones.stands(conn, SEAL, "me", POND)
    restored.close()


def test_an_erasure_that_is_hidden_and_not_finished_is_hidden_again(
    diary: Diary, go_back: Back, tmp_path: Path
) -> None:
    (walk,) = keys(diary.ledger)
    erasures.hide(diary.ledger, SEAL, "recording", walk)
    keep_begun(diary.ledger, SEAL, tmp_path / "receipts")
    (receipt,) = told(tmp_path / "receipts")
    assert is_genuine(SEAL, receipt)
    assert (receipt["bytes_removed_at"], receipt["removed"]) == (None, {})
    restored = go_back()
    assert hide_again(restored, SEAL, [receipt]) == 1
    assert keys(restored) == []
    with restored.reading() as conn:
        (again,) = erasures.unfinished(conn)
        assert len(tombstones.of(conn, again.id)) == 1
    restored.close()


def test_a_person_is_erased_again_whole_whatever_the_backup_calls_what_they_had(
    diary: Diary, ledger_url: str, tmp_path: Path
) -> None:
    anna = diary.submit("anna.m4a", "anna")
    copy = tmp_path / "ledger.copy"
    snapshot.take(diary.ledger, copy)
    recordings.accept(
        diary.ledger, anna, make_recording(file_name="anna.m4a", submission_id=anna, owner="anna"), 1, 60.0
    )
    erase(diary.ledger, "user", "anna", tmp_path / "receipts")
    diary.ledger.close()
    snapshot.put_back(ledger_url, copy)
    restored = open_ledger(ledger_url)
    assert back_again(restored, SEAL, told(tmp_path / "receipts")) == [("user", "anna")]
    assert hide_again(restored, SEAL, told(tmp_path / "receipts")) == 1
    with restored.reading() as conn:
        assert submissions.get(conn, [anna]) == []
        (again,) = erasures.unfinished(conn)
        assert (again.scope, len(erasures.subjects_of(conn, again.id))) == ("user", 2)
    assert len(keys(restored)) == 1, "the other person's diary stays"
    restored.close()


def test_a_person_who_came_back_keeps_what_they_handed_in_since(diary: Diary, tmp_path: Path) -> None:
    (walk,) = keys(diary.ledger)
    erase(diary.ledger, "user", "me", tmp_path / "receipts")
    (new,) = diary.accept("new.m4a", content_sha256=POND)
    assert new.key != walk
    assert back_again(diary.ledger, SEAL, told(tmp_path / "receipts")) == []
