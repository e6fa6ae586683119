"""Many uploads through one way in, while workers and what is between them and the sender are killed.

Workers are real processes of one deployment; they look for arrivals and take some of them in, as `diary watch` and the
`uploads` tick do. The sender is here: it goes on until each upload was taken from it, and tells again what it is not
sure of. What surprises: Google's emulator forgets everything when it is killed, so there the bucket's listing has to
find what the queue has lost.
"""

import json
import multiprocessing
import os
import random
import time
import wave
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from diary_pipeline.core.errors import DiaryError
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.tables import recordings, submissions
from diary_pipeline.settings import load_settings
from diary_pipeline.wiring.deployment import Wiring
from diary_pipeline_tests.gcs_server import GcsServer
from diary_pipeline_tests.pubsub_emulator import PROJECT, PubSubEmulator
from diary_pipeline_tests.servers import Redis

Kind = Literal["none", "redis", "pubsub"]
PROCESSES = multiprocessing.get_context("forkserver")
WORKERS = 2
STREAM = "diary:uploads"
ROUNDS = 10
LIVES_S = (0.1, 0.8)
"""How long workers are left to their work before one of them is killed."""
PATIENCE_S = 120.0  # never waited out where it works


@dataclass
class Count:
    """What came of it."""

    uploads: int = 0
    kills_of_workers: int = 0
    kills_of_the_queue: int = 0
    rows: int = 0
    doubled: int = 0
    """Uploads with more than one submission."""
    lost: int = 0
    """Uploads with none."""
    recordings: int = 0
    pending: int = 0
    refused: int = 0
    left: int = -1
    """Messages that the queue still holds."""
    seconds: float = 0.0


@dataclass
class Site:
    """One deployment, and how its uploads are sent."""

    kind: Kind
    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def wiring(self) -> Wiring:
        """Open the deployment, in whatever process this is."""
        os.environ.update({k: v for k, v in self.environment.items() if not k.startswith("DIARY_")})
        return Wiring(load_settings({k: v for k, v in self.environment.items() if k.startswith("DIARY_")}))


def sounds(folder: Path, n: int) -> list[Path]:
    """Write so many short files, each of its own content."""
    folder.mkdir(parents=True)
    noise = random.Random(1)
    made = []
    for number in range(n):
        path = folder / f"memo {number:05}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(noise.randbytes(8000))
        made.append(path)
    return made


def trial(
    site: Site, uploads: list[str], send: Callable[[list[str]], None], kill_queue: Callable[[], None] | None, seed: int
) -> Count:
    """Send all uploads in rounds, kill at random moments, wait until each has a row, and count."""
    PROCESSES.set_forkserver_preload([__name__])
    begun, chance = time.monotonic(), random.Random(seed)
    count = Count(uploads=len(uploads))
    settings = site.wiring().settings
    settings.drop_dir.mkdir(parents=True)
    ledger = open_ledger(settings.ledger_url)
    running = [_start(site) for _ in range(WORKERS)]
    size = -(-len(uploads) // ROUNDS)
    for n in range(ROUNDS):
        send(uploads[n * size : (n + 1) * size])
        victim = chance.randrange(WORKERS)
        running[victim].join(chance.uniform(*LIVES_S))
        if kill_queue and n % 4 == 2:
            kill_queue()
            count.kills_of_the_queue += 1
        running[victim].kill()
        running[victim].join()
        running[victim] = _start(site)
        count.kills_of_workers += 1
    until = time.monotonic() + PATIENCE_S
    while len(_addresses(ledger)) < len(uploads) and time.monotonic() < until:
        running[0].join(0.5)
        assert all(process.is_alive() for process in running), "a worker ended by itself"
    for process in running:
        process.terminate()  # so that what is being acknowledged is
        process.join()
    _judge(site, ledger, uploads, count)
    ledger.close()
    count.seconds = time.monotonic() - begun
    return count


def _start(site: Site) -> ForkServerProcess:
    process = PROCESSES.Process(target=_work_for_ever, args=(site,), daemon=True)
    process.start()
    return process


def _work_for_ever(site: Site) -> None:
    import signal

    over: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(1))
    wiring = site.wiring()
    while not over:
        # SQLite may let a writer starve for its 30 s where processors are scarce: a tick of Dagster's fails then too.
        with suppress(DiaryError, sa.exc.OperationalError):
            wiring.arrivals.look(wait_s=0.2)
            wiring.intake.work(0.3, 20)
    wiring.intake.stop()
    os._exit(0)  # threads of the SDKs would be waited for


def _addresses(ledger: Ledger) -> set[str]:
    with ledger.reading() as conn:
        return {uri.partition("#")[0] for uri in conn.execute(sa.select(submissions.c.uri)).scalars()}


def _judge(site: Site, ledger: Ledger, uploads: list[str], count: Count) -> None:
    with ledger.reading() as conn:
        rows = conn.execute(sa.select(submissions.c.uri, submissions.c.status, submissions.c.recording_key)).all()
        count.recordings = int(conn.execute(sa.select(sa.func.count()).select_from(recordings)).scalar_one())
    told = [row.uri.partition("#")[0] for row in rows]
    count.rows, count.doubled = len(rows), len(rows) - len(set(told))
    count.lost = len(set(uploads) - set(told))
    count.pending = sum(row.status == "pending" and row.recording_key is None for row in rows)
    count.refused = sum(row.status == "refused" for row in rows)
    queue = site.wiring().notifications
    if queue is None:
        count.left = 0
    else:
        # Duplicates of what is known may still be there; whoever takes them adds no row.
        count.left = 0
        while messages := queue.pull(1000, 1.0):
            count.left += len(messages)
            queue.ack(messages)
        queue.close()


def through_redis(site: Site, server: Redis) -> tuple[Callable[[list[str]], None], Callable[[], None]]:
    """Say how uploads are sent to a stream, and how its server is killed."""
    site.environment |= {"DIARY_UPLOAD_QUEUE": "redis", "DIARY_REDIS_URL": server.url}

    def send(uris: list[str]) -> None:
        import redis

        with redis.Redis.from_url(server.url) as client:
            for uri in uris:
                said = json.dumps({"uri": uri, "id": uri})
                client.xadd(STREAM, {"message": said})
            for uri in uris[::10]:  # whoever got no answer sends again
                client.xadd(STREAM, {"message": json.dumps({"uri": uri, "id": uri})})

    def kill() -> None:
        server.kill()
        server.start()

    return send, kill


def through_bucket(site: Site, gcs: GcsServer, sound_of: Mapping[str, bytes]) -> Callable[[list[str]], None]:
    """Say how uploads are written into a watched bucket."""
    bucket = gcs.bucket()
    config = site.root / "diary.toml"
    config.write_text(f'[[buckets]]\nurl = "gs://{bucket}/"\n')
    site.environment |= {"DIARY_CONFIG": str(config), "STORAGE_EMULATOR_HOST": gcs.url, "DIARY_BUCKET_REST_S": "1"}
    site.environment |= {"BUCKET": bucket}

    def send(names: list[str]) -> None:
        for name in names:
            gcs.write(bucket, name.partition(f"{bucket}/")[2], sound_of[name.rpartition("/")[2]])

    return send


@contextmanager
def through_pubsub(site: Site, gcs: GcsServer, emulator: PubSubEmulator) -> Iterator[Callable[[], None]]:
    """Let the bucket tell a topic, and say how the emulator is killed; what it held is lost with it."""
    topic = emulator.subscription()
    site.environment |= {
        "PUBSUB_EMULATOR_HOST": emulator.host,
        "DIARY_UPLOAD_QUEUE": "pubsub",
        "DIARY_PUBSUB_PROJECT": PROJECT,
        "DIARY_PUBSUB_SUBSCRIPTION": topic,
        "DIARY_PUBSUB_DEAD_LETTER_TOPIC": f"{topic}-dead",
    }

    def kill() -> None:
        emulator.kill()
        emulator.start()
        emulator.subscription(topic)

    with emulator.telling(topic) as tell:
        gcs.told[site.environment["BUCKET"]] = lambda *said: tell(*said).result(timeout=60)
        yield kill
