"""Google's own Pub/Sub emulator, started by a test session for itself; it keeps everything in memory.

What surprises: a killed one comes back empty, topics and subscriptions included, and numbers messages from 1 again.
"""

import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from diary_pipeline_tests.servers import free_port, missing_server

JARS = "platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar"
PROJECT = "diary-tests"


@dataclass
class PubSubEmulator:
    """A running emulator, its topics and its subscriptions."""

    java: str
    jar: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """What PUBSUB_EMULATOR_HOST must say for the SDK to find it."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, or start it again on the same port, empty; return once it answers."""
        command = [self.java, "-Xmx256m", "-XX:TieredStopAtLevel=1", "-jar", str(self.jar)]
        said = subprocess.DEVNULL
        self.process = subprocess.Popen(
            [*command, "--host=127.0.0.1", f"--port={self.port}"], stdin=said, stdout=said, stderr=said
        )
        import grpc

        with grpc.insecure_channel(self.host) as channel:
            grpc.channel_ready_future(channel).result(timeout=60)

    def kill(self) -> None:
        """Kill it; what it held is lost."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def subscription(self, name: str | None = None, *, counts: bool = True) -> str:
        """Make a topic, a subscription and a topic of dead letters with one; return the name that they begin with.

        `counts`: deliveries are counted, because the subscription has a dead-letter policy of its own.
        """
        name = name or f"t-{uuid.uuid4().hex[:8]}"
        with self.clients() as (publisher, subscriber):
            for topic in (name, f"{name}-dead", f"{name}-policy"):
                publisher.create_topic(name=publisher.topic_path(PROJECT, topic))
            policy = {
                "dead_letter_topic": publisher.topic_path(PROJECT, f"{name}-policy"),
                "max_delivery_attempts": 100,
            }
            for topic, more in ((name, {"dead_letter_policy": policy} if counts else {}), (f"{name}-dead", {})):
                request = {
                    "name": subscriber.subscription_path(PROJECT, topic),
                    "topic": publisher.topic_path(PROJECT, topic),
                    "ack_deadline_seconds": 10,
                    **more,
                }
                subscriber.create_subscription(request=request)
        return name

    def publish(self, topic: str, *messages: tuple[bytes, Mapping[str, str]]) -> None:
        """Publish messages, durable as far as the emulator goes."""
        with self.clients() as (publisher, _):
            path = publisher.topic_path(PROJECT, topic)
            for sent in [publisher.publish(path, body, **attributes) for body, attributes in messages]:
                sent.result(timeout=30)

    @contextmanager
    def telling(self, topic: str) -> Iterator[Callable[[bytes, Mapping[str, str]], Any]]:
        """Give what publishes a message over one connection for all, and returns the SDK's future of it."""
        with self.clients() as (publisher, _):
            path = publisher.topic_path(PROJECT, topic)
            yield lambda body, attributes: publisher.publish(path, body, **attributes)

    def left(self, subscription: str) -> list[tuple[bytes, dict[str, str]]]:
        """Take and acknowledge what a subscription would hand out now."""
        from google.api_core.exceptions import DeadlineExceeded

        found: list[tuple[bytes, dict[str, str]]] = []
        with self.clients() as (_, subscriber):
            path = subscriber.subscription_path(PROJECT, subscription)
            while True:
                try:
                    got = subscriber.pull(subscription=path, max_messages=1000, timeout=1, retry=None).received_messages
                except DeadlineExceeded:
                    return found
                if not got:
                    return found
                subscriber.acknowledge(subscription=path, ack_ids=[one.ack_id for one in got])
                found += [(one.message.data, dict(one.message.attributes)) for one in got]

    @contextmanager
    def clients(self) -> Iterator[tuple[Any, Any]]:
        """Give a publisher and a subscriber; the SDK must have been told the host."""
        from google.cloud import pubsub_v1

        with pubsub_v1.PublisherClient() as publisher, pubsub_v1.SubscriberClient() as subscriber:
            yield publisher, subscriber


@contextmanager
def pubsub_emulator() -> Iterator[PubSubEmulator]:
    """Start an emulator on a free port; skip where none is installed."""
    java, jar = shutil.which("java"), _jar()
    if java is None or jar is None:
        # Skipped even where servers must be there: no package index and no Debian mirror has it.
        pytest.skip("no Pub/Sub emulator (java, google-cloud-cli-pubsub-emulator) is installed")
    try:
        import google.cloud.pubsub_v1  # noqa: F401
    except ModuleNotFoundError:
        missing_server("the Python package google-cloud-pubsub is not installed")
    emulator = PubSubEmulator(java, jar, free_port())
    try:
        emulator.start()
        yield emulator
    finally:
        emulator.kill()


def _jar() -> Path | None:
    gcloud = shutil.which("gcloud")
    roots = [Path(gcloud).resolve().parent.parent] if gcloud else []
    found = [jar for root in (*roots, Path("/usr/lib/google-cloud-sdk")) for jar in sorted(root.glob(JARS))]
    return found[-1] if found else None
