"""Jobs are opened once each, found again, and listed by indices; on both databases."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from diary_pipeline.core.errors import UsageError
from diary_pipeline.ledger import jobs, leases, recordings, submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.jobs import Job, NewJob, Opened
from diary_pipeline.ledger.tables import submissions as table
from diary_pipeline.ledger.tables import work
from diary_pipeline.ledger.tables_jobs import idempotency_keys
from diary_pipeline_tests.builders import make_recording
from diary_pipeline_tests.contract.batch_work import accept, claim_keys
from diary_pipeline_tests.contract.query_plans import plans, walks

SHOWN = ("pending", "downloading", "transcribing", "generating_notes", "completed", "degraded", "failed", "cancelled")


def make_job(id: str, **changes: Any) -> NewJob:
    """Return a request of `me` for a memo somewhere."""
    asked = {"owner": "me", "source": "api", "uri": f"https://a.example/{id}", "file_name": f"{id}.mp3", "options": {}}
    return NewJob(**{"id": id, **asked, **changes})


def open_(ledger: Ledger, id: str, **changes: Any) -> Opened:
    """Open a job."""
    return jobs.open_jobs(ledger, [make_job(id, **changes)])[0]


def read(ledger: Ledger, id: str) -> Job:
    """Return a job that is there."""
    with ledger.reading() as conn:
        found = jobs.find(conn, id)
    assert found is not None
    return found


def put(ledger: Ledger, id: str, **values: Any) -> None:
    """Let time have brought a job somewhere."""
    with ledger.writing() as tx:
        tx.execute(table.update().where(table.c.id == id).values(**values))


def listed(ledger: Ledger, **asked: Any) -> list[str]:
    """Return the ids of a page."""
    with ledger.reading() as conn:
        return [job.id for job in jobs.page(conn, **{"limit": 50, **asked})]


# opening


@pytest.mark.parametrize("said", [None, {"order": {"lines": [1, None, "ä"]}}, [1, 2], "text", 0, False])
def test_a_job_keeps_what_was_said_whatever_json_it_is(ledger: Ledger, said: object) -> None:
    opened = jobs.open_job(
        ledger,
        id="a",
        owner="me",
        source="api",
        uri="https://a.example/memo.mp3",
        file_name="memo.mp3",
        options={"whisper_model": "tiny.en"},
        priority="low",
        said=said,
        callback_url="https://app.example/told",
        expected_bytes=5,
    )
    assert opened == Opened("a", is_new=True)
    job = read(ledger, "a")
    assert json.dumps(job.said) == json.dumps(said)
    assert (job.owner, job.uri, job.file_name) == ("me", "https://a.example/memo.mp3", "memo.mp3")
    assert job.status == "downloading", "bytes that are announced are on their way"
    assert (job.priority, job.options, job.progress) == ("low", {"whisper_model": "tiny.en"}, 0)
    assert (job.callback_url, job.expected_bytes, job.recording_key) == ("https://app.example/told", 5, None)


def test_a_submission_that_no_application_made_is_a_job_that_said_nothing(ledger: Ledger) -> None:
    [key] = accept(ledger, 1)
    with ledger.reading() as conn:
        [job] = jobs.page(conn, limit=2)
    assert (job.recording_key, job.said, job.callback_url, job.source) == (key, None, None, "cli")


def test_a_job_of_somebody_else_is_not_there(ledger: Ledger) -> None:
    open_(ledger, "a")
    with ledger.reading() as conn:
        assert jobs.find(conn, "a", "me") is not None
        assert jobs.find(conn, "a", "you") is None
        assert jobs.find(conn, "b") is None


def test_an_unknown_priority_opens_nothing(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="urgent, high, medium, low"):
        jobs.open_jobs(ledger, [make_job("a"), make_job("b", priority="now")])
    assert listed(ledger) == []


def test_many_jobs_are_opened_at_once_and_those_that_were_there_are_said_to_be_old(ledger: Ledger) -> None:
    open_(ledger, "b", priority="high")
    asked = [make_job("c"), make_job("b"), make_job("a"), make_job("c"), *(make_job(f"n{n}") for n in range(1200))]
    opened = jobs.open_jobs(ledger, asked)
    assert [o.id for o in opened] == [job.id for job in asked]
    assert [o.is_new for o in opened[:5]] == [True, False, True, False, True]
    assert read(ledger, "b").priority == "high", "it is left as it was"
    assert len(listed(ledger, limit=9999)) == 1203


# idempotency


def test_the_same_request_with_the_same_key_is_answered_with_the_same_job(ledger: Ledger) -> None:
    assert open_(ledger, "a", idempotency=("k", "sha")) == Opened("a", is_new=True)
    assert open_(ledger, "b", idempotency=("k", "sha")) == Opened("a", is_new=False)
    assert open_(ledger, "c", idempotency=("other", "sha")) == Opened("c", is_new=True)
    assert open_(ledger, "d", owner="you", idempotency=("k", "else")) == Opened("d", is_new=True), "keys are one's own"
    assert sorted(listed(ledger)) == ["a", "c", "d"]


def test_another_request_with_the_same_key_is_refused_and_the_whole_batch_with_it(ledger: Ledger) -> None:
    open_(ledger, "a", idempotency=("k", "sha"))
    with pytest.raises(UsageError) as caught:
        jobs.open_jobs(ledger, [make_job("b", idempotency=("fresh", "sha")), make_job("c", idempotency=("k", "else"))])
    assert caught.value.code == "idempotency_conflict"
    assert listed(ledger) == ["a"]
    assert open_(ledger, "d", idempotency=("fresh", "else")) == Opened("d", is_new=True)


def test_a_key_twice_in_one_batch_opens_one_job(ledger: Ledger) -> None:
    asked = [make_job(id, idempotency=("k", "sha")) for id in "ab"]
    assert jobs.open_jobs(ledger, asked) == [Opened("a", is_new=True), Opened("a", is_new=False)]
    assert listed(ledger) == ["a"]


@pytest.mark.parametrize("batch", [1, 5])
def test_identical_requests_at_the_same_time_open_one_job_each(ledger: Ledger, batch: int) -> None:
    def ask(worker: int) -> list[Opened]:
        names = range(batch) if worker % 2 else reversed(range(batch))  # rivals meet from both ends
        return jobs.open_jobs(ledger, [make_job(f"{worker}-{n}", idempotency=(f"k{n}", "sha")) for n in names])

    with ThreadPoolExecutor(6) as pool:
        opened = [o for answer in pool.map(ask, range(6)) for o in answer]
    assert len({o.id for o in opened}) == sum(o.is_new for o in opened) == batch
    assert sorted(listed(ledger)) == sorted({o.id for o in opened})


def test_identical_ids_at_the_same_time_open_one_job(ledger: Ledger) -> None:
    with ThreadPoolExecutor(6) as pool:
        opened = list(pool.map(lambda _: open_(ledger, "a"), range(6)))
    assert sorted(o.is_new for o in opened) == [False] * 5 + [True]


def test_keys_are_kept_for_a_day_and_go_as_new_ones_come(ledger: Ledger) -> None:
    for n in range(5):
        open_(ledger, f"old{n}", idempotency=(f"k{n}", "sha"))
    with ledger.writing() as tx:
        aged = idempotency_keys.c.created_at - sa.case((idempotency_keys.c.key == "k0", 86_000), else_=87_000)
        tx.execute(idempotency_keys.update().values(created_at=aged))
    open_(ledger, "new", idempotency=("fresh", "sha"))
    with ledger.reading() as conn:
        kept = set(conn.execute(sa.select(idempotency_keys.c.key)).scalars())
    assert len(kept) == 4, "a new key takes two old ones along"
    assert {"fresh", "k0"} < kept


# what is shown


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({}, "pending"),
        ({"fetching_since": 1.0}, "downloading"),
        ({"fetching_since": 1.0, "recording_key": "k"}, "pending"),
        ({"status": "transcribing", "recording_key": "k", "fetching_since": 1.0}, "transcribing"),
        ({"status": "generating_notes"}, "generating_notes"),
        ({"status": "completed"}, "completed"),
        ({"status": "degraded"}, "degraded"),
        ({"status": "failed"}, "failed"),
        ({"status": "refused"}, "failed"),
        ({"status": "cancelled"}, "cancelled"),
    ],
)
def test_a_status_is_shown_as_applications_know_it_and_found_by_that(
    ledger: Ledger, values: dict[str, object], shown: str
) -> None:
    open_(ledger, "a")
    put(ledger, "a", **{"attempts": 1, **values})
    assert read(ledger, "a").status == shown
    assert [s for s in SHOWN if listed(ledger, status=s)] == [shown]


def test_pages_go_on_behind_a_cursor_newest_first_without_a_gap_or_a_double(ledger: Ledger) -> None:
    jobs.open_jobs(ledger, [make_job(f"{n:02}", owner="me" if n % 2 else "you") for n in range(20)])  # one instant
    open_(ledger, "later")
    for asked, expected in (({}, 21), ({"owner": "me"}, 11), ({"owner": "you"}, 10), ({"status": "pending"}, 21)):
        got: list[Job] = []
        while True:
            with ledger.reading() as conn:
                page = jobs.page(conn, limit=4, before=got[-1].cursor if got else None, **asked)  # type: ignore[arg-type]
            got += page
            if len(page) < 4:
                break
        assert len(got) == expected
        assert [j.cursor for j in got] == sorted((j.cursor for j in got), reverse=True)
    assert listed(ledger, limit=1) == ["later"]


@pytest.mark.parametrize("owner", [None, "me"])
@pytest.mark.parametrize("status", [None, "failed", "downloading"])
@pytest.mark.parametrize("before", [None, (2e9, "x")])
def test_every_page_is_read_from_an_index_and_not_sorted(
    ledger: Ledger, owner: str | None, status: str | None, before: jobs.Cursor | None
) -> None:
    jobs.open_jobs(ledger, [make_job(f"{n}") for n in range(30)])
    said = plans(ledger, lambda conn: jobs.page(conn, owner=owner, status=status, limit=5, before=before))
    assert len(said) == 1
    assert not walks(said[0].replace("SCAN submissions USING INDEX submissions_listed_all", "")), said[0]
    assert "TEMP B-TREE" not in said[0], said[0]
    assert "Sort Key" not in said[0], said[0]
    if ledger.engine.dialect.name == "sqlite":  # PostgreSQL chooses among indices by what it counted
        index = ("submissions_shown" if status else "submissions_listed") + ("" if owner else "_all")
        assert index in said[0].split(), said[0]
    assert not any(walks(plan) for plan in plans(ledger, lambda conn: jobs.find(conn, "a", "me")))


def test_opening_walks_nothing_and_cleaning_reads_the_oldest_from_an_index(ledger: Ledger) -> None:
    open_(ledger, "a", idempotency=("k", "sha"))

    def again(tx: sa.Connection) -> None:
        jobs._open_all(tx, [make_job("b", idempotency=("k", "sha"))], [1])

    for plan in plans(ledger, again):
        assert not walks(plan), plan
        assert "TEMP B-TREE" not in plan


# progress


def test_progress_follows_the_bytes_then_the_seconds_heard_then_the_note(ledger: Ledger) -> None:
    open_(ledger, "a", expected_bytes=1000)
    put(ledger, "a", fetching_since=1.0, received_bytes=500)
    assert (read(ledger, "a").progress, read(ledger, "a").stages["download"]) == (5, 50)
    key = recordings.accept(ledger, "a", make_recording(), 1, 7200.0).key
    assert read(ledger, "a").progress == 10
    claim_keys(ledger, [key], "run")
    with leases.Heartbeat(ledger, "run", 60) as heart:
        heart.reached(key, 3600.0)
        heart.beat()
    half = read(ledger, "a")
    assert (half.status, half.progress) == ("transcribing", 45)
    assert half.stages == {"download": 100, "transcription": 50, "notes": 0}
    with ledger.writing() as tx:
        tx.execute(work.update().values(done_s=7200.0))
    assert read(ledger, "a").stages["transcription"] == 99, "heard is not committed"


@pytest.mark.parametrize(("status", "progress"), [("completed", 100), ("degraded", 100), ("failed", 10)])
def test_only_what_ended_well_is_at_a_hundred(ledger: Ledger, status: str, progress: int) -> None:
    open_(ledger, "a")
    recordings.accept(ledger, "a", make_recording(), 1, 60.0)
    put(ledger, "a", status=status, ended_at=1.0)
    assert read(ledger, "a").progress == progress


def test_what_was_refused_was_never_here(ledger: Ledger) -> None:
    open_(ledger, "a")
    submissions.refuse(ledger, "a", "audio_empty", "a.mp3 holds no audio.")
    job = read(ledger, "a")
    assert (job.status, job.reason_code, job.progress) == ("failed", "audio_empty", 0)
