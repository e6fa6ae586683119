"""The whole way of recordings with a bucket in place of the object folder: nothing in the house counts on a folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from diary_pipeline.catalogue.read import note_of, transcript_of
from diary_pipeline.storage.gcs import GcsStore
from diary_pipeline_tests.builders import speech_like
from diary_pipeline_tests.defs.house import SAID, House
from diary_pipeline_tests.gcs_server import Fault, GcsServer

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # see `gcs` in conftest.py


@pytest.fixture
def house(gcs: GcsServer, tmp_path: Path) -> Iterator[House]:
    with House(tmp_path / "home", DIARY_BUCKET=f"gs://{gcs.bucket()}/diary") as found:
        yield found


def stored(house: House) -> list[str]:
    """Return what kinds of object lie in the bucket."""
    return [key.partition("/")[0] for key in house.wiring.store.list("")]


def test_recordings_are_stored_heard_noted_and_published(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    cut = house.drop("2026-03-03 cut.wav", speech_like(4.0, pitch_hz=200.0))
    cut.write_bytes(cut.read_bytes()[: int(cut.stat().st_size * 0.55)])
    (house.settings.drop_dir / "2026-03-05 noise.mp3").write_bytes(b"no audio in here, only words" * 40)
    assert all(run.success for run in house.once())
    assert sorted(house.sql("SELECT status, reason_code FROM recordings")) == [
        ("completed", None),
        ("failed", "audio_truncated"),
        ("refused", "audio_unreadable"),
    ]
    key = min(house.keys())
    transcript, note = (read(house.ledger, house.wiring.store, key) for read in (transcript_of, note_of))
    assert transcript is not None and tuple(s.text for s in transcript.speech) == SAID[:1]
    assert note is not None
    assert not house.settings.object_dir.exists()
    assert stored(house).count("audio") == 2
    assert house.once() == []


def test_a_bucket_that_refuses_for_a_while_costs_no_recording(gcs: GcsServer, house: House) -> None:
    house.drop("2026-03-02 river.wav")
    house.wiring.intake.scan(house.settings.folders)
    house.wiring.intake.work(60.0, 10)
    [speech] = house.tick("uploads")
    gcs.faults.append(Fault("POST .*/upload", status=403, times=1))
    assert not house.execute("uploads", speech).success
    house.later_s = 60.0
    for _ in range(3):
        house.once()
    assert house.sql("SELECT status FROM recordings") == [("completed",)]
    assert house.wiring.ears.heard == 2


def test_another_machine_goes_on_with_what_the_bucket_holds(house: House, tmp_path: Path) -> None:
    house.drop("2026-03-02 river.wav")
    house.once()
    [key] = house.keys()
    elsewhere = GcsStore(house.settings.bucket or "", tmp_path / "elsewhere", 10)
    transcript = transcript_of(house.ledger, elsewhere, key)
    assert transcript is not None and tuple(s.text for s in transcript.speech) == SAID[:1]
    house.settings.catalogue_file.unlink()
    house.publish()
    assert house.sql("SELECT recording_key FROM notes") == [(key,)]
