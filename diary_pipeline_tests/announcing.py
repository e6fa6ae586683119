"""The three ways in which uploads into a bucket come to be known, for tests that hold them to the same promises.

Each is real but for the bucket: GCS's stand-in, a Redis server, Google's emulator of Pub/Sub.
"""

import dataclasses
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from diary_pipeline.intake.addresses import Guard
from diary_pipeline.intake.bucket_scan import BucketScan
from diary_pipeline.intake.buckets import WatchedBucket
from diary_pipeline.intake.fetch_http import HttpFetcher
from diary_pipeline.intake.guarded_http import GuardedHttp
from diary_pipeline.intake.listen import Heard, listen
from diary_pipeline.intake.queues.messages import Admission
from diary_pipeline.intake.queues.protocol import Message, UploadNotifications
from diary_pipeline.intake.queues.pubsub import PubSubQueue
from diary_pipeline.intake.queues.redis_streams import RedisQueue
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline_tests.gcs_server import GcsServer
from diary_pipeline_tests.pubsub_emulator import PROJECT, PubSubEmulator

RULE = WatchedBucket("voice-memos", "anna/", owner="anna", language="de", tags=("phone",))
WEB = HttpFetcher(GuardedHttp(Guard(), connect_s=5, idle_s=5))
ADMISSION = Admission("me", ("tiny.en", "base"), (RULE,), {"https": WEB, "http": WEB}, "gs://our-own/diary")


class Way(Protocol):
    """One way for announcements."""

    bucket: str

    def announce(self, *names: str) -> None:
        """Let objects be written below `anna/`, and be told of as this way tells."""

    def look(self, ledger: Ledger, most: int = 1000) -> int:
        """Look once; return how many submissions are new."""

    def look_and_die(self, ledger: Ledger, most: int = 1000) -> None:
        """Look once, and be killed after the commit and before anything else."""


class Killed(BaseException):
    """Stands for SIGKILL inside a process that goes on: nobody handles it."""


class Through:
    """A queue of which single verbs do something else first."""

    def __init__(self, queue: UploadNotifications, **first: Callable[[Any], None]) -> None:
        self._queue, self._first = queue, first

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._queue, name)
        if name not in self._first:
            return verb

        def both(*arguments: Any) -> Any:
            self._first[name](arguments[0])
            return verb(*arguments)

        return both


class QueueWay:
    """A queue: what is told of an object there."""

    bucket = RULE.bucket

    def __init__(self, queue: UploadNotifications, send: Callable[..., None]) -> None:
        self.queue = queue
        self.send = send
        """Sends messages: a body and attributes each."""
        self._generations = itertools.count(1_700_000_000_000_001)

    def announce(self, *names: str) -> None:
        self.send(*(notification(name, next(self._generations)) for name in names))

    def again(self, name: str) -> None:
        """Tell the same twice."""
        told = notification(name, next(self._generations))
        self.send(told, told)

    def look(self, ledger: Ledger, most: int = 1000) -> int:
        return self.hear(ledger, most).new

    def hear(self, ledger: Ledger, most: int = 1000, **changed: Callable[[Any], None]) -> Heard:
        queue = Through(self.queue, **changed) if changed else self.queue
        return listen(ledger, queue, ADMISSION, budget_s=60, max_messages=most, wait_s=5)  # type: ignore[arg-type]

    def look_and_die(self, ledger: Ledger, most: int = 1000) -> None:
        def die(messages: Sequence[Message]) -> None:
            self.queue.later(messages)  # as their deadline would, which nobody waits for here
            raise Killed

        try:
            self.hear(ledger, most, ack=die)
        except Killed:
            return


class ListingWay:
    """No queue: the bucket is listed."""

    def __init__(self, gcs: GcsServer) -> None:
        self.gcs = gcs
        self.bucket = gcs.bucket()
        self.rule = dataclasses.replace(RULE, bucket=self.bucket)

    def announce(self, *names: str) -> None:
        for name in names:
            self.gcs.write(self.bucket, f"anna/{name}", b"sound of " + name.encode())

    def look(self, ledger: Ledger, most: int = 1000) -> int:
        return self.scan(ledger).look(60, 1).new

    def scan(self, ledger: Ledger, **changed: Any) -> BucketScan:
        return BucketScan(ledger, (self.rule,), **{"rest_s": 0, **changed})  # type: ignore[arg-type]

    def look_and_die(self, ledger: Ledger, most: int = 1000) -> None:
        class Dying:
            """A ledger whose second commit, which moves the cursor, never comes."""

            def __getattr__(self, name: str) -> Any:
                return getattr(ledger, name)

            def write(self, verb: Any) -> Any:
                if verb.__name__ == "move":
                    raise Killed
                return ledger.write(verb)

        try:
            self.look(Dying(), most)  # type: ignore[arg-type]
        except Killed:
            return


def notification(
    name: str, generation: int, event: str = "OBJECT_FINALIZE", bucket: str = RULE.bucket, folder: str = "anna/"
) -> tuple[bytes, Mapping[str, str]]:
    """Say what GCS says of an object."""
    payload = {"kind": "storage#object", "bucket": bucket, "name": folder + name, "generation": str(generation)}
    said = {"eventType": event, "payloadFormat": "JSON_API_V1", "bucketId": bucket, "objectId": folder + name}
    return json.dumps(payload).encode(), {**said, "objectGeneration": str(generation)}


def own(**said: object) -> tuple[bytes, Mapping[str, str]]:
    """Make a message of our own kind."""
    return json.dumps(said).encode(), {}


def redis_way(url: str, again_after_s: float = 0.0) -> QueueWay:
    """Give a Redis stream."""
    import redis

    queue = RedisQueue(url, "diary:uploads", "diary", again_after_s=again_after_s)

    def send(*messages: tuple[bytes, Mapping[str, str]]) -> None:
        with redis.Redis.from_url(url) as client, client.pipeline() as all_at_once:
            for body, attributes in messages:
                all_at_once.xadd("diary:uploads", {"message": body, **attributes})
            all_at_once.execute()

    return QueueWay(queue, send)


def pubsub_way(emulator: PubSubEmulator, *, counts: bool = True, again_after_s: float = 0.0) -> QueueWay:
    """Give a new subscription."""
    name = emulator.subscription(counts=counts)
    queue = PubSubQueue(PROJECT, name, f"{name}-dead", again_after_s=again_after_s)
    way = QueueWay(queue, lambda *messages: emulator.publish(name, *messages))
    way.name = name  # type: ignore[attr-defined]
    return way
