"""Objects of buckets are fetched by generation: the announced bytes, or a code that says why not."""

import time
from pathlib import Path

import pytest

from diary_pipeline.audio.limits import AudioLimits
from diary_pipeline.core.errors import DiaryError, Stopped
from diary_pipeline.intake.buckets import object_uri
from diary_pipeline.intake.fetch_gs import GsFetcher
from diary_pipeline.intake.fetcher import Order
from diary_pipeline.storage.foreign import ForeignBucket
from diary_pipeline_tests.gcs_server import Fault, GcsServer

NAME = "anna/mit dem Rad #3.m4a"


class Place:
    """An object in a bucket, and a file to fetch it into."""

    def __init__(self, gcs: GcsServer, part: Path) -> None:
        self.gcs, self.part, self.bucket = gcs, part, gcs.bucket()
        self.generation = gcs.write(self.bucket, NAME, b"sound" * 1000)
        self.fetcher = GsFetcher({self.bucket: ForeignBucket(self.bucket, patience_s=1)})
        self.progress: list[tuple[int, int | None]] = []
        part.write_bytes(b"what an earlier try left")

    def fetch(
        self, generation: int | None = None, *, most: int = 1_000_000, until: float | None = None
    ) -> float | None:
        order = Order(
            object_uri(self.bucket, NAME, generation),
            "mit dem Rad #3.m4a",
            self.part,
            AudioLimits(max_size_bytes=most, max_s=60),
            time.monotonic() + 60 if until is None else until,
            lambda here, whole: self.progress.append((here, whole)),
        )
        return self.fetcher.fetch(order)

    def refused(self, generation: int | None = None, **order: float) -> tuple[str, bool]:
        with pytest.raises(DiaryError) as error:
            self.fetch(generation, **order)  # type: ignore[arg-type]
        assert "mit dem Rad" in error.value.message or error.value.code == "source_unreachable"
        return error.value.code, error.value.transient


@pytest.fixture
def place(gcs: GcsServer, tmp_path: Path) -> Place:
    return Place(gcs, tmp_path / "part")


def test_the_announced_generation_is_written_and_its_age_told(place: Place) -> None:
    written_at = place.fetch(place.generation)
    assert place.part.read_bytes() == b"sound" * 1000
    assert written_at is not None
    assert abs(time.time() - written_at) < 600
    assert place.progress[0] == (0, 5000)
    assert place.progress[-1] == (5000, 5000)


def test_without_a_generation_the_newest_is_meant(place: Place) -> None:
    place.gcs.write(place.bucket, NAME, b"newer")
    place.fetch()
    assert place.part.read_bytes() == b"newer"


def test_what_was_overwritten_is_superseded_and_what_was_deleted_is_gone(place: Place) -> None:
    place.gcs.write(place.bucket, NAME, b"newer")
    assert place.refused(place.generation) == ("superseded", False)
    del place.gcs.buckets[place.bucket][NAME]
    assert place.refused(place.generation) == ("source_gone", False)


def test_what_is_overwritten_between_the_look_and_the_reading_is_never_mixed(place: Place) -> None:
    wanted, stat = place.generation, ForeignBucket.stat

    class Racing(ForeignBucket):
        def stat(self, name: str) -> object:  # type: ignore[override]
            found = stat(self, name)
            place.gcs.write(place.bucket, NAME, b"newer")
            return found

    place.fetcher.buckets[place.bucket] = Racing(place.bucket, patience_s=1)
    assert place.refused(wanted) == ("superseded", False)


def test_what_is_too_large_is_refused_before_it_is_read(place: Place) -> None:
    place.gcs.asked.clear()
    assert place.refused(place.generation, most=4_999) == ("audio_too_large", False)
    assert not [asked for asked in place.gcs.asked if "/download/" in asked]


@pytest.mark.parametrize("harm", ["status", "cut", "damage"])
def test_troubles_on_the_way_are_overcome_or_told_as_passing(place: Place, harm: str) -> None:
    place.gcs.faults.append(Fault("GET /download/", harm=harm, times=1))  # type: ignore[arg-type]
    place.fetch(place.generation)
    assert place.part.read_bytes() == b"sound" * 1000
    place.gcs.faults.append(Fault("GET ", status=403, times=99))
    assert place.refused(place.generation) == ("source_unreachable", True)


def test_a_bucket_that_is_not_there_may_come_back(place: Place) -> None:
    del place.gcs.buckets[place.bucket]
    assert place.refused(place.generation) == ("source_unreachable", True)


def test_a_fetch_ends_when_it_took_too_long_or_is_stopped(place: Place) -> None:
    assert place.refused(place.generation, until=0.0) == ("source_too_slow", True)

    def stop(_here: int, _whole: int | None) -> None:
        raise Stopped("stopped", "mit dem Rad: stopped")

    place.progress = type("Stopping", (list,), {"append": lambda _, told: stop(*told)})()
    assert place.refused(place.generation) == ("stopped", True)


def test_an_address_is_judged_at_the_door(place: Place) -> None:
    place.fetcher.check("gs://bucket/a.m4a")
    with pytest.raises(DiaryError, match="gs://BUCKET/NAME"):
        place.fetcher.check("gs://bucket")
