"""What an application is told of its jobs: opened by URL one by one or many at once, listed, looked at, ended."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from diary_pipeline.ledger.submissions import refuse
from diary_pipeline.ledger.tables import submissions
from diary_pipeline_tests.api.served_home import Home, served_home

URL = "https://media.example.com/memos/my%20walk.m4a"
FREE = {"DIARY_RATE_LIMITS": "none"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with served_home(tmp_path_factory.mktemp("jobs"), FREE) as home:
        yield home


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Home]:
    """A home in which nothing else happens."""
    with served_home(tmp_path, FREE) as home:
        yield home


def opened(home: Home, **said: Any) -> str:
    answer = home.client.post("/jobs", json={"audio_url": URL, **said})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def test_a_job_is_durable_when_it_is_accepted(home: Home) -> None:
    answer = home.client.post("/jobs", json={"audio_url": URL, "priority": "urgent", "language": "en"})
    told = answer.json()
    assert answer.status_code == 202
    assert set(told) == {"job_id", "status", "created_at", "estimated_completion"}
    assert answer.headers["location"] == f"/jobs/{told['job_id']}"
    assert told["status"] == "pending"
    assert told["estimated_completion"] >= told["created_at"]
    job = home.client.get(answer.headers["location"]).json()
    assert {name: job[name] for name in ("file_name", "priority", "language", "user_id", "progress", "error")} == {
        "file_name": "my walk.m4a",
        "priority": "urgent",
        "language": "en",
        "user_id": "me",
        "progress": 0,
        "error": None,
    }
    assert job["created_at"] == told["created_at"]


@pytest.mark.parametrize(
    "metadata", [None, {"a": None}, {"deep": [{"er": [None, {"": 1e3}]}]}, [], "text", 0, True, "\u0000 and 🎈"]
)
def test_regression_02_metadata_null_or_nested_comes_back_as_it_was(home: Home, metadata: object) -> None:
    assert home.client.get(f"/jobs/{opened(home, metadata=metadata)}").json()["metadata"] == metadata


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ({"whisper_model": "huge"}, 422, "model_not_allowed"),
        ({"priority": "soon"}, 422, "request_invalid"),
        ({"language": "klingon"}, 422, "option_invalid"),
        ({"recorded_at": "yesterday"}, 422, "recorded_at_invalid"),
        ({"user_id": "../etc"}, 422, "owner_invalid"),
        ({"user_id": ""}, 422, "owner_invalid"),
        ({"audio_url": "http://10.0.0.7/a.mp3"}, 422, "url_forbidden_address"),
        ({"callback_url": "http://[::1]/told"}, 422, "url_forbidden_address"),
        ({"audio_url": "ftp://a.example/x"}, 422, "url_invalid"),
        ({"audio_url": None}, 422, "request_invalid"),
        ({"callback_url": "nonsense"}, 422, "url_invalid"),
        ({"colour": "blue"}, 422, "request_invalid"),
        ({"tags": "one"}, 422, "request_invalid"),
    ],
)
def test_what_cannot_be_had_is_refused_with_a_code(home: Home, said: dict[str, Any], status: int, code: str) -> None:
    answer = home.client.post("/jobs", json={"audio_url": URL, **said})
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["message"] == answer.json()["detail"]
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


BUCKET = '[[buckets]]\nurl = "gs://memos/me/"\nowner = "me"\ntags = ["phone"]\n'


def test_an_object_can_be_named_under_a_rule_of_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "diary.toml").write_text(BUCKET)
    with served_home(tmp_path, {**FREE, "DIARY_CONFIG": str(tmp_path / "diary.toml")}) as home:
        asked = [("gs://memos/me/a.m4a", "me"), ("gs://memos/me/a.m4a", "bob"), ("gs://memos/x.m4a", "me")]
        items = [{"audio_url": uri, "user_id": owner} for uri, owner in asked]
        told = home.client.post("/jobs/batch", json={"jobs": items}).json()["jobs"]
        assert [item.get("error") for item in told] == [None, "url_invalid", "url_invalid"]
        assert home.client.get(f"/jobs/{told[0]['job_id']}").json()["file_name"] == "a.m4a"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "json_invalid"),
        (b"{", 400, "json_invalid"),
        (b"\xff\xfe", 400, "json_invalid"),
        (b'{"audio_url": NaN}', 400, "json_invalid"),
        (b"[" * 100_000, 400, "json_invalid"),
        (b"[" * 200 + b"]" * 200, 422, "json_unusable"),
        (b'{"metadata": 1e999}', 422, "json_unusable"),
        (b'{"metadata": ' + b"9" * 400 + b"}", 422, "json_unusable"),
        (b'{"metadata": ' + b"9" * 5000 + b"}", 422, "json_unusable"),
        (b'{"metadata": "\\ud800"}', 422, "json_unusable"),
        (b'{"\\udfff": 1}', 422, "json_unusable"),
        (b'{"metadata": [' + b"[]," * 600_000 + b"1]}", 422, "json_unusable"),
        (json.dumps({"audio_url": URL, "metadata": [0] * 4_000}).encode(), 422, "request_invalid"),
        (json.dumps({"audio_url": URL, "metadata": "x" * 66_000}).encode(), 422, "request_invalid"),
        (b'"text"', 422, "request_invalid"),
        (json.dumps({"audio_url": "https://a.example/" + "x" * 5000}).encode(), 422, "request_invalid"),
        (json.dumps({"audio_url": URL, "metadata": "x" * 3_000_000}).encode(), 413, "body_too_large"),
    ],
)
def test_a_body_that_breaks_others_is_refused(home: Home, body: bytes, status: int, code: str) -> None:
    answer = home.client.post("/jobs", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (status, code)


def test_what_was_sent_stands_in_no_refusal(home: Home) -> None:
    answer = home.client.post("/jobs", json={"audio_url": ["a secret of mine"]})
    assert answer.status_code == 422
    assert "secret" not in answer.text


def test_the_same_request_with_a_key_opens_one_job(own: Home) -> None:
    body, key = {"audio_url": URL, "metadata": {"n": 1}}, {"Idempotency-Key": "one"}
    first, again = (own.client.post("/jobs", json=body, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["job_id"] == again.json()["job_id"]
    assert again.headers["idempotent-replayed"] == "true"
    other = own.client.post("/jobs", json={**body, "metadata": {"n": 2}}, headers=key)
    assert (other.status_code, other.json()["error"]) == (409, "idempotency_conflict")
    assert len(own.client.get("/jobs").json()["jobs"]) == 1


def test_a_batch_answers_each_item_and_opens_all_at_once(own: Home) -> None:
    items = [{"audio_url": URL}, {"audio_url": "nowhere"}, "text", {"audio_url": URL, "whisper_model": "huge"}]
    answer = own.client.post("/jobs/batch", json={"jobs": [*items, {"audio_url": URL, "priority": "low"}]})
    told = answer.json()
    assert (answer.status_code, told["accepted"], told["refused"]) == (202, 2, 3)
    assert [item["index"] for item in told["jobs"]] == [0, 1, 2, 3, 4]
    assert [item.get("error") for item in told["jobs"]] == [
        None,
        "url_invalid",
        "request_invalid",
        "model_not_allowed",
        None,
    ]
    for item in (told["jobs"][0], told["jobs"][4]):
        assert own.client.get(f"/jobs/{item['job_id']}").json()["status"] == "pending"
    with own.parts.ledger.reading() as conn:
        assert conn.execute(sa.select(sa.func.count()).select_from(submissions)).scalar_one() == 2


def test_a_batch_of_a_thousand_is_taken_and_one_more_is_not(own: Home) -> None:
    many = [{"audio_url": f"https://media.example.com/{n}.m4a"} for n in range(1001)]
    assert own.client.post("/jobs/batch", json={"jobs": many}).json()["error"] == "batch_too_large"
    assert own.client.post("/jobs/batch", json={"jobs": []}).status_code == 422
    key = {"Idempotency-Key": "thousand"}
    first = own.client.post("/jobs/batch", json={"jobs": many[:1000]}, headers=key).json()
    again = own.client.post("/jobs/batch", json={"jobs": many[:1000]}, headers=key).json()
    assert first["accepted"] == 1000
    assert [item["job_id"] for item in first["jobs"]] == [item["job_id"] for item in again["jobs"]]


def test_a_list_is_walked_to_its_end_without_a_gap_or_a_double(own: Home) -> None:
    ids = [opened(own, user_id=owner) for owner in itertools.islice(itertools.cycle(["ada", "bob"]), 7)]
    found, cursor = [], None
    while True:
        asked = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = own.client.get("/jobs", params=asked).json()
        found += [job["job_id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        if len(found) == 3:
            opened(own)  # what comes in between moves nothing
    assert found == ids[::-1]
    assert len(own.client.get("/jobs", params={"user_id": "bob"}).json()["jobs"]) == 3
    own.client.delete(f"/jobs/{ids[0]}")
    assert [job["job_id"] for job in own.client.get("/jobs", params={"status": "cancelled"}).json()["jobs"]] == ids[:1]


@pytest.mark.parametrize(
    "asked",
    [
        "limit=201",
        "limit=0",
        "user_id=",
        "limit=1e9",
        "limit=" + "9" * 400,
        "status=done",
        "cursor=x",
        "cursor=%00",
        "cursor=bmFuflg",
    ],
)
def test_a_list_that_cannot_be_is_refused(home: Home, asked: str) -> None:
    assert home.client.get(f"/jobs?{asked}").status_code == 422


@pytest.mark.parametrize("id", ["nothing", "%00", "%ff", "0" * 32, "x" * 3000, "..%2f..", "%F0%9F%8E%88", "' OR 1=1"])
def test_an_id_that_cannot_be_is_unknown(home: Home, id: str) -> None:
    for method in ("GET", "DELETE"):
        assert home.client.request(method, f"/jobs/{id}").status_code == 404


def test_an_unfinished_job_is_cancelled_and_an_ended_one_removed(own: Home) -> None:
    job = f"/jobs/{opened(own)}"
    assert own.client.delete(job).json()["status"] == "cancelled"
    assert own.client.get(job).json()["status"] == "cancelled"
    assert own.client.delete(job).json()["status"] == "removed"
    assert own.client.get(job).status_code == 404
    assert own.client.delete(job).status_code == 404


def test_a_job_that_is_only_to_be_cancelled_is_not_removed_by_the_same_request_again(own: Home) -> None:
    job = f"/jobs/{opened(own)}"
    for _ in range(2):
        assert own.client.delete(f"{job}?erase=false").json()["status"] == "cancelled"
    ended = opened(own)
    refuse(own.parts.ledger, ended, "audio_empty", "It holds no audio.")
    answer = own.client.delete(f"/jobs/{ended}?erase=false")
    assert (answer.status_code, answer.json()["error"]) == (409, "job_ended")
    assert [own.client.get(path).status_code for path in (job, f"/jobs/{ended}")] == [200, 200]


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("PUT", "/jobs/x", "DELETE, GET, HEAD"),
        ("POST", "/health", "GET, HEAD"),
        ("PATCH", "/jobs", "GET, HEAD, POST"),
        ("TRACE", "/jobs", "GET, HEAD, POST"),
    ],
)
def test_a_wrong_method_is_told_which_are_right(home: Home, method: str, path: str, right: str) -> None:
    answer = home.client.request(method, path, json={})
    assert (answer.status_code, answer.json()["error"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == right


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/jobs", "/jobs?status=done", "/jobs/x", "/docs"])
def test_head_is_answered_as_get_without_its_body(home: Home, path: str) -> None:
    get, head = home.client.get(path), home.client.head(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


def test_the_head_of_a_stream_of_events_has_an_end(home: Home) -> None:
    head = home.client.head(f"/jobs/{opened(home)}/events")
    assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("/jobs?stat=failed", "query.stat is not known here; this address takes status, user_id, limit, cursor"),
        ("/quarantine?code=audio_empty", "query.code is not known here; this address takes limit, cursor"),
        ("/jobs/x?full=1", "query.full is not known here; this address takes no parameters"),
    ],
)
def test_a_parameter_that_nobody_hears_is_refused(home: Home, asked: str, told: str) -> None:
    answer = home.client.get(asked)
    assert (answer.status_code, answer.json()["message"]) == (422, f"The request cannot be used: {told}.")
    assert home.client.put(f"/jobs/upload?{asked.partition('?')[2]}", content=b"RIFF").status_code == 422
    assert home.client.get("/health?_=1").status_code == 200


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"priority": "soon"}, "body.priority must be urgent, high, medium or low"),
        ({"audio_url": None}, "body.audio_url must be text"),
        ({"audio_url": ""}, "body.audio_url may not be empty"),
        ({"tags": "one"}, "body.tags must be a list"),
        ({"tags": [1]}, "body.tags.0 must be text"),
        ({"colour": "blue"}, "body.colour is not known here"),
        ("text", "body must be an object"),
        ({"metadata": [0] * 4_000}, "body.metadata does not fit: metadata may have 64 KB and 4000 values; keep the"),
    ],
)
def test_what_does_not_fit_is_told_in_our_words(home: Home, said: Any, told: str) -> None:
    answer = home.client.post("/jobs", json={"audio_url": URL, **said} if isinstance(said, dict) else said)
    assert answer.json()["message"].startswith(f"The request cannot be used: {told}")
    assert "nput" not in answer.text


@pytest.mark.parametrize("address", ["/jobs/a/b/c/d", "/jobs/", "/search/"])
def test_an_address_that_does_not_exist_is_a_problem_too(home: Home, address: str) -> None:
    answer = home.client.get(address, follow_redirects=False)
    assert (answer.status_code, answer.json()["error"]) == (404, "route_unknown")
    assert answer.headers["content-type"] == "application/problem+json"
