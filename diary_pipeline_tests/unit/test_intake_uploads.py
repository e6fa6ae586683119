"""From an upload to a recording or a refusal, and what the submitter says that the bytes are; on both ledgers."""

import errno
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diary_pipeline.intake.quarantine_ends import drop, retry
from diary_pipeline.intake.work import IntakeReport
from diary_pipeline.ledger import erasures, submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.erasures import Subject
from diary_pipeline.ledger.tables import NOT_WHOLE
from diary_pipeline.ledger.tables import submissions as table
from diary_pipeline.ledger.tables_uploads import refused_uploads
from diary_pipeline.ledger.tombstones import AUDIO_ERASED
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.storage.keys import upload_key
from diary_pipeline.upkeep.places import RefusedUploads
from diary_pipeline_tests.door import SEAL
from diary_pipeline_tests.doors import Doors, speech
from diary_pipeline_tests.web_server import WebServer, whole


@pytest.fixture
def house(ledger: Ledger, tmp_path: Path, web: WebServer) -> Iterator[Doors]:
    """A door, and a server to fetch from."""
    doors = Doors(ledger, tmp_path)
    doors.web = web
    doors.door = doors.fetching_door()
    yield doors
    doors.door.stop()


def upload(house: Doors, data: bytes, id: str = "a1", **options: object) -> str:
    """Hand in bytes, as the API does: first the object, then the row."""
    house.store.put(upload_key(id), data)
    return submissions.submit(
        house.ledger, owner="me", source="api", uri=f"upload:{id}", file_name="sent.wav", options=options, id=id
    )


@pytest.mark.parametrize(
    ("make", "wishes", "code", "is_kept"),
    [
        (speech, {}, None, False),
        (lambda _: b"", {}, "audio_empty", False),
        (lambda _: b"no sound", {}, "audio_unreadable", False),
        (lambda house: speech(house, seconds=0.1), {}, "audio_too_short", True),
        (speech, {"whisper_model": "not offered yet"}, "model_not_allowed", True),
    ],
)
def test_an_upload_is_taken_and_let_go_or_refused_and_kept_where_another_try_may_help(
    house: Doors, make: Callable[[Doors], bytes], wishes: dict[str, object], code: str | None, is_kept: bool
) -> None:
    data = make(house)
    (row,) = house.until_ended(upload(house, data, **wishes))
    assert row.reason_code == code
    assert list(house.store.list("uploads/")) == ([upload_key(row.id)] if is_kept else [])
    assert house.count() == (0 if code else 1)


def test_a_refused_upload_is_taken_in_when_it_is_tried_again(house: Doors) -> None:
    data = speech(house)
    (old,) = house.until_ended(upload(house, data, whisper_model="not offered yet"))
    assert old.reason_code == "model_not_allowed"
    with house.ledger.writing() as tx:
        tx.execute(table.update().values(options={}))
    [again] = retry(house.ledger, house.store, [old.id])
    assert list(house.store.list("uploads/")) == [upload_key(again.now)], "they are kept once"
    (new,) = house.until_ended(again.now)
    assert (new.reason_code, house.count()) == (None, 1)
    assert retry(house.ledger, house.store, [old.id]) == []
    assert not list(house.store.list("uploads/"))


def test_the_bytes_of_a_refused_upload_go_with_it(house: Doors) -> None:
    rows = house.until_ended(
        upload(house, b"memo", "a1", sha256="0" * 64), upload(house, b"memo", "b2", sha256="0" * 64)
    )
    house.store.delete(upload_key("b2"))
    assert retry(house.ledger, house.store, ["b2"]) == [], "nothing is left to try again"
    assert drop(house.ledger, house.store, [row.id for row in rows], "anna") == ["a1", "b2"]
    assert not list(house.store.list("uploads/"))


class Filling(FolderStore):
    """A store whose disk has room for one more object."""

    room = 1

    def put_file(self, key: str, path: Path) -> None:
        """Store it, unless the disk is full."""
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= 1
        super().put_file(key, path)


def test_a_retry_that_fills_the_disk_leaves_no_copies_there(house: Doors) -> None:
    ids = sorted(
        row.id for row in house.until_ended(*(upload(house, b"memo", id, sha256="0" * 64) for id in ("a1", "b2", "c3")))
    )
    with pytest.raises(OSError, match="No space left"):
        retry(house.ledger, Filling(house.store.root), ids)
    assert len(list(house.store.list("uploads/"))) == len(ids), "one has moved, the others are where they were"
    assert len(retry(house.ledger, house.store, ids)) == len(ids) - 1


def test_nothing_is_kept_of_audio_that_was_erased(house: Doors) -> None:
    data = speech(house)
    (taken,) = house.until_ended(upload(house, data, "a1"))
    assert taken.recording_key is not None
    erasures.hide(house.ledger, SEAL, "recording", taken.recording_key)
    (refused,) = house.until_ended(upload(house, data, "b2"))
    assert refused.reason_code == AUDIO_ERASED
    assert not list(house.store.list("uploads/"))


class Counting(FolderStore):
    """A store that counts how often somebody asks where bytes lie."""

    reads = 0

    def path(self, key: str) -> Path:
        """Say where."""
        self.reads += 1
        return super().path(key)


def test_what_was_refused_unread_is_read_once_by_an_erasure_and_its_hash_is_not_left(house: Doors) -> None:
    data = speech(house)
    house.until_ended(upload(house, data, whisper_model="not offered"))
    gone = [Subject("a recording", "me", hashlib.sha256(data).hexdigest(), None, ())]
    place = RefusedUploads(house.ledger, store := Counting(house.store.root))
    assert place.count(gone) == place.count(gone) == {"refused": 1}
    assert store.reads == 1
    place.remove(gone)
    with house.ledger.reading() as conn:
        assert conn.execute(refused_uploads.select()).first() is None


def test_the_same_bytes_go_that_were_refused_before_and_kept_and_another_owners_stay(house: Doors) -> None:
    data = speech(house)
    refused = [upload(house, data, id, sha256="0" * 64) for id in ("mine", "annas")]
    with house.ledger.writing() as tx:
        tx.execute(table.update().where(table.c.id == "annas").values(owner="anna"))
    house.until_ended(*refused, upload(house, b"memo", "other", sha256="0" * 64), upload(house, data, "taken"))
    gone = [Subject("a recording", "me", hashlib.sha256(data).hexdigest(), None, ())]
    place = RefusedUploads(house.ledger, store := Counting(house.store.root))
    assert place.count(gone) == {"refused": 1}
    place.remove(gone)
    assert place.count(gone) == {}
    assert store.reads == 0, "intake has noted what they hold"
    assert set(house.store.list("uploads/")) == {upload_key("annas"), upload_key("other")}


def test_an_upload_that_is_not_whole_is_not_looked_at(house: Doors) -> None:
    id = upload(house, b"the first part of")
    with house.ledger.writing() as tx:
        tx.execute(table.update().values(not_before=NOT_WHOLE))
    assert house.door.work(10, 10) == house.door.work(10, 10, ids=[id]) == IntakeReport()
    assert house.row(id).waits
    assert list(house.store.list("uploads/"))


@pytest.mark.parametrize("right", [True, False])
def test_the_bytes_are_what_the_submitter_says_they_are_wherever_they_come_from(house: Doors, right: bool) -> None:
    data = speech(house)
    sha256 = hashlib.sha256(data if right else b"other").hexdigest()
    (house.inbox / "here.wav").write_bytes(data)
    (file,) = house.submit(house.inbox / "here.wav", sha256=sha256.upper())
    ids = [file, upload(house, data, sha256=sha256), house.address(whole(data), sha256=sha256)]
    rows = house.until_ended(*ids)
    assert [row.reason_code for row in rows] == [None if right else "checksum_mismatch"] * 3
