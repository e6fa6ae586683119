"""A job's progress reaches whoever listens, by one look at the ledger for all of them, and ends with the job."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from starlette.requests import ClientDisconnect

from diary_pipeline.api.events import _Events
from diary_pipeline.api.problems import Problem
from diary_pipeline.api.watch import Watch
from diary_pipeline.ledger import submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.jobs import find
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.tables import submissions as table
from diary_pipeline_tests.api.answering import Answering, answering
from diary_pipeline_tests.contract.test_ledger_submissions import submit


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answering]:
    with answering(str(tmp_path_factory.mktemp("events"))) as found:
        yield found


def become(ledger: Ledger, id: str, status: str, **values: object) -> None:
    """Let a job stand otherwise."""
    with ledger.writing() as tx:
        tx.execute(table.update().where(table.c.id == id).values(status=status, **values))


def events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """Read server-sent events as they come."""
    said: dict[str, Any] = {}
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if name:
            said[name] = value
        elif "data" in said:
            yield {**said, "data": json.loads(said["data"])}
            said = {}
        else:
            said = {}


def test_events_follow_a_job_to_its_end_and_then_end(api: Answering) -> None:
    id = submit(api.parts.ledger)
    with api.client.stream("GET", f"/jobs/{id}/events") as response:
        assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        coming = events(response)
        first = next(coming)
        assert (first["event"], first["data"]["status"]) == ("progress", "pending")
        become(api.parts.ledger, id, "transcribing")
        assert next(coming)["data"]["status"] == "transcribing"
        submissions.refuse(api.parts.ledger, id, "audio_empty", "It holds nothing.")
        become(api.parts.ledger, id, "refused", reason_code="audio_empty", ended_at=1.0)
        last = next(coming)
        assert (last["event"], last["data"]["status"], last["data"]["error"]) == ("ended", "failed", "audio_empty")
        assert list(coming) == []
    again = api.client.get(f"/jobs/{id}/events", headers={"Last-Event-ID": last["id"]})
    assert again.status_code == 204, "a browser stops coming back"
    [told] = events(api.client.get(f"/jobs/{id}/events", headers={"Last-Event-ID": first["id"]}))
    assert told == last


def test_whoever_comes_back_is_told_what_is_different_only(api: Answering) -> None:
    id = submit(api.parts.ledger)
    with api.client.stream("GET", f"/jobs/{id}/events") as response:
        first = next(events(response))
    with api.client.stream("GET", f"/jobs/{id}/events", headers={"Last-Event-ID": first["id"]}) as response:
        become(api.parts.ledger, id, "cancelled", ended_at=1.0)
        assert [event["data"]["status"] for event in events(response)] == ["cancelled"]


def test_a_job_that_is_removed_ends_its_events(api: Answering) -> None:
    id = submit(api.parts.ledger)
    with api.client.stream("GET", f"/jobs/{id}/events") as response:
        coming = events(response)
        next(coming)
        submissions.drop(api.parts.ledger, id)
        assert [event["event"] for event in coming] == ["removed"]


def test_an_unknown_job_is_404(api: Answering) -> None:
    answer = api.client.get("/jobs/0f5f8a2c9d1b4e7f8a6c3b2d1e0f9a8b/events")
    assert (answer.status_code, answer.json()["error"]) == (404, "job_missing")


@pytest.mark.parametrize("full", [{"most": 0}, {"most_of_one": 0}], ids=str)
def test_one_too_many_is_told_to_come_back(api: Answering, full: dict[str, int]) -> None:
    id = submit(api.parts.ledger)
    usual, api.app.state.watch = api.app.state.watch, Watch(api.parts.ledger, **full)
    answer = api.client.get(f"/jobs/{id}/events")
    api.app.state.watch = usual
    assert (answer.status_code, answer.json()["error"]) == (503, "events_full")
    assert "retry-after" in answer.headers


def test_all_listeners_share_one_look_and_whoever_leaves_is_forgotten(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    ids = [submit(ledger, f"{n}.m4a") for n in range(20)]
    with ledger.reading() as conn:
        jobs = [job for id in ids if (job := find(conn, id))]
    asked: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("SELECT"):
            asked.append(statement)

    async def listen() -> int:
        watch = Watch(ledger, poll_s=0.01, most_of_one=200)
        heard = 0

        async def one(job: Any) -> None:
            nonlocal heard
            with watch.listen(job.id, job.owner) as place:
                async for state in watch.states(place):
                    heard += 1
                    if not isinstance(state, float) and state is not None and state.status == "cancelled":
                        return

        sa.event.listen(ledger.engine, "before_cursor_execute", note)
        try:
            everybody = asyncio.gather(*(one(job) for job in jobs for _ in range(10)))
            await asyncio.sleep(0)
            assert watch.waiting == 200
            with ledger.writing() as tx:
                tx.execute(table.update().values(status="cancelled", ended_at=1.0))
            await asyncio.wait_for(everybody, 30)
        finally:
            sa.event.remove(ledger.engine, "before_cursor_execute", note)
        assert watch.waiting == 0
        return heard

    assert asyncio.run(listen()) <= 3 * 200
    assert 1 <= len(asked) <= 3, "two hundred listeners, one query a look"
    ledger.close()


def test_who_listens_to_all_of_their_own_jobs_leaves_room_for_others_and_a_place_is_taken_when_it_is_asked_for(
    tmp_path: Path,
) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    id = submit(ledger)

    async def listen() -> None:
        watch = Watch(ledger, poll_s=0.01, most=3, most_of_one=2)
        waits = [asyncio.create_task(watch.until(id, {"completed"}, 30, stays)) for _ in range(9)]
        await asyncio.sleep(0)
        assert watch.waiting == 9, "who waits for a transcript takes no listener's place"
        with watch.listen(id, "me"), watch.listen(id, "you"):
            with watch.listen(id, "me"):
                for owner in ("me", "you"):
                    with pytest.raises(Problem, match="Too many"):
                        watch.listen(id, owner)
            with watch.listen(id, "me"):
                pass
        for one in waits:
            one.cancel()

    asyncio.run(listen())
    ledger.close()


def test_a_stream_that_never_began_leaves_its_place(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    with ledger.reading() as conn:
        job = find(conn, submit(ledger))
    assert job is not None

    async def gone(_message: object = None) -> Any:
        raise OSError

    async def listen() -> int:
        watch = Watch(ledger, poll_s=0.01)
        stream = _Events(watch, watch.listen(job.id, job.owner), job, None)
        with pytest.raises(ClientDisconnect):
            await stream({"type": "http", "asgi": {"spec_version": "2.4"}}, gone, gone)
        return watch.waiting

    assert asyncio.run(listen()) == 0
    ledger.close()


async def stays() -> bool:
    """Hang on."""
    return False


@pytest.mark.parametrize(
    ("becomes", "found"), [("generating_notes", "generating_notes"), ("transcribing", "late"), (None, "removed")]
)
def test_a_request_waits_until_a_job_stands_as_it_wants_and_no_longer(
    tmp_path: Path, becomes: str | None, found: str
) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    id = submit(ledger)

    async def wait() -> str:
        watch = Watch(ledger, poll_s=0.01)
        waits = asyncio.create_task(watch.until(id, {"generating_notes"}, 0.5, stays))
        await asyncio.sleep(0.05)
        if becomes is None:
            submissions.drop(ledger, id)
        else:
            become(ledger, id, becomes)
        try:
            job = await waits
        except TimeoutError:
            return "late"
        finally:
            assert watch.waiting == 0
        return "removed" if job is None else job.status

    assert asyncio.run(wait()) == found
    ledger.close()
