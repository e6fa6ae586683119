"""OWASP's list for APIs, held over every route there is: a route that is added is held to it, or fails here."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from diary_pipeline.api.app import INGESTION, STATUS
from diary_pipeline.api.door import OPEN
from diary_pipeline_tests.api.served_home import Home, served_home

SUBMISSION = {"audio_url": "https://audio.example/a.mp3", "metadata": {"private": "as-canary-knows"}}
NOWHERE = "f" * 32
TUS = {"Tus-Resumable": "1.0.0"}
CHANGES = {"POST", "PUT", "PATCH", "DELETE"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    said = {"DIARY_API_AUTH": "keys", "DIARY_RATE_LIMITS": "none"}
    with served_home(tmp_path_factory.mktemp("every"), said) as home:
        yield home


def routes() -> list[tuple[str, str]]:
    """Every method and path that the apps serve, but for those that need no key."""
    every = [route for router in (*INGESTION, *STATUS) for route in router.routes]
    shapes = {(method, route.path) for route in every for method in route.methods}  # type: ignore[attr-defined]
    found = sorted((method, path) for method, path in shapes if path not in OPEN)
    assert ("POST", "/jobs") in found
    assert ("DELETE", "/jobs/{job_id}") in found
    return found


def with_ids() -> list[tuple[str, str]]:
    found = [(method, path) for method, path in routes() if "{" in path]
    assert len(found) >= 2
    return found


def ended_job(home: Home, key: dict[str, str]) -> str:
    """Open a job, and end it: what is asked of it is answered at once, and nothing waits for a worker."""
    made = home.client.post("/jobs", json=SUBMISSION, headers=key)
    assert made.status_code == 202, made.text
    job = str(made.json()["job_id"])
    assert home.client.delete(f"/jobs/{job}", headers=key).json()["status"] == "cancelled"
    return job


def address(path: str, ids: dict[str, str]) -> str:
    """Fill in a path; a new kind of id is to be named in the fixtures of this file."""
    return re.sub(r"\{(\w+)(?::path)?\}", lambda name: {**ids, "model": "no-model"}[name[1]], path)


def ask(home: Home, method: str, path: str, key: dict[str, str] | None) -> httpx.Response:
    body = {"json": {}} if method in CHANGES - {"DELETE"} else {}
    return home.client.request(method, path, headers={**TUS, **(key or {})}, **body)


def test_no_route_answers_without_a_key(home: Home) -> None:
    ids = dict.fromkeys(ID_NAMES, NOWHERE)
    for method, path in routes():
        answer = ask(home, method, address(path, ids), None)
        assert (answer.status_code, method, path) == (401, method, path)


def test_no_route_does_what_a_key_was_not_made_for(home: Home) -> None:
    submits, reads = home.key("ada", "submit"), home.key("ada", "read")
    ids = dict.fromkeys(ID_NAMES, NOWHERE)
    for method, path in routes():
        wrong = reads if method in CHANGES else submits
        answer = ask(home, method, address(path, ids), wrong)
        if method in ("HEAD", "OPTIONS"):
            assert answer.status_code != 200, "tells nothing of what is not there"
            continue
        assert (answer.status_code, method, path) == (403, method, path)
        told = answer.json()["error"]
        assert (told["code"] if path.startswith("/v1/") else told) == "scope_missing"


ID_NAMES = ("job_id", "id", "user_id", "correction_id", "trouble_id")


def test_somebody_else_s_is_as_if_it_were_not_there(home: Home) -> None:
    """API1: the answer to another owner's id is that to an id which nobody has."""
    ben = home.key("ben")
    own = []
    for method, path in with_ids():
        ada = home.key("ada")  # a new one: who erases themselves has no key any more
        job = ended_job(home, ada)
        theirs = {**dict.fromkeys(ID_NAMES, job), "user_id": "ada"}
        nobodys = {**dict.fromkeys(ID_NAMES, NOWHERE), "user_id": "nobody-of-that-name"}
        asked = [ask(home, method, address(path, ids), ben) for ids in (theirs, nobodys)]
        told = [(answer.status_code, _said(answer)) for answer in asked]
        assert told[0] == told[1], (method, path)
        assert told[0][0] in (403, 404, 422), (method, path, told)
        assert not any("canary" in answer.text for answer in asked)
        still = home.client.get(f"/jobs/{job}", headers=ada)
        assert still.status_code == 200, f"{method} {path} touched it"
        own.append((method, path, ask(home, method, address(path, theirs), ada).status_code))
    assert {status for method, path, status in own if path == "/jobs/{job_id}"} == {200}


def test_lists_hold_one_s_own_alone(home: Home) -> None:
    ada, ben = home.key("ada"), home.key("ben")
    ended_job(home, ada)
    lists = [path for method, path in routes() if method == "GET" and "{" not in path]
    assert "/jobs" in lists
    for path, query in itertools.product(lists, ("", "?user_id=ada", "?user_id=ada&q=words")):
        answer = home.client.get(path + query, headers=ben)
        assert "canary" not in answer.text, (path, query)
        assert "ada" not in re.sub(r'"request_id":"\w*"', "", answer.text), (path, query)


def test_only_a_key_for_everybody_sees_everybody_s(home: Home) -> None:
    job = ended_job(home, home.key("ada"))
    assert home.client.get(f"/jobs/{job}", headers=home.key(scopes="read")).status_code == 200
    assert home.client.get(f"/jobs/{job}", headers=home.key("ben", "admin")).status_code == 404
    assert home.client.get(f"/jobs/{job}", headers=home.key("ada", "admin")).status_code == 200


def test_fields_that_nobody_asked_for_are_refused_and_no_answer_tells_where_files_lie(home: Home) -> None:
    """API3: nobody sets a job's status or owner by naming it."""
    ada = home.key("ada")
    for extra in ({"status": "completed"}, {"owner": "ben"}, {"id": NOWHERE}, {"recording_key": "x"}):
        answer = home.client.post("/jobs", json={**SUBMISSION, **extra}, headers=ada)
        assert answer.status_code == 422
    job = ended_job(home, ada)
    told = home.client.get(f"/jobs/{job}", headers=ada).text
    assert str(home.parts.settings.home) not in told
    assert "uri" not in home.client.get(f"/jobs/{job}", headers=ada).json()


@pytest.mark.parametrize("query", ["?limit=1000000", "?limit=0", "?limit=-1", "?limit=x", "?cursor=%00", "?status=x"])
def test_pages_have_an_end(home: Home, query: str) -> None:
    """API4."""
    assert home.client.get(f"/jobs{query}", headers=home.key("ada")).status_code == 422


def test_nobody_is_erased_by_somebody_else(home: Home) -> None:
    """API5: what concerns others wants `admin`, and an owner's `admin` ends at the owner."""
    ended_job(home, home.key("ada"))
    for key, status in ((home.key("ben"), 403), (home.key("ben", "admin"), 404), (home.key(scopes="submit"), 403)):
        assert home.client.delete("/users/ada", headers=key).status_code == status
    assert home.client.delete("/users/ada", headers=home.key(scopes="admin")).status_code == 202


def _said(answer: httpx.Response) -> Any:
    if not answer.text or not answer.headers.get("content-type", "").endswith("json"):
        return answer.text
    document = answer.json()
    document.pop("request_id", None)
    return document
