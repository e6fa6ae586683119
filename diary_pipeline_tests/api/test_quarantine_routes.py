"""Whoever has the key sees, retries and drops their own troubles by HTTP, and nobody else's."""

from collections.abc import Iterator

import pytest

from diary_pipeline.ledger import submissions
from diary_pipeline.storage.keys import upload_key
from diary_pipeline_tests.api.answering import Answering, answering
from diary_pipeline_tests.api.test_uploads import unwritable
from diary_pipeline_tests.api.test_webhook_routes import ended, key_of


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answering]:
    with answering(str(tmp_path_factory.mktemp("quarantine")), DIARY_API_AUTH="keys") as found:
        yield found


def test_a_trouble_is_shown_with_its_history_and_tried_again_under_a_new_id(api: Answering) -> None:
    id, key = ended(api, None), key_of(api, "anna")
    shown = api.client.get(f"/quarantine/{id}", headers=key).json()
    assert (shown["error"], shown["file_name"], shown["dropped_by"]) == ("audio_empty", "x.wav", None)
    assert [(a["stage"], a["error"], a["tried_again_at"]) for a in shown["attempts"]] == [
        ("intake", "audio_empty", None)
    ]
    again = api.client.post(f"/quarantine/{id}/retry", headers=key)
    assert (again.status_code, again.json()["id"]) == (202, id)
    assert api.client.post(f"/quarantine/{id}/retry", headers=key).json() == again.json()
    other = api.client.post(f"/quarantine/{id}/retry", headers=key_of(api, "berta"))
    assert other.status_code == 404
    job = api.client.get(f"/jobs/{again.json()['goes_on_as']}", headers=key).json()
    assert (job["status"], job["metadata"]) == ("pending", {"order": 7})


def test_a_refused_upload_is_tried_again_while_its_bytes_are_kept(api: Answering) -> None:
    key = key_of(api, "anna")
    for is_kept in (True, False):
        handed_in = api.client.put("/jobs/upload?filename=x.wav", content=b"no sound", headers=key)
        id = handed_in.json()["job_id"]
        submissions.refuse(api.parts.ledger, id, "audio_unreadable", "x.wav is no audio.")
        if not is_kept:
            api.parts.store.delete(upload_key(id))
        again = api.client.post(f"/quarantine/{id}/retry", headers=key)
        if is_kept:
            assert again.status_code == 202
            assert api.parts.store.get(upload_key(again.json()["goes_on_as"])) == b"no sound"
        else:
            assert (again.status_code, again.json()["error"]) == (409, "upload_gone")
            assert "send it again" in again.json()["message"]
    api.client.delete(f"/quarantine/{id}", headers=key)
    assert api.client.post(f"/quarantine/{id}/retry", headers=key).status_code == 404


def test_a_retry_that_finds_no_room_names_none_of_our_folders_and_may_be_repeated(api: Answering) -> None:
    key = key_of(api, "anna")
    id = api.client.put("/jobs/upload?filename=x.wav", content=b"no sound", headers=key).json()["job_id"]
    submissions.refuse(api.parts.ledger, id, "audio_too_short", "x.wav is short.")
    with unwritable(api.parts.settings.object_dir):
        answer = api.client.post(f"/quarantine/{id}/retry", headers=key)
    assert (answer.status_code, answer.json()["error"]) == (503, "store_unwritable")
    assert str(api.parts.settings.home) not in answer.text
    assert "stays in quarantine" in answer.json()["message"]
    assert api.client.post(f"/quarantine/{id}/retry", headers=key).status_code == 202


def test_a_dropped_trouble_leaves_the_list_and_says_which_key_dropped_it(api: Answering) -> None:
    id, key = ended(api, None), key_of(api, "anna")
    gone = api.client.delete(f"/quarantine/{id}", headers=key)
    assert (gone.status_code, gone.json()["dropped_by"].startswith("key ")) == (200, True)
    assert id not in {t["id"] for t in api.client.get("/quarantine", headers=key).json()["troubles"]}
    assert api.client.get(f"/quarantine/{id}", headers=key).json()["dropped_by"] == gone.json()["dropped_by"]


@pytest.mark.parametrize("method", ["GET", "DELETE", "RETRY"])
@pytest.mark.parametrize("whose", ["berta", "nobody"])
def test_troubles_of_others_and_unknown_ones_are_404(api: Answering, method: str, whose: str) -> None:
    id = ended(api, None) if whose == "berta" else "0f5f8a2c9d1b4e7f8a6c3b2d1e0f9a8b"
    path = f"/quarantine/{id}" + ("/retry" if method == "RETRY" else "")
    answer = api.client.request("POST" if method == "RETRY" else method, path, headers=key_of(api, "berta"))
    assert (answer.status_code, answer.json()["error"]) == (404, "trouble_missing")
