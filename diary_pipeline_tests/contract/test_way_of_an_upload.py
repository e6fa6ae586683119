"""The whole way of an upload: bucket, topic, subscription, submission, recording; as a deployment is configured."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.tables import submissions as table
from diary_pipeline.settings import load_settings
from diary_pipeline.wiring.deployment import Wiring
from diary_pipeline_tests.builders import speech_like, write_audio
from diary_pipeline_tests.gcs_server import GcsServer
from diary_pipeline_tests.pubsub_emulator import PROJECT, PubSubEmulator


@pytest.fixture
def wiring(gcs: GcsServer, pubsub: PubSubEmulator, tmp_path: Path) -> Wiring:
    """A deployment that a bucket tells of its objects."""
    bucket, topic = gcs.bucket(), pubsub.subscription()
    gcs.told[bucket] = lambda body, attributes: pubsub.publish(topic, (body, attributes))
    config = tmp_path / "diary.toml"
    config.write_text(f'[[buckets]]\nurl = "gs://{bucket}/anna/"\nowner = "anna"\ntags = ["phone"]\n')
    return Wiring(
        load_settings(
            {
                "DIARY_HOME": str(tmp_path / "home"),
                "DIARY_CONFIG": str(config),
                "DIARY_UPLOAD_QUEUE": "pubsub",
                "DIARY_PUBSUB_PROJECT": PROJECT,
                "DIARY_PUBSUB_SUBSCRIPTION": topic,
                "DIARY_PUBSUB_DEAD_LETTER_TOPIC": f"{topic}-dead",
                "DIARY_BUCKET_REST_S": "0",
            }
        )
    )


def test_an_upload_into_a_bucket_becomes_one_recording(gcs: GcsServer, wiring: Wiring, tmp_path: Path) -> None:
    (rule,) = wiring.settings.buckets
    sound = write_audio(tmp_path / "memo.wav", speech_like(1.0)).read_bytes()
    gcs.write(rule.bucket, "anna/2026-05-01 21.30.wav", sound)
    assert wiring.arrivals.look(wait_s=5).new == 1, "told by the queue"
    assert wiring.arrivals.look().new == 0, "and found by listing as what it is"
    report = wiring.intake.work(30, 10)
    while not report.accepted and report.fetching:
        report = wiring.intake.work(30, 10)
    assert report.accepted == 1
    with wiring.ledger.reading() as conn:
        (key,) = conn.execute(sa.select(table.c.recording_key)).scalars()
        recording = recordings.get(conn, key)
    assert (recording.owner, recording.tags, recording.file_name) == ("anna", ("phone",), "2026-05-01 21.30.wav")
    assert wiring.store.get(recording.object_key) == sound, "a copy of ours: the bucket may lose its own"
    assert list(gcs.buckets[rule.bucket]) == ["anna/2026-05-01 21.30.wav"], "nothing else was written there"
    wiring.notifications.close()  # type: ignore[union-attr]
    wiring.ledger.close()
