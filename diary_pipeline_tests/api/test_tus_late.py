"""The last bytes of an upload in parts that come twice: late, or after a server that was killed while it took them."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from diary_pipeline.intake.resumable import UploadMoved
from diary_pipeline.ledger.uploads import UploadPart, find, settle
from diary_pipeline_tests.api.serving import Deployment
from diary_pipeline_tests.api.test_tus import MEMO, PATCHES, begin, job, offset, send, whole


@pytest.mark.parametrize("sha256", [{}, {"sha256": hashlib.sha256(MEMO).hexdigest()}], ids=["no sum", "its sum"])
@pytest.mark.parametrize("late_bytes", [MEMO[1000:], MEMO[:-1000]], ids=["the same", "others"])
def test_a_late_try_of_the_last_bytes_neither_replaces_nor_removes_what_was_answered(
    client: httpx.Client, other: httpx.Client, deployment: Deployment, sha256: dict[str, str], late_bytes: bytes
) -> None:
    path = begin(client, **sha256)
    send(client, path, 0, MEMO[:1000])

    def slow() -> Iterator[bytes]:
        yield late_bytes[:1000]
        assert send(client, path, 1000, MEMO[1000:]).status_code == 204
        yield late_bytes[1000:]

    late = other.patch(path, content=slow(), headers={**PATCHES, "Upload-Offset": "1000"})
    assert (late.status_code, late.headers["upload-offset"]) == (409, str(len(MEMO)))
    assert whole(deployment, path) == MEMO
    assert job(client, path)["status"] == "pending"


@pytest.mark.parametrize("rest", [MEMO[1000:], MEMO[1000:5000]], ids=["all of it", "a part of it"])
def test_what_a_server_settled_that_was_killed_then_is_finished_by_the_next_try(
    client: httpx.Client, deployment: Deployment, rest: bytes
) -> None:
    path = begin(client)
    send(client, path, 0, MEMO[:1000])
    id = path.rpartition("/")[2]
    last = UploadPart(1000, len(MEMO) - 1000, f"upload-parts/{id}/last")
    deployment.parts.store.put(last.object_key, MEMO[1000:])
    assert settle(deployment.parts.ledger, id, last) == last
    assert offset(client, path) == 1000
    answer = send(client, path, 1000, rest)
    assert (answer.status_code, offset(client, path)) == (204 if len(rest) == last.size_bytes else 409, len(MEMO))
    assert whole(deployment, path) == MEMO


@pytest.mark.parametrize("is_whole", [True, False])
def test_who_has_read_the_last_part_when_a_rival_has_it_already_leaves_the_whole_as_it_is(
    client: httpx.Client, deployment: Deployment, tmp_path: Path, *, is_whole: bool
) -> None:
    path = begin(client, sha256=hashlib.sha256(MEMO).hexdigest())
    id, parts = path.rpartition("/")[2], deployment.parts
    send(client, path, 0, MEMO[:1000])
    with parts.ledger.reading() as conn:
        stale = find(conn, id)
    assert stale is not None
    (tmp_path / "last").write_bytes(MEMO[1000:])
    send(client, path, 1000, MEMO[1000:] if is_whole else MEMO[1000:2000])
    with pytest.raises(UploadMoved):
        parts.resumable.take(stale, tmp_path / "last", len(MEMO) - 1000)
    if not is_whole:
        assert send(client, path, 2000, MEMO[2000:]).status_code == 204
    assert job(client, path)["status"] == "pending"
    assert whole(deployment, path) == MEMO
