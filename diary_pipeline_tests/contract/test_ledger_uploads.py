"""How far an upload in parts has come, and who may move it; on both databases."""

import threading

import pytest

from diary_pipeline.ledger import jobs, submissions, uploads
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.uploads import UploadPart
from diary_pipeline_tests.uploading import begin_upload

DAY_S = 86_400.0


@pytest.fixture
def id(ledger: Ledger) -> str:
    """An upload of 30 bytes."""
    return begin_upload(ledger, 30, DAY_S, "filename YQ==", "ab" * 32)


def read(ledger: Ledger, id: str, owner: str | None = None) -> uploads.Upload | None:
    with ledger.reading() as conn:
        return uploads.find(conn, id, owner)


def part(start: int, size: int = 10) -> UploadPart:
    return UploadPart(start, size, f"upload-parts/one/{start}")


def waiting(ledger: Ledger) -> list[str]:
    with ledger.reading() as conn:
        return [one.id for one in submissions.waiting(conn, 9)]


def test_an_upload_is_seen_by_intake_only_when_it_is_whole(ledger: Ledger, id: str) -> None:
    assert waiting(ledger) == []
    for start in (0, 10):
        assert uploads.add(ledger, id, part(start), DAY_S)
    with ledger.reading() as conn:
        stored, job = uploads.parts(conn, id), jobs.find(conn, id)
    assert stored == [part(0), part(10)]
    assert job is not None
    assert (job.status, job.received_bytes, job.expected_bytes) == ("downloading", 20, 30)
    assert uploads.complete(ledger, id, part(20))
    assert waiting(ledger) == [id]
    there = read(ledger, id)
    assert there is not None
    assert (there.is_open, there.is_whole, there.received_bytes, there.said) == (False, True, 30, "")


def test_a_part_that_does_not_begin_where_the_upload_ends_is_not_counted(ledger: Ledger, id: str) -> None:
    uploads.add(ledger, id, part(0), DAY_S)
    assert uploads.add(ledger, id, part(0), DAY_S) is None
    assert uploads.add(ledger, id, part(20), DAY_S) is None
    assert not uploads.complete(ledger, id, part(20))


def test_of_many_that_send_the_same_part_one_is_counted(ledger: Ledger, id: str) -> None:
    counted: list[float | None] = []
    threads = [threading.Thread(target=lambda: counted.append(uploads.add(ledger, id, part(0), 9.0))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([one for one in counted if one]) == 1


def test_an_upload_of_somebody_else_is_not_there(ledger: Ledger, id: str) -> None:
    assert read(ledger, id, "me")
    assert read(ledger, id, "ana") is None
    assert read(ledger, "other") is None


@pytest.mark.parametrize("how", ["cancelled", "refused", "forgotten"])
def test_an_upload_that_has_ended_takes_no_more(ledger: Ledger, id: str, how: str) -> None:
    uploads.add(ledger, id, part(0), DAY_S)
    if how == "cancelled":
        with ledger.writing() as tx:
            uploads.abandon(tx, id)
        with ledger.reading() as conn:
            assert uploads.expired(conn, 9) == [id]
        submissions.refuse(ledger, id, "cancelled", "")
    elif how == "refused":
        submissions.refuse(ledger, id, "upload_expired", "")
    else:
        uploads.forget(ledger, id)
    assert uploads.add(ledger, id, part(10), DAY_S) is None
    there = read(ledger, id)
    assert there is not None
    assert (there.is_open, there.is_whole) == (False, False)


def test_an_upload_expires_so_long_after_its_last_part(ledger: Ledger, id: str) -> None:
    with ledger.reading() as conn:
        assert uploads.expired(conn, 9) == []
    uploads.add(ledger, id, part(0), -1.0)
    with ledger.reading() as conn:
        assert uploads.expired(conn, 9) == [id]


def test_what_ends_an_upload_is_settled_once_and_not_counted_until_the_whole_is_stored(ledger: Ledger, id: str) -> None:
    uploads.add(ledger, id, part(0, 20), DAY_S)
    first, late = part(20), UploadPart(20, 10, "upload-parts/one/late")
    assert uploads.settle(ledger, id, first) == uploads.settle(ledger, id, late) == first
    assert uploads.add(ledger, id, part(20, 5), DAY_S) is None
    assert not uploads.reject(ledger, id, late, "digest_mismatch", "")
    there = read(ledger, id)
    assert there is not None
    assert (there.is_open, there.received_bytes) == (True, 20)
    assert uploads.complete(ledger, id, first)
    assert uploads.settle(ledger, id, late) is None
    assert not uploads.reject(ledger, id, late, "digest_mismatch", "")
    assert waiting(ledger) == [id]
