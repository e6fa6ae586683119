"""Those who hand in recordings while what takes them is killed: by the job API, a Redis stream, or a bucket.

Each knows of every upload whether it was taken: by an answer of 202, by Redis, by the bucket. What surprises: whoever
sends to the API without an `Idempotency-Key` and gets no answer cannot know, and must not send again; those are
`unsure`, and the books allow them one submission or none.
"""

import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import httpx

AT_ONCE = 4
PAUSE_S = 0.2
"""Before a sender asks again."""
STREAM = "diary:uploads"
TENTH = 10


@dataclass
class Sent:
    """One upload, and what its sender knows of it."""

    path: Path
    state: Literal["new", "accepted", "unsure"] = "new"
    job_id: str = ""
    """What the API called it; empty: it came by another way."""


Send = Callable[[int, Sent], None]


def send_all(uploads: Sequence[Sent], send: Send, within_s: float) -> None:
    """Send all, spread over so many seconds; returns when each was taken, or is unsure."""
    began = time.monotonic()
    over = threading.Event()

    def at_its_time(numbered: tuple[int, Sent]) -> None:
        number, sent = numbered
        over.wait(max(0.0, began + within_s * number / len(uploads) - time.monotonic()))
        send(number, sent)

    with ThreadPoolExecutor(AT_ONCE) as senders:
        list(senders.map(at_its_time, enumerate(uploads)))


def by_api(replicas: Sequence[str]) -> Send:
    """Send to any replica, as a form or as the body; two of four have a key, and are sent until there is an answer."""
    client = httpx.Client(timeout=60)

    def send(number: int, sent: Sent) -> None:
        has_key = number // 2 % 2 == 0
        headers = {"Idempotency-Key": sent.path.name.replace(" ", "-")} if has_key else {}
        while True:
            url = random.choice(replicas)
            try:
                answer = _ask(client, url, sent.path, headers, as_form=number % 2 == 0)
            except httpx.ConnectError:  # nobody was there: nothing was sent
                time.sleep(PAUSE_S)
                continue
            except httpx.TransportError:
                if not has_key:
                    sent.state = "unsure"
                    return
                continue
            if answer.status_code == 202:
                sent.state, sent.job_id = "accepted", answer.json()["job_id"]
                return
            assert answer.status_code >= 500, answer.text
            if not has_key:
                sent.state = "unsure"
                return
            time.sleep(PAUSE_S)

    return send


def _ask(client: httpx.Client, url: str, path: Path, headers: dict[str, str], *, as_form: bool) -> httpx.Response:
    data = path.read_bytes()
    if as_form:
        return client.post(f"{url}/jobs", files={"file": (path.name, data)}, headers=headers)
    return client.put(f"{url}/jobs/upload", params={"filename": path.name}, content=data, headers=headers)


def by_redis(url: str, web: str) -> Send:
    """Add a message to the stream, of a file here or of an address in turn, until Redis has said that it has it."""
    import redis

    client = redis.Redis.from_url(url)

    def send(number: int, sent: Sent) -> None:
        uri = f"{web}/{quote(sent.path.name)}" if number % 2 else sent.path.as_uri()
        message = json.dumps({"uri": uri, "id": sent.path.name})
        while sent.state != "accepted":
            try:
                client.xadd(STREAM, {"message": message})
                sent.state = "accepted"
            except redis.RedisError:
                time.sleep(PAUSE_S)

    return send


def by_bucket(write: Callable[[str, bytes], object]) -> Send:
    """Write an object into a watched bucket."""

    def send(_: int, sent: Sent) -> None:
        write(sent.path.name, sent.path.read_bytes())
        sent.state = "accepted"

    return send


def mostly(usual: Send, other: Send) -> Send:
    """Send every tenth the other way."""
    return lambda number, sent: usual(number, sent) if number % TENTH else other(number // TENTH, sent)
