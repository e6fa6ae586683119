"""From an upload to a recording or a refusal, and what the submitter says that the bytes are; on both ledgers."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diary_pipeline.intake.work import IntakeReport
from diary_pipeline.ledger import submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.tables import NOT_WHOLE
from diary_pipeline.ledger.tables import submissions as table
from diary_pipeline.storage.keys import upload_key
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
    ("make", "code"), [(speech, None), (lambda _: b"", "audio_empty"), (lambda _: b"no sound", "audio_unreadable")]
)
def test_an_upload_is_taken_or_refused_and_kept_no_longer(
    house: Doors, make: Callable[[Doors], bytes], code: str | None
) -> None:
    data = make(house)
    (row,) = house.until_ended(upload(house, data))
    assert row.reason_code == code
    assert not list(house.store.list("uploads/"))
    assert house.count() == (0 if code else 1)


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
