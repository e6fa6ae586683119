"""The ways between senders and a deployment that is to be killed: none, Redis, or a bucket that tells Pub/Sub.

Each gives what sends, what kills the queue and starts it again, and the settings of the deployment. What surprises:
Google's emulator forgets everything when it is killed, the notifications that it had taken included, so the listing of
the bucket has to find what that queue has lost.
"""

import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

from benchmarks.ways_in_senders import Send, by_bucket, by_redis, mostly
from diary_pipeline_tests.gcs_server import gcs_server
from diary_pipeline_tests.pubsub_emulator import PROJECT, pubsub_emulator
from diary_pipeline_tests.servers import redis_server

Kill = Callable[[], None]


def way(kind: str, folder: Path, api: Send, held: ExitStack) -> tuple[Send, Kill | None, dict[str, str]]:
    """Give what sends, what kills the queue, and the settings of a deployment that is announced to that way."""
    if kind == "none":
        return api, None, {}
    if kind == "redis":
        server = held.enter_context(redis_server())
        web = held.enter_context(_served(folder / "sounds"))

        def kill() -> None:
            server.kill()
            server.start()

        host, port = web.removeprefix("http://"), web.rpartition(":")[2]
        fetching = {"DIARY_FETCH_HOSTS": host, "DIARY_FETCH_PORTS": port}
        queue = {"DIARY_UPLOAD_QUEUE": "redis", "DIARY_REDIS_URL": server.url}
        return mostly(by_redis(server.url, web), api), kill, {**fetching, **queue}
    return _way_of_a_bucket(folder, api, held)


def _way_of_a_bucket(folder: Path, api: Send, held: ExitStack) -> tuple[Send, Kill, dict[str, str]]:
    gcs = held.enter_context(gcs_server())
    emulator = held.enter_context(pubsub_emulator())
    bucket = gcs.bucket()
    config = folder / "diary.toml"
    config.write_text(f'[[buckets]]\nurl = "gs://{bucket}/"\n')
    held.enter_context(mock.patch.dict(os.environ, {"PUBSUB_EMULATOR_HOST": emulator.host}))
    topic = emulator.subscription()
    gcs.told[bucket] = held.enter_context(emulator.telling(topic))  # a bucket does not wait for an answer

    def kill() -> None:
        emulator.kill()
        emulator.start()
        emulator.subscription(topic)

    said = {
        "DIARY_CONFIG": str(config),
        "DIARY_UPLOAD_QUEUE": "pubsub",
        "DIARY_PUBSUB_PROJECT": PROJECT,
        "DIARY_PUBSUB_SUBSCRIPTION": topic,
        "DIARY_PUBSUB_DEAD_LETTER_TOPIC": f"{topic}-dead",
        "STORAGE_EMULATOR_HOST": gcs.url,
        "PUBSUB_EMULATOR_HOST": emulator.host,
    }
    return mostly(by_bucket(functools.partial(gcs.write, bucket)), api), kill, said


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """Serve a folder over HTTP on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
