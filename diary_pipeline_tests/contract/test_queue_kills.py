"""Uploads by each way in, with kills of workers and of the queue: each is one submission in the end.

A few hundred: `benchmarks/ways_in_kills.py` does thousands, with the API, daemons and runs.
"""

from pathlib import Path

import pytest

from diary_pipeline.intake.names import uri_of
from diary_pipeline_tests.gcs_server import GcsServer
from diary_pipeline_tests.pubsub_emulator import pubsub_emulator
from diary_pipeline_tests.queue_kills import Count, Site, sounds, through_bucket, through_pubsub, through_redis, trial
from diary_pipeline_tests.servers import redis_server

UPLOADS = 300
pytestmark = pytest.mark.trial


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A deployment on SQLite."""
    said = {"DIARY_HOME": str(tmp_path / "home"), "DIARY_QUEUE_AGAIN_S": "3", "DIARY_QUEUE_MAX_MESSAGES": "300"}
    return Site("none", tmp_path, said)


def balanced(count: Count) -> None:
    """Hold what came of it to what was sent."""
    print(count)
    assert (count.rows, count.lost, count.doubled, count.refused) == (count.uploads, 0, 0, 0)
    assert count.recordings + count.pending == count.uploads


def test_uploads_told_by_redis_are_each_submitted_once(site: Site, tmp_path: Path) -> None:
    uris = [uri_of(path) for path in sounds(tmp_path / "sounds", UPLOADS)]
    with redis_server() as server:
        send, kill = through_redis(site, server)
        count = trial(site, uris, send, kill, seed=1)
    assert count.kills_of_the_queue
    balanced(count)


@pytest.mark.parametrize("kind", ["none", "pubsub"])
def test_uploads_into_a_bucket_are_each_submitted_once(
    site: Site, gcs: GcsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    sound_of = {path.name: path.read_bytes() for path in sounds(tmp_path / "sounds", UPLOADS)}
    send = through_bucket(site, gcs, sound_of)
    names = [f"gs://{site.environment['BUCKET']}/{name}" for name in sound_of]
    if kind == "none":
        balanced(trial(site, names, send, None, seed=2))
        return
    with pubsub_emulator() as emulator:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.host)
        with through_pubsub(site, gcs, emulator) as kill:
            count = trial(site, names, send, kill, seed=3)
    assert count.kills_of_the_queue
    balanced(count)
