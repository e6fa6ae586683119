"""From a job's end to its receiver and back: what `diary api` sends, shows and sends again, as its users meet it."""

import uuid
from collections.abc import Iterator

import pytest

from diary_pipeline.api.webhooks import sender_of
from diary_pipeline.ledger import submissions
from diary_pipeline.ledger.api_keys import create
from diary_pipeline.ledger.jobs import open_job
from diary_pipeline_tests.api.answering import Answering, answering
from diary_pipeline_tests.receiver import Receiver, receiving


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture(scope="module")
def api(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answering]:
    home = str(tmp_path_factory.mktemp("webhooks"))
    with answering(home, DIARY_WEBHOOK_ALLOWED_HOSTS=",".join(receiver.hosts), DIARY_API_AUTH="keys") as found:
        yield found


def key_of(api: Answering, owner: str) -> dict[str, str]:
    """Give somebody a key."""
    _, secret = create(api.parts.ledger, name=owner, owner=owner, scopes=["submit", "read"])
    return {"Authorization": f"Bearer {secret}"}


def ended(api: Answering, url: str | None, owner: str = "anna") -> str:
    """Let a job of somebody have been refused."""
    id = uuid.uuid4().hex
    open_job(
        api.parts.ledger,
        id=id,
        owner=owner,
        source="api",
        uri="https://audio.example/x.wav",
        file_name="x.wav",
        options={},
        said={"order": 7},
        callback_url=url,
    )
    submissions.refuse(api.parts.ledger, id, "audio_empty", "x.wav holds no audio.")
    return id


def test_a_job_is_told_shown_and_told_again_under_the_same_id(api: Answering, receiver: Receiver) -> None:
    id, key = ended(api, receiver.url), key_of(api, "anna")
    [waiting] = api.client.get(f"/jobs/{id}/webhooks", headers=key).json()["webhooks"]
    assert (waiting["event"], waiting["attempts"], waiting["delivered_at"]) == ("job.failed", 0, None)
    with sender_of(api.parts):
        assert receiver.wait_for("/told")
    [call] = receiver.calls
    assert (call.body["job_id"], call.body["metadata"], call.body["code"]) == (id, {"order": 7}, "audio_empty")
    [shown] = api.client.get(f"/jobs/{id}/webhooks", headers=key).json()["webhooks"]
    assert (shown["last_answer"], shown["next_at"], shown["delivery_id"]) == ("200", None, call.delivery)
    receiver.calls.clear()
    again = api.client.post(f"/jobs/{id}/webhooks/replay", headers=key)
    assert (again.status_code, again.json()) == (202, {"job_id": id, "replayed": 1})
    with sender_of(api.parts):
        assert receiver.wait_for("/told")
    assert [call.delivery for call in receiver.calls] == [shown["delivery_id"]]


def test_webhooks_of_others_are_404_and_a_job_that_told_nobody_has_none_to_replay(api: Answering) -> None:
    id, quiet = ended(api, "https://app.example/x"), ended(api, None)
    stranger = key_of(api, "berta")
    for answer in (
        api.client.get(f"/jobs/{id}/webhooks", headers=stranger),
        api.client.post(f"/jobs/{id}/webhooks/replay", headers=stranger),
        api.client.get(f"/jobs/{id}/events", headers=stranger),
    ):
        assert (answer.status_code, answer.json()["error"]) == (404, "job_missing")
    none = api.client.post(f"/jobs/{quiet}/webhooks/replay", headers=key_of(api, "anna"))
    assert (none.status_code, none.json()["error"]) == (409, "webhooks_none")


def test_a_callback_to_a_private_address_is_refused_when_it_is_handed_in(api: Answering) -> None:
    body = {"audio_url": "https://audio.example/x.wav", "callback_url": "http://127.0.0.1:9/told"}
    answer = api.client.post("/jobs", json=body, headers=key_of(api, "anna"))
    assert (answer.status_code, answer.json()["error"]) == (422, "url_forbidden_address")
