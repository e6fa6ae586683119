"""Uploads in parts by the tus protocol: with its own client, two replicas, and connections and servers that break."""

import asyncio
import base64
import hashlib
import io
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

from diary_pipeline.api.app import all_in_one
from diary_pipeline.api.tus import PART_BYTES
from diary_pipeline.intake.resumable import sweep
from diary_pipeline.ledger import erasures, submissions
from diary_pipeline.ledger.tables_uploads import uploads
from diary_pipeline.ledger.uploads import expire
from diary_pipeline.upkeep.places import StoredObjects
from diary_pipeline_tests.api.serving import Deployment

SPEAKS = {"Tus-Resumable": "1.0.0"}
PATCHES = {**SPEAKS, "Content-Type": "application/offset+octet-stream"}
MEMO = bytes(range(256)) * 1000


def begin(client: httpx.Client, length: int = len(MEMO), **metadata: str) -> str:
    """Begin an upload and return its path."""
    said = ",".join(f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in metadata.items())
    answer = client.post("/files", headers={**SPEAKS, "Upload-Length": str(length), "Upload-Metadata": said})
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def send(client: httpx.Client, path: str, start: int, data: bytes, **headers: str) -> httpx.Response:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.patch(path, content=data, headers={**PATCHES, "Upload-Offset": str(start), **said})


def offset(client: httpx.Client, path: str) -> int:
    return int(client.head(path, headers=SPEAKS).headers["upload-offset"])


def job(client: httpx.Client, path: str) -> dict[str, Any]:
    return client.get(f"/jobs/{path.rpartition('/')[2]}").json()


def whole(deployment: Deployment, path: str) -> bytes:
    id = path.rpartition("/")[2]
    assert not list(deployment.parts.store.list(f"upload-parts/{id}"))
    return deployment.parts.store.get(f"uploads/{id}")


def sum_of(data: bytes, algorithm: str = "sha1") -> str:
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


def test_the_protocols_own_client_hands_in_a_file_in_parts(client: httpx.Client, deployment: Deployment) -> None:
    there = TusClient(f"{client.base_url}/files")
    told = {"filename": "walk.m4a", "priority": "high", "metadata": '{"device": "phone"}'}
    uploader = there.uploader(file_stream=io.BytesIO(MEMO), chunk_size=100_000, metadata=told, upload_checksum=True)
    uploader.upload_chunk()
    path = urlsplit(uploader.url).path
    begun = job(client, path)
    assert (begun["status"], begun["received_bytes"], begun["expected_bytes"]) == ("downloading", 100_000, len(MEMO))
    uploader.upload()
    handed_in = job(client, path)
    assert (handed_in["status"], handed_in["file_name"], handed_in["source"]) == ("pending", "walk.m4a", "tus")
    assert (handed_in["priority"], handed_in["metadata"]) == ("high", {"device": "phone"})
    assert whole(deployment, path) == MEMO


def test_a_client_that_was_killed_goes_on_where_it_was(client: httpx.Client, deployment: Deployment) -> None:
    there = TusClient(f"{client.base_url}/files")
    killed = there.uploader(file_stream=io.BytesIO(MEMO), chunk_size=90_000)
    killed.upload(stop_at=180_000)
    resumed = there.uploader(file_stream=io.BytesIO(MEMO), chunk_size=90_000, url=killed.url)
    assert resumed.offset == 180_000
    resumed.upload()
    assert whole(deployment, urlsplit(killed.url).path) == MEMO


def test_replicas_share_an_upload(client: httpx.Client, other: httpx.Client, deployment: Deployment) -> None:
    path = begin(client)
    for start in range(0, len(MEMO), 64_000):
        replica = (client, other)[start // 64_000 % 2]
        answer = send(replica, path, start, MEMO[start : start + 64_000])
        assert (answer.status_code, int(answer.headers["upload-offset"])) == (204, start + 64_000)
    assert whole(deployment, path) == MEMO
    assert offset(other, path) == len(MEMO)
    assert send(client, path, len(MEMO), b"").status_code == 204  # the last answer was lost, the client asks again


def test_bytes_that_are_sent_twice_are_kept_once(client: httpx.Client, other: httpx.Client) -> None:
    path = begin(client)
    assert send(client, path, 0, MEMO[:1000]).status_code == 204
    late = send(other, path, 0, MEMO[:1000])
    assert (late.status_code, late.json()["error"], late.headers["upload-offset"]) == (409, "offset_conflict", "1000")
    assert offset(client, path) == 1000


def test_what_came_before_a_connection_broke_is_kept(client: httpx.Client, deployment: Deployment) -> None:
    data = os.urandom(PART_BYTES + 5_000_000)
    path = begin(client, len(data))
    at = urlsplit(str(client.base_url))
    with socket.create_connection((at.hostname or "", at.port or 0)) as broken:
        said = "".join(f"{name}: {value}\r\n" for name, value in PATCHES.items())
        broken.sendall(f"PATCH {path} HTTP/1.1\r\nHost: localhost\r\n{said}Upload-Offset: 0\r\n".encode())
        broken.sendall(f"Content-Length: {len(data)}\r\n\r\n".encode() + data[: PART_BYTES + 1_000_000])
    _once(lambda: offset(client, path) >= PART_BYTES and not list(deployment.scratch.glob("*")))
    kept = offset(client, path)
    assert PART_BYTES < kept <= PART_BYTES + 1_000_000
    assert send(client, path, kept, data[kept:]).status_code == 204
    assert hashlib.sha256(whole(deployment, path)).digest() == hashlib.sha256(data).digest()


def _once(happened: Any) -> Any:
    """Ask until something has happened; each time a server of the same machine is asked, which takes milliseconds."""
    for _ in range(2_000):
        if answer := happened():
            return answer
    pytest.fail(f"it did not happen: {happened()}")


@pytest.mark.slow
def test_a_killed_server_loses_no_part_that_it_acknowledged(other: httpx.Client, deployment: Deployment) -> None:
    data = os.urandom(3 * PART_BYTES)
    with replica(deployment.parts.settings.home) as (process, url):
        at = int(url.rpartition(":")[2])
        patient = httpx.HTTPTransport(retries=8)  # the port is told before somebody listens there
        with httpx.Client(base_url=url, timeout=60, transport=patient) as client:
            path = begin(client, len(data))
            assert send(client, path, 0, data[:100_000]).status_code == 204
        with socket.create_connection(("127.0.0.1", at)) as sending:
            said = "".join(f"{name}: {value}\r\n" for name, value in PATCHES.items())
            sending.sendall(f"PATCH {path} HTTP/1.1\r\nHost: localhost\r\n{said}Upload-Offset: 100000\r\n".encode())
            sending.sendall(f"Content-Length: {len(data)}\r\n\r\n".encode() + data[100_000 : 2 * PART_BYTES])
            _once(lambda: offset(other, path) >= PART_BYTES)  # one part of this request is durable, another under way
            process.kill()
            process.wait()
    kept = offset(other, path)
    assert kept >= PART_BYTES
    assert send(other, path, kept, data[kept:]).status_code == 204
    assert hashlib.sha256(whole(deployment, path)).digest() == hashlib.sha256(data).digest()


@contextmanager
def replica(home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Serve a home from a process of its own; gives its address."""
    command = [sys.executable, "-m", "diary_pipeline.cli.main", "api", "--all", "--port", "0"]
    environment = {
        **os.environ,
        "DIARY_HOME": str(home),
        "DIARY_RATE_LIMITS": "none",
        "DIARY_LOG_LEVEL": "warning",
    }
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            yield process, process.stderr.readline().split()[-1]
        finally:
            process.kill()


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512", "md5"])
def test_parts_are_held_to_their_checksum(client: httpx.Client, algorithm: str) -> None:
    path = begin(client)
    wrong = send(client, path, 0, MEMO[:9], Upload_Checksum=sum_of(b"other", algorithm))
    assert (wrong.status_code, wrong.json()["error"]) == (460, "checksum_mismatch")
    assert offset(client, path) == 0
    assert send(client, path, 0, MEMO[:9], Upload_Checksum=sum_of(MEMO[:9], algorithm)).status_code == 204
    assert offset(client, path) == 9


@pytest.mark.parametrize("is_right", [True, False])
def test_the_whole_is_held_to_the_hash_that_was_announced(
    client: httpx.Client, deployment: Deployment, *, is_right: bool
) -> None:
    path = begin(client, sha256=hashlib.sha256(MEMO if is_right else b"others").hexdigest())
    assert send(client, path, 0, MEMO[:1000]).status_code == 204
    answer = send(client, path, 1000, MEMO[1000:])
    if is_right:
        assert answer.status_code == 204
        assert whole(deployment, path) == MEMO
        return
    assert (answer.status_code, answer.json()["error"]) == (400, "digest_mismatch")
    assert (job(client, path)["status"], job(client, path)["error"]) == ("failed", "digest_mismatch")
    assert client.head(path, headers=SPEAKS).status_code == 410


def test_an_upload_that_is_ended_is_a_cancelled_job_without_bytes(client: httpx.Client, deployment: Deployment) -> None:
    path = begin(client)
    send(client, path, 0, MEMO[:1000])
    assert client.delete(path, headers=SPEAKS).status_code == 204
    assert job(client, path)["status"] == "cancelled"
    assert not list(deployment.parts.store.list(f"upload-parts/{path.rpartition('/')[2]}"))
    assert send(client, path, 1000, MEMO[1000:]).status_code == 410


def test_a_job_that_is_cancelled_takes_no_more_bytes_and_its_parts_are_swept(
    client: httpx.Client, deployment: Deployment
) -> None:
    path = begin(client)
    send(client, path, 0, MEMO[:1000])
    client.delete(f"/jobs/{path.rpartition('/')[2]}")
    assert send(client, path, 1000, MEMO[1000:]).status_code == 410
    sweep(deployment.parts.ledger, deployment.parts.store)
    assert not list(deployment.parts.store.list(f"upload-parts/{path.rpartition('/')[2]}"))


def test_an_upload_that_nobody_goes_on_with_fails_after_a_day(client: httpx.Client, deployment: Deployment) -> None:
    path = begin(client)
    send(client, path, 0, MEMO[:1000])
    sweep(deployment.parts.ledger, deployment.parts.store)
    assert job(client, path)["status"] == "downloading"
    with deployment.parts.ledger.writing() as tx:  # a day later
        tx.execute(uploads.update().where(uploads.c.submission_id == path.rpartition("/")[2]).values(expires_at=1.0))
    sweep(deployment.parts.ledger, deployment.parts.store)
    assert (job(client, path)["status"], job(client, path)["error"]) == ("failed", "upload_expired")
    assert client.head(path, headers=SPEAKS).status_code == 410
    assert not list(deployment.parts.store.list(f"upload-parts/{path.rpartition('/')[2]}"))


def test_an_upload_that_was_finished_while_the_sweep_looked_does_not_expire(
    client: httpx.Client, deployment: Deployment
) -> None:
    path = begin(client)
    send(client, path, 0, MEMO[:1000])
    assert send(client, path, 1000, MEMO[1000:]).status_code == 204
    assert not expire(deployment.parts.ledger, path.rpartition("/")[2], "upload_expired", "Too late.")
    assert (job(client, path)["status"], job(client, path)["error"]) == ("pending", None)


def test_the_parts_of_an_upload_are_erased_with_its_person(client: httpx.Client, deployment: Deployment) -> None:
    path = begin(client, user_id="bob")
    send(client, path, 0, MEMO[:1000])
    assert client.delete("/users/bob").status_code == 202
    with deployment.parts.ledger.reading() as conn:
        gone = [s for e in erasures.unfinished(conn) for s in erasures.subjects_of(conn, e.id)]
    place = StoredObjects(deployment.parts.store)
    assert place.count(gone) == {"upload_parts": 1}
    place.remove(gone)
    assert place.count(gone) == {}
    assert not list(deployment.parts.store.list(f"upload-parts/{path.rpartition('/')[2]}"))


def test_a_cancelled_job_leaves_no_upload(client: httpx.Client, deployment: Deployment) -> None:
    id = client.put("/jobs/upload?filename=memo.wav", content=b"sound").json()["job_id"]
    assert deployment.parts.store.exists(f"uploads/{id}")
    assert client.delete(f"/jobs/{id}").json()["status"] == "cancelled"
    assert not deployment.parts.store.exists(f"uploads/{id}")


def test_a_refused_upload_is_erased_with_its_job(client: httpx.Client, deployment: Deployment) -> None:
    id = client.put("/jobs/upload?filename=memo.wav", content=b"no sound").json()["job_id"]
    submissions.refuse(deployment.parts.ledger, id, "audio_unreadable", "memo.wav is no audio.")
    assert client.delete(f"/jobs/{id}").json()["status"] == "removed"
    with deployment.parts.ledger.reading() as conn:
        gone = [s for e in erasures.unfinished(conn) for s in erasures.subjects_of(conn, e.id) if s.subject == id]
    place = StoredObjects(deployment.parts.store)
    assert place.count(gone) == {"uploads": 1}
    place.remove(gone)
    assert not deployment.parts.store.exists(f"uploads/{id}")


def test_an_upload_without_a_byte_is_whole_at_once(client: httpx.Client, deployment: Deployment) -> None:
    path = begin(client, 0)
    assert job(client, path)["status"] == "pending"
    assert whole(deployment, path) == b""


def test_what_was_said_of_a_file_is_told_to_who_resumes(client: httpx.Client) -> None:
    path = begin(client, filename="Größe.m4a", title="A walk")
    headers = client.head(path, headers=SPEAKS).headers
    assert headers["upload-metadata"] == "filename R3LDtsOfZS5tNGE=,title QSB3YWxr"
    assert (headers["upload-length"], headers["cache-control"]) == (str(len(MEMO)), "no-store")
    assert headers["upload-expires"].endswith("GMT")


def test_a_server_says_what_it_can_do(client: httpx.Client) -> None:
    answer = client.options("/files")
    assert (answer.status_code, answer.headers["tus-version"], answer.headers["tus-max-size"]) == (
        204,
        "1.0.0",
        "500000000",
    )
    assert answer.headers["tus-extension"] == "creation,termination,checksum,expiration"


def test_an_address_is_made_by_nobody_but_us(client: httpx.Client) -> None:
    headers = {**SPEAKS, "Upload-Length": "9", "X-Forwarded-Host": "evil.example"}
    assert client.post("/files", headers=headers).headers["location"].startswith("/files/")


REFUSED = [
    ("POST", {"Upload-Length": "9"}, 412, "tus_version"),
    ("POST", {**SPEAKS}, 422, "request_invalid"),
    ("POST", {**SPEAKS, "Upload-Length": "-1"}, 422, "request_invalid"),
    ("POST", {**SPEAKS, "Upload-Length": "500000001"}, 413, "audio_too_large"),
    ("POST", {**SPEAKS, "Upload-Length": "9", "Upload-Metadata": "filename ?"}, 400, "metadata_invalid"),
    ("POST", {**SPEAKS, "Upload-Length": "9", "Upload-Metadata": "prio YQ=="}, 422, "request_invalid"),
    ("POST", {**SPEAKS, "Upload-Length": "9", "Upload-Metadata": "sha256 YQ=="}, 400, "digest_invalid"),
    ("PATCH", {**PATCHES}, 422, "request_invalid"),
    ("PATCH", {**PATCHES, "Upload-Offset": "3"}, 409, "offset_conflict"),
    ("PATCH", {**PATCHES, "Upload-Offset": "0", "Upload-Checksum": "crc32 AAAA"}, 400, "checksum_invalid"),
    ("PATCH", {**PATCHES, "Upload-Offset": "0", "Upload-Checksum": "sha1 ?"}, 400, "checksum_invalid"),
]


@pytest.mark.parametrize(("method", "headers", "status", "code"), REFUSED)
def test_what_is_not_the_protocol_is_refused(
    client: httpx.Client, method: str, headers: dict[str, str], status: int, code: str
) -> None:
    path = begin(client, 9) if method == "PATCH" else "/files"
    answer = client.request(method, path, headers=headers, content=b"123456789" if method == "PATCH" else None)
    assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text
    assert answer.headers["tus-resumable"] == "1.0.0"


def test_bytes_of_another_kind_are_refused(client: httpx.Client) -> None:
    path = begin(client, 9)
    for kind in ("audio/mp4", "application/json"):
        assert send(client, path, 0, b"123456789", Content_Type=kind).status_code == 415
    assert offset(client, path) == 0


def test_more_bytes_than_were_announced_are_refused(client: httpx.Client) -> None:
    path = begin(client, 9)
    answer = send(client, path, 0, b"1234567890")
    assert (answer.status_code, answer.json()["error"]) == (413, "upload_length_exceeded")
    assert "9 bytes of Upload-Length" in answer.json()["message"]
    assert offset(client, path) == 0


def test_more_bytes_are_refused_too_when_what_was_announced_fills_a_part(
    client: httpx.Client, deployment: Deployment
) -> None:
    path = begin(client, PART_BYTES)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield bytes(PART_BYTES // 8)

    async def sent() -> httpx.Response:
        # Without a socket, which would cut the body as it likes.
        transport = httpx.ASGITransport(all_in_one(deployment.parts))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as one:
            return await one.patch(path, content=chunks(), headers={**PATCHES, "Upload-Offset": "0"})

    answer = asyncio.run(sent())
    assert (answer.status_code, answer.json()["error"]) == (413, "upload_length_exceeded")
    assert offset(client, path) == 0


def test_who_sent_too_much_is_told_where_the_upload_stands(client: httpx.Client) -> None:
    path = begin(client, 9)
    assert send(client, path, 0, b"1234").status_code == 204
    far = send(client, path, 4, b"567890")
    assert send(client, path, 4, b"56789").status_code == 204
    behind = send(client, path, 9, b"hi")
    for answer, at in ((far, "4"), (behind, "9")):
        assert (answer.status_code, answer.json()["error"]) == (413, "upload_length_exceeded")
        assert answer.headers["upload-offset"] == at
        assert answer.json()["message"].endswith(f"it stands at byte {at}.")


def test_an_upload_that_is_not_there_is_404(client: httpx.Client) -> None:
    with pytest.raises(TusCommunicationError):
        TusClient(f"{client.base_url}/files").uploader(file_stream=io.BytesIO(MEMO), url=f"{client.base_url}/files/no")
    assert client.head("/files/no", headers=SPEAKS).status_code == 404
    assert send(client, "/files/no", 0, b"x").status_code == 404
