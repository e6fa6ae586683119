"""Corrections over HTTP: the rules of `diary edit`, visible at once, and never laid over what a client did not read."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from diary_pipeline_tests.api.serving import Deployment
from diary_pipeline_tests.builders import speech_like, write_audio


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """One home for all tests here, with scripted ears."""
    return Deployment(tmp_path_factory.mktemp("api") / "home", DIARY_WHISPER_MODEL="tiny.en")


@pytest.fixture
def job(client: httpx.Client, deployment: Deployment, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The path of a job that is completed: another recording for every test."""
    pitch_hz = 90.0 + sum(map(ord, request.node.name)) % 200
    memo = write_audio(tmp_path / "memo.wav", speech_like(3.0, pitch_hz=pitch_hz))
    path = client.put("/jobs/upload", content=memo.read_bytes()).headers["location"]
    deployment.work()
    assert client.get(path).json()["status"] == "completed"
    return str(path)


def spoken(client: httpx.Client, job: str) -> dict[str, Any]:
    """Give the first segment with speech."""
    said = client.get(f"{job}/transcription").json()
    return next(segment for segment in said["segments"] if segment["kind"] == "speech")


def test_what_was_said_is_put_right_and_visible_at_once(client: httpx.Client, job: str) -> None:
    segment = spoken(client, job)
    right = {"segments": [{"id": segment["id"], "text": "I met Priya at the harbour."}]}
    answer = client.patch(f"{job}/transcription", json=right)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["changed"], told["note_is_written_again"]) == (True, True)
    (made,) = told["corrections"]
    assert (made["target"], made["placed"], made["machine_text"]) == ("segment", True, segment["text"])
    assert spoken(client, job)["text"] == "I met Priya at the harbour."
    assert "Priya" in client.get(f"{job}/download/transcription").text
    again = client.patch(f"{job}/transcription", json=right).json()
    assert (again["changed"], again["note_is_written_again"]) == (False, False)


def test_a_note_that_was_written_again_is_the_jobs_and_can_be_put_right(
    client: httpx.Client, deployment: Deployment, job: str
) -> None:
    before = client.get(f"{job}/diary-note").json()["version"]
    client.patch(f"{job}/transcription", json={"segments": [{"id": spoken(client, job)["id"], "text": "I met Priya."}]})
    deployment.work()
    assert client.get(f"{job}/diary-note").json()["version"] != before
    assert client.patch(f"{job}/diary-note", json={"title": "Priya"}).status_code == 200
    assert client.get(f"{job}/diary-note").json()["title"] == "Priya"


def test_a_note_is_put_right_and_taken_back(client: httpx.Client, job: str) -> None:
    note = client.get(f"{job}/diary-note").json()
    first, *others = note["items"]
    right = {
        "title": "By the river",
        "note_date": "2026-04-30",
        "items": [{"id": first["id"], "text": "Call Priya"}],
        "remove_items": [item["id"] for item in others[:1]],
    }
    answer = client.patch(f"{job}/diary-note", json=right)
    assert answer.status_code == 200, answer.text
    read = client.get(f"{job}/diary-note").json()
    assert (read["title"], read["note_date"]) == ("By the river", "2026-04-30")
    assert [item["text"] for item in read["items"]] == ["Call Priya", *(item["text"] for item in others[1:])]
    assert "By the river" in read["markdown"]
    ids = {made["target"]: made["correction_id"] for made in client.get(f"{job}/corrections").json()["corrections"]}
    assert client.delete(f"{job}/corrections/{ids['title']}").status_code == 200
    assert client.get(f"{job}/diary-note").json()["title"] == note["title"]
    assert client.patch(f"{job}/diary-note", json={"revert": ["all"]}).json()["corrections"] == []
    assert client.get(f"{job}/diary-note").json()["items"] == note["items"]


def test_a_client_never_corrects_what_it_did_not_read(client: httpx.Client, job: str) -> None:
    read = client.get(f"{job}/transcription").headers["etag"]
    assert client.get(f"{job}/diary-note").headers["etag"] == read
    headers = {"If-Match": read}
    first = client.patch(f"{job}/diary-note", json={"title": "Mine"}, headers=headers)
    assert first.status_code == 200
    late = client.patch(f"{job}/diary-note", json={"title": "Theirs"}, headers=headers)
    assert (late.status_code, late.json()["error"]) == (412, "precondition_failed")
    assert client.get(f"{job}/diary-note").json()["title"] == "Mine"
    headers = {"If-Match": first.headers["etag"]}
    assert client.patch(f"{job}/diary-note", json={"title": "Theirs"}, headers=headers).status_code == 200
    assert client.patch(f"{job}/diary-note", json={"title": "Anybody's"}, headers={"If-Match": "*"}).status_code == 200


def test_a_job_of_an_older_version_is_not_corrected(
    client: httpx.Client, deployment: Deployment, job: str, tmp_path: Path
) -> None:
    params = {"vocabulary": "Priya"}  # the same audio, heard with other hints
    client.put("/jobs/upload", content=(tmp_path / "memo.wav").read_bytes(), params=params)
    deployment.work()
    number = spoken(client, job)["id"]
    answer = client.patch(f"{job}/transcription", json={"segments": [{"id": number, "text": "I met Priya."}]})
    assert (answer.status_code, answer.json()["error"]) == (409, "result_superseded")


REFUSED = [
    ("transcription", {"segments": [{"id": 99, "text": "x"}]}, 404, "segment_missing"),
    ("transcription", {"segments": [{"id": "x", "text": "x"}]}, 422, "request_invalid"),
    ("transcription", {"segmens": []}, 422, "request_invalid"),
    ("transcription", {"revert": ["0f3a9c21d4be"]}, 404, "correction_missing"),
    ("diary-note", {"items": [{"id": 99, "text": "x"}]}, 404, "item_missing"),
    ("diary-note", {"items": [{"id": 0, "text": " "}]}, 422, "correction_empty"),
    ("diary-note", {"title": ""}, 422, "correction_empty"),
    ("diary-note", {"note_date": "yesterday"}, 422, "request_invalid"),
    ("diary-note", {"title": "x" * 20_001}, 422, "correction_too_long"),
    ("diary-note", {"note_date": "9999-12-31"}, 422, "date_invalid"),
    ("diary-note", {"note_date": "0001-01-01"}, 422, "date_invalid"),
    ("diary-note", {"items": [{"id": 0, "text": "a"}], "remove_items": [0]}, 422, "correction_repeated"),
    ("transcription", {"segments": [{"id": 0, "text": "a"}, {"id": 0, "text": "b"}]}, 422, "correction_repeated"),
    ("transcription", {"revert": "all"}, 422, "request_invalid"),
]


def test_what_cannot_be_put_right_is_refused_as_diary_edit_does(client: httpx.Client, job: str) -> None:
    for what, body, status, code in REFUSED:
        answer = client.patch(f"{job}/{what}", json=body)
        assert (answer.status_code, answer.json()["error"]) == (status, code), (what, body, answer.text)
        assert not re.search(r"diary [a-z]|--", answer.json()["message"]), "who asks by HTTP has no command line"


def test_a_job_without_a_transcript_has_nothing_to_correct(client: httpx.Client) -> None:
    path = client.put("/jobs/upload", content=b"RIFF").headers["location"]
    answer = client.patch(f"{path}/diary-note", json={"title": "x"})
    assert (answer.status_code, answer.json()["error"]) == (404, "transcript_missing")
    assert client.patch("/jobs/nobody/diary-note", json={"title": "x"}).status_code == 404
