"""Uploads become known by a queue or by a listing: told at least once, submitted exactly once, none lost in silence."""

import threading
from collections.abc import Callable, Iterator

import pytest
import redis
import sqlalchemy as sa

from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.intake.listen import listen
from diary_pipeline.intake.queues.protocol import MOST_DELIVERIES
from diary_pipeline.intake.queues.pubsub import PubSubQueue
from diary_pipeline.intake.queues.redis_streams import RedisQueue
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.submissions import Submission, get
from diary_pipeline.ledger.tables import submissions as table
from diary_pipeline_tests.announcing import (
    ADMISSION,
    ListingWay,
    QueueWay,
    Through,
    Way,
    notification,
    own,
    pubsub_way,
    redis_way,
)
from diary_pipeline_tests.new_ledgers import NewLedgers
from diary_pipeline_tests.pubsub_emulator import PROJECT, PubSubEmulator, pubsub_emulator
from diary_pipeline_tests.servers import free_port, redis_server

QUEUES = ["redis", "pubsub"]


@pytest.fixture
def ledger(tmp_path: object, new_ledgers: NewLedgers) -> Iterator[Ledger]:
    """A ledger on SQLite: what a job's row promises is held on both databases elsewhere."""
    url = f"sqlite:///{tmp_path}/ledger/ledger.db"
    new_ledgers.on_sqlite(url)
    opened = open_ledger(url)
    yield opened
    opened.close()


@pytest.fixture
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    """One way for announcements."""
    if request.param == "none":
        yield ListingWay(request.getfixturevalue("gcs"))
        return
    made = (
        redis_way(request.getfixturevalue("redis_url"))
        if request.param == "redis"
        else pubsub_way(request.getfixturevalue("pubsub"))
    )
    yield made
    made.queue.close()


all_ways = pytest.mark.parametrize("way", ["none", *QUEUES], indirect=True)
queues = pytest.mark.parametrize("way", QUEUES, indirect=True)


def rows(ledger: Ledger) -> list[Submission]:
    """Return all submissions, by file name."""
    with ledger.reading() as conn:
        return get(conn, list(conn.execute(sa.select(table.c.id).order_by(table.c.file_name)).scalars()))


@all_ways
def test_an_upload_becomes_a_submission_with_what_its_bucket_says(way: Way, ledger: Ledger) -> None:
    way.announce("mit dem Rad #3.m4a")
    assert way.look(ledger, 1) == 1
    (row,) = rows(ledger)
    assert row.uri.startswith(f"gs://{way.bucket}/anna/mit dem Rad #3.m4a#1700000000")
    assert (row.owner, row.source, row.file_name, row.priority) == ("anna", "bucket", "mit dem Rad #3.m4a", 1)
    assert row.options == {"language": "de", "tags": ["phone"]}


@all_ways
def test_an_object_that_is_written_anew_is_another_submission(way: Way, ledger: Ledger) -> None:
    way.announce("a.m4a")
    way.look(ledger, 1)
    way.announce("a.m4a")
    assert way.look(ledger, 1) == 1
    assert len({row.uri for row in rows(ledger)}) == 2


@all_ways
def test_a_worker_killed_between_commit_and_acknowledgement_costs_nothing(way: Way, ledger: Ledger) -> None:
    way.announce("a.m4a", "b.m4a")
    way.look_and_die(ledger, 2)
    assert len(rows(ledger)) == 2
    way.announce("c.m4a")
    assert way.look(ledger, 3) == 1
    assert [row.file_name for row in rows(ledger)] == ["a.m4a", "b.m4a", "c.m4a"]


@queues
def test_what_does_not_fit_into_one_look_is_left_for_the_next(way: QueueWay, ledger: Ledger) -> None:
    way.announce(*(f"{n}.m4a" for n in range(5)))
    assert [way.look(ledger, 2), way.look(ledger, 2), way.look(ledger, 2)] == [2, 2, 1]
    assert len(rows(ledger)) == 5


@all_ways
def test_folders_and_files_that_are_no_recordings_are_passed_over(way: Way, ledger: Ledger) -> None:
    way.announce("folder/", "notes.txt", ".hidden.m4a", "a.m4a.json", "deep/er/a.m4a")
    assert way.look(ledger, 5) == 1
    assert [row.file_name for row in rows(ledger)] == ["a.m4a"]


@queues
def test_what_is_told_twice_is_one_submission(way: QueueWay, ledger: Ledger) -> None:
    way.again("a.m4a")
    heard = way.hear(ledger, 2)
    assert (heard.new, heard.known) == (1, 1)
    for _ in range(2):
        way.send(own(uri="https://example.org/b.m4a", id="app-1"), own(uri="https://example.org/b.m4a", id="app-1"))
        way.hear(ledger, 2)
    assert [row.file_name for row in rows(ledger)] == ["a.m4a", "b.m4a"]


@queues
def test_other_events_and_acknowledged_messages_do_not_come_again(way: QueueWay, ledger: Ledger) -> None:
    way.send(*(notification("a.m4a", 1, event) for event in ("OBJECT_DELETE", "OBJECT_ARCHIVE", "OBJECT_FINALIZE")))
    heard = way.hear(ledger, 3)
    assert (heard.new, heard.ignored) == (1, 2)
    assert way.queue.pull(10) == []


@queues
def test_what_cannot_be_understood_is_tried_again_and_then_kept_with_the_reason(
    way: QueueWay, ledger: Ledger, request: pytest.FixtureRequest
) -> None:
    way.send((b"not JSON", {}), notification("a.m4a", 1, bucket="unheard-of"), notification("b.m4a", 2))
    first = way.hear(ledger, 3)
    assert (first.new, first.later, first.buried) == (1, 2, 0), "the good one does not wait for the others"
    heard = [way.hear(ledger, 2) for _ in range(MOST_DELIVERIES - 1)]
    assert [one.later for one in heard] == [2, 2, 2, 0]
    assert heard[-1].buried == 2
    assert way.queue.pull(10) == []
    dead = dead_letters(way, request)
    assert sorted((body, said["dead_code"]) for body, said in dead) == [
        (b"not JSON", "message_invalid"),
        (notification("a.m4a", 1, bucket="unheard-of")[0], "bucket_unknown"),
    ]
    assert all("DIARY_CONFIG" in said["dead_reason"] or "JSON" in said["dead_reason"] for _, said in dead)
    assert [said["objectId"] for _, said in dead if "objectId" in said] == ["anna/a.m4a"], "to be sent again as it was"


def dead_letters(way: QueueWay, request: pytest.FixtureRequest) -> list[tuple[bytes, dict[str, str]]]:
    """Return what lies among the dead letters of a queue."""
    if isinstance(way.queue, PubSubQueue):
        emulator: PubSubEmulator = request.getfixturevalue("pubsub")
        return emulator.left(f"{way.name}-dead")  # type: ignore[attr-defined]
    with redis.Redis.from_url(request.getfixturevalue("redis_url")) as client:
        entries = client.xrange("diary:uploads:dead")
    found = [{name.decode(): value for name, value in fields.items()} for _, fields in entries]
    return [(one.pop("message"), {name: value.decode() for name, value in one.items()}) for one in found]


def test_where_nobody_counts_deliveries_what_cannot_be_understood_is_kept_at_once(
    pubsub: PubSubEmulator, ledger: Ledger
) -> None:
    way = pubsub_way(pubsub, counts=False)
    way.send((b"[]", {}))
    assert way.hear(ledger, 1).buried == 1
    assert [body for body, _ in pubsub.left(f"{way.name}-dead")] == [b"[]"]  # type: ignore[attr-defined]
    way.queue.close()


@queues
def test_messages_are_kept_while_the_ledger_is_slow(way: QueueWay, ledger: Ledger) -> None:
    way.announce("a.m4a")
    kept, busy = threading.Event(), threading.Event()

    def hold_the_ledger() -> None:
        with ledger.writing():
            busy.set()
            assert kept.wait(20)

    holder = threading.Thread(target=hold_the_ledger)
    holder.start()
    assert busy.wait(20)
    queue = Through(way.queue, keep=lambda _: kept.set())
    heard = listen(ledger, queue, ADMISSION, budget_s=60, max_messages=1, wait_s=5, keep_every_s=0.01)  # type: ignore[arg-type]
    holder.join()
    assert heard.new == 1
    assert way.queue.pull(1) == []


@queues
def test_two_workers_share_what_is_there(way: QueueWay, ledger: Ledger) -> None:
    way.announce(*(f"{n}.m4a" for n in range(20)))
    heard: list[int] = []
    workers = [threading.Thread(target=lambda: heard.append(way.look(ledger, 20))) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(heard) == len(rows(ledger)) == 20


def test_a_redis_killed_between_pull_and_acknowledgement_loses_nothing(ledger: Ledger) -> None:
    with redis_server() as server:
        way = redis_way(server.url)
        way.announce("a.m4a", "b.m4a")
        with pytest.raises(ServiceMissing, match="cannot be used"):
            way.hear(ledger, ack=lambda _: server.kill())
        assert len(rows(ledger)) == 2
        with pytest.raises(ServiceMissing):
            way.hear(ledger)
        server.start()
        heard = way.hear(ledger)
        assert (heard.new, heard.known) == (0, 2)
        way.announce("c.m4a")
        assert way.look(ledger) == 1
        way.queue.close()


def test_a_redis_that_lost_everything_is_begun_anew(redis_url: str, ledger: Ledger) -> None:
    way = redis_way(redis_url)
    way.announce("a.m4a")
    with redis.Redis.from_url(redis_url) as client:
        way.hear(ledger, ack=lambda _: client.flushall())
    way.announce("b.m4a")
    assert way.look(ledger) == 1
    way.queue.close()


def test_only_what_every_group_has_acknowledged_is_cut_off_the_stream(redis_url: str, ledger: Ledger) -> None:
    way = redis_way(redis_url)
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        way.announce(*(f"{n}.m4a" for n in range(300)))
        client.xgroup_create("diary:uploads", "somebody-else", id="0")
        assert way.look(ledger) == 300
        assert client.xlen("diary:uploads") == 300, "the other group has read nothing"
        read = client.xreadgroup("somebody-else", "x", {"diary:uploads": ">"}, count=300)
        client.xack("diary:uploads", "somebody-else", *(id for id, _ in read[0][1][:200]))
        way.announce("last.m4a")
        way.look(ledger)
        left = [id for id, _ in client.xrange("diary:uploads")]
        assert {id for id, _ in read[0][1][200:]} <= set(left)
        assert len(left) < 300
    way.queue.close()


@pytest.mark.slow
def test_an_emulator_of_pubsub_that_is_started_anew_goes_on(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    with pubsub_emulator() as emulator:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.host)
        way = pubsub_way(emulator)
        way.send(own(uri="https://example.org/a.m4a"))
        with pytest.raises(ServiceMissing):
            way.hear(ledger, 1, ack=lambda _: emulator.kill())
        emulator.start()
        with pytest.raises(ServiceMissing, match="create both"):
            way.hear(ledger, 1)
        emulator.subscription(way.name)  # type: ignore[attr-defined]
        way.send(own(uri="https://example.org/b.m4a"))
        assert way.look(ledger, 1) == 1, "its first message has the number that the lost one had"
        assert [row.file_name for row in rows(ledger)] == ["a.m4a", "b.m4a"]
        way.queue.close()


def nobody_at(port: int) -> RedisQueue:
    return RedisQueue(f"redis://diary:secret@127.0.0.1:{port}/0", "uploads", "diary")


@pytest.mark.parametrize("ask", [lambda queue: queue.pull(1), lambda queue: queue.state()])
def test_a_queue_out_of_reach_says_where_and_tells_no_password(ask: Callable[[RedisQueue], object]) -> None:
    with pytest.raises(ServiceMissing) as missing:
        ask(nobody_at(port := free_port()))
    assert missing.value.code == "queue_unreachable"
    assert f"127.0.0.1:{port}" in missing.value.message
    assert "secret" not in missing.value.message


@queues
def test_a_queue_says_that_it_can_be_used(way: QueueWay, ledger: Ledger) -> None:
    way.announce("a.m4a")
    assert way.queue.name in way.queue.state()


def test_a_subscription_without_its_topic_of_dead_letters_cannot_be_used(pubsub: PubSubEmulator) -> None:
    queue = PubSubQueue(PROJECT, pubsub.subscription(), "no-such-topic")
    with pytest.raises(ServiceMissing, match="no-such-topic"):
        queue.state()
    queue.close()
