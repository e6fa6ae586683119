"""Files that are handed in in one request: as a form, and as they are."""

import base64
import contextlib
import errno
import hashlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from diary_pipeline.api.incoming import storing
from diary_pipeline.api.problems import Problem
from diary_pipeline.intake import near
from diary_pipeline_tests.api.serving import Deployment, asked
from diary_pipeline_tests.builders import speech_like, write_audio
from diary_pipeline_tests.contract.test_jobs_together import lost_answer

MEMO = b"some bytes that intake will judge" * 100


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """One home for all tests here; nobody takes anything in."""
    return Deployment(tmp_path_factory.mktemp("api") / "home", DIARY_MAX_FILE_SIZE_MB="1")


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(deployment: Deployment) -> Iterator[None]:
    before = set(deployment.kept())
    jobs = _jobs(deployment)
    yield
    # Every job has its bytes, and there are no others.
    new = {f"uploads/{id}" for id in _jobs(deployment) - jobs}
    assert set(deployment.kept()) == before | new


def _jobs(deployment: Deployment) -> set[str]:
    import sqlalchemy as sa

    from diary_pipeline.ledger.tables import submissions

    with deployment.parts.ledger.reading() as conn:
        return set(conn.execute(sa.select(submissions.c.id)).scalars())


def stored(deployment: Deployment, id: str) -> bytes:
    return deployment.parts.store.get(f"uploads/{id}")


def by_form(client: httpx.Client, data: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/jobs", files={"file": ("memo.m4a", MEMO)}, data=data or {}, headers=said)


def test_a_form_with_a_file_becomes_a_job_with_what_was_asked_for(client: httpx.Client, deployment: Deployment) -> None:
    asked_for = {"priority": "high", "language": "en", "tags": "walk, river", "metadata": '{"seen": [1, null]}'}
    answer = by_form(client, {**asked_for, "user_id": "ana", "whisper_model": "tiny.en"})
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    id = answer.json()["job_id"]
    job = client.get(f"/jobs/{id}").json()
    assert (job["user_id"], job["file_name"], job["priority"], job["source"]) == ("ana", "memo.m4a", "high", "upload")
    assert (job["metadata"], job["language"], job["whisper_model"]) == ({"seen": [1, None]}, "en", "tiny.en")
    assert stored(deployment, id) == MEMO


def test_fields_may_come_after_the_file_as_well(client: httpx.Client, deployment: Deployment) -> None:
    frame = 'Content-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = "--x\r\n" + frame.format("priority", "low") + "--x\r\n"
    body += 'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + "RIFF" + "\r\n--x\r\n"
    body += frame.format("title", "Über den Fluss") + "--x--\r\n"
    answer = client.post("/jobs", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 202
    assert stored(deployment, answer.json()["job_id"]) == b"RIFF"


@pytest.mark.parametrize("beside", ["", 'filename="memo.m4a"; '])
def test_a_form_may_spell_the_name_of_its_file_as_older_clients_do(client: httpx.Client, beside: str) -> None:
    named = f"Content-Disposition: form-data; name=\"file\"; {beside}filename*=UTF-8''M%C3%BCnchen.m4a"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = client.post("/jobs", content=f"--x\r\n{named}\r\n\r\nRIFF\r\n--x--\r\n", headers=headers)
    assert answer.status_code == 202, answer.text
    assert client.get(answer.headers["location"]).json()["file_name"] == "München.m4a"


def test_a_body_becomes_a_job_with_wishes_from_query_and_headers(client: httpx.Client, deployment: Deployment) -> None:
    answer = client.put(
        "/jobs/upload",
        params={"priority": "urgent", "tags": ["a", "b"]},
        content=MEMO,
        headers={"X-Diary-Language": "de", "Content-Disposition": "attachment; filename*=UTF-8''M%C3%BCnchen.m4a"},
    )
    assert answer.status_code == 202, answer.text
    job = client.get(answer.headers["location"]).json()
    assert (job["file_name"], job["priority"], job["language"]) == ("München.m4a", "urgent", "de")
    assert stored(deployment, job["job_id"]) == MEMO


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\memos\\walk.m4a", "walk.m4a"),
        ("a\nb\x00c.m4a", "abc.m4a"),
        ("..", ".."),
        ("", "upload"),
        ("n" * 300 + ".m4a", "n" * 251 + ".m4a"),
    ],
)
def test_a_name_is_shown_and_never_becomes_a_path(client: httpx.Client, said: str, shown: str) -> None:
    answer = client.put("/jobs/upload", params={"filename": said}, content=MEMO)
    assert client.get(answer.headers["location"]).json()["file_name"] == shown


def test_a_memo_without_a_byte_is_a_job_too(client: httpx.Client, deployment: Deployment) -> None:
    answer = client.put("/jobs/upload", content=b"")
    assert answer.status_code == 202
    assert stored(deployment, answer.json()["job_id"]) == b""


def test_a_wish_in_a_header_that_is_none_is_refused_with_those_that_are(client: httpx.Client) -> None:
    answer = client.put("/jobs/upload", content=MEMO, headers={"X-Diary-Langauge": "de"})
    assert (answer.status_code, answer.json()["error"]) == (422, "request_invalid")
    assert "x-diary-langauge" in answer.json()["message"]
    assert "X-Diary-Language" in answer.json()["message"]


def test_a_request_that_forgot_its_recording_is_no_job(client: httpx.Client) -> None:
    at = urlsplit(str(client.base_url))
    with socket.create_connection((at.hostname or "", at.port or 0)) as bare:
        bare.sendall(b"PUT /jobs/upload HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert bare.recv(12) == b"HTTP/1.1 411"


@pytest.mark.parametrize("header", ["digest", "hex"])
@pytest.mark.parametrize("is_right", [True, False])
def test_bytes_are_held_to_the_hash_that_is_said(client: httpx.Client, header: str, *, is_right: bool) -> None:
    digest = hashlib.sha256(MEMO if is_right else b"others").digest()
    in_base64 = base64.b64encode(digest).decode()
    headers = {"Content-Digest": f"sha-256=:{in_base64}:"} if header == "digest" else {"X-Content-SHA256": digest.hex()}
    answer = client.put("/jobs/upload", content=MEMO, headers=headers)
    assert answer.status_code == (202 if is_right else 400)
    assert answer.json().get("error") == (None if is_right else "digest_mismatch")


@pytest.mark.parametrize("is_right", [True, False])
def test_the_file_of_a_form_is_held_to_its_hash(client: httpx.Client, *, is_right: bool) -> None:
    said = hashlib.sha256(MEMO if is_right else b"others").hexdigest()
    answer = by_form(client, X_Content_SHA256=said)
    assert answer.status_code == (202 if is_right else 400)


def test_a_hash_that_nobody_could_check_is_refused(client: httpx.Client) -> None:
    answer = client.put("/jobs/upload", content=MEMO, headers={"Content-Digest": "md5=:AAAA:"})
    assert (answer.status_code, answer.json()["error"]) == (400, "digest_invalid")


FORM = {"file": ("memo.m4a", MEMO)}
TWO_FILES = [("file", ("a.m4a", MEMO)), ("file", ("b.m4a", MEMO))]
REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "no file": ({"files": {"other": (None, "text")}}, 422, "file_missing"),
    "a text where the file belongs": ({"files": {"file": (None, "memo")}}, 422, "file_missing"),
    "two files": ({"files": TWO_FILES}, 422, "file_repeated"),
    "a file elsewhere": ({"files": {**FORM, "voice": ("b.m4a", MEMO)}}, 422, "field_unexpected"),
    "an unknown field": ({"files": FORM, "data": {"prioritty": "high"}}, 422, "request_invalid"),
    "a priority that is none": ({"files": FORM, "data": {"priority": "now"}}, 422, "request_invalid"),
    "two priorities": ({"files": FORM, "data": {"priority": ["low", "high"]}}, 422, "field_repeated"),
    "metadata that is no JSON": ({"files": FORM, "data": {"metadata": "{"}}, 400, "json_invalid"),
    "a model that is not offered": ({"files": FORM, "data": {"whisper_model": "huge"}}, 422, "model_not_allowed"),
    "a file a byte too large": ({"files": {"file": ("a.wav", bytes(1_000_001))}}, 413, "audio_too_large"),
    "a file far too large": ({"files": {"file": ("a.wav", bytes(2_000_000))}}, 413, "audio_too_large"),
    "a novel as a title": ({"files": FORM, "data": {"title": "x" * 300_000}}, 413, "form_too_large"),
    "a thousand fields": ({"files": FORM, "data": {"tags": ["x"] * 1000}}, 413, "form_too_large"),
    "no boundary": ({"content": b"", "headers": {"Content-Type": "multipart/form-data"}}, 400, "form_invalid"),
    "a body of another kind": (
        {"content": b"hello", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
        400,
        "form_invalid",
    ),
    "half a form": (
        {
            "content": b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF',
            "headers": {"Content-Type": "multipart/form-data; boundary=x"},
        },
        400,
        "form_invalid",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_form_that_cannot_be_used_leaves_nothing(client: httpx.Client, case: str) -> None:
    request, status, code = REFUSED[case]
    answer = client.post("/jobs", **request)
    assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text


def test_the_field_that_is_no_json_is_named(client: httpx.Client) -> None:
    answer = client.post("/jobs", files=FORM, data={"metadata": "{"})
    assert answer.json()["message"] == "The field metadata is no JSON."


def test_size_is_counted_where_no_length_is_said(client: httpx.Client) -> None:
    answer = client.put("/jobs/upload", content=(bytes(100_000) for _ in range(11)))
    assert (answer.status_code, answer.json()["error"]) == (413, "audio_too_large")


def test_a_request_that_is_sent_again_has_one_job(client: httpx.Client) -> None:
    first = by_form(client, {"priority": "low"}, Idempotency_Key="one")
    again = by_form(client, {"priority": "low"}, Idempotency_Key="one")
    assert first.json()["job_id"] == again.json()["job_id"]
    other_bytes = client.post("/jobs", files={"file": ("memo.m4a", b"x")}, headers={"Idempotency-Key": "one"})
    assert (other_bytes.status_code, other_bytes.json()["error"]) == (409, "idempotency_conflict")


def test_a_job_whose_commit_nobody_heard_of_keeps_its_bytes(client: httpx.Client, deployment: Deployment) -> None:
    with lost_answer(deployment.parts.ledger.engine):
        lost = by_form(client, Idempotency_Key="lost")
    assert (lost.status_code, lost.json()["error"]) == (503, "ledger_away")
    again = by_form(client, Idempotency_Key="lost")
    assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
    assert stored(deployment, again.json()["job_id"]) == MEMO


@pytest.mark.parametrize("kind", ["form", "raw"])
def test_a_client_that_breaks_off_leaves_nothing(client: httpx.Client, deployment: Deployment, kind: str) -> None:
    head = {
        "form": "POST /jobs HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x\r\n",
        "raw": "PUT /jobs/upload HTTP/1.1\r\n",
    }
    begun = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' if kind == "form" else b""
    at = urlsplit(str(client.base_url))
    with socket.create_connection((at.hostname or "", at.port or 0)) as broken:
        broken.sendall(
            f"{head[kind]}Host: localhost\r\nContent-Length: 900000\r\n\r\n".encode() + begun + bytes(300_000)
        )
        _ask_until(client, lambda: list(deployment.scratch.glob("*")))
    _ask_until(client, lambda: not list(deployment.scratch.glob("*")))


def _ask_until(client: httpx.Client, happened: Callable[[], object]) -> None:
    """Ask the server for something else meanwhile: it serves all connections in turn."""
    for _ in range(2_000):
        if happened():
            return
        assert client.get("/health").status_code == 200
    pytest.fail("it did not happen")


def test_a_full_disk_refuses_and_keeps_nothing(client: httpx.Client, deployment: Deployment) -> None:
    with unwritable(deployment.parts.settings.object_dir):
        answer = client.put("/jobs/upload", content=MEMO)
    assert (answer.status_code, answer.json()["error"]) == (503, "store_unwritable")
    assert int(answer.headers["retry-after"]) > 0
    assert str(deployment.scratch.parent) not in answer.text


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "storage_full"), (errno.EACCES, "store_unwritable")])
def test_a_disk_that_is_full_is_told_from_one_that_takes_nothing(tmp_path: Path, number: int, code: str) -> None:
    with pytest.raises(Problem) as told, storing():
        raise near.unwritable(tmp_path, OSError(number, "")) from OSError(number, "")
    assert told.value.code == code


@contextlib.contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Have a file where the folder's staging should be."""
    staging, aside = folder / ".staging", folder / ".aside"
    staging.rename(aside)
    staging.write_bytes(b"")
    yield
    staging.unlink()
    aside.rename(staging)


def test_an_application_can_read_how_files_are_handed_in(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths["/jobs"]["post"]["requestBody"]["content"]) == {"application/json", "multipart/form-data"}
    assert "application/octet-stream" in paths["/jobs/upload"]["put"]["requestBody"]["content"]


def test_bad_audio_fails_the_job_and_good_audio_is_done_once(tmp_path: Path) -> None:
    house = Deployment(tmp_path / "home", DIARY_WHISPER_MODEL="tiny.en")
    memo = write_audio(tmp_path / "memo.wav", speech_like(2.0)).read_bytes()
    with asked(house) as client:
        handed_in = {
            name: client.put("/jobs/upload", params={"filename": name}, content=data).headers["location"]
            for name, data in {"empty.m4a": b"", "text.mp3": b"no audio" * 99, "a.wav": memo, "again.wav": memo}.items()
        }
        house.work()
        ended = {name: client.get(path).json() for name, path in handed_in.items()}
    assert {name: (job["status"], job["error"]) for name, job in ended.items()} == {
        "empty.m4a": ("failed", "audio_empty"),
        "text.mp3": ("failed", "audio_unreadable"),
        "a.wav": ("completed", None),
        "again.wav": ("completed", None),
    }
    assert ended["a.wav"]["recording_key"] == ended["again.wav"]["recording_key"]
    assert (ended["a.wav"]["duplicate"], ended["again.wav"]["duplicate"]) == (False, True)
    assert house.kept() == [], "no other try makes them better"
