"""What the publisher shows here it shows in a bucket too, and what is erased goes from both."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from diary_pipeline.catalogue.fetched import fetch_published
from diary_pipeline.catalogue.publication import CATALOGUE, Publication
from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.core.seal import Seal
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.erasures import hide
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.storage.gcs import GcsStore
from diary_pipeline_tests.diaries import Diary
from diary_pipeline_tests.gcs_server import Fault, GcsServer
from diary_pipeline_tests.unit.test_publication import uploads

SECRET = "Xylophone aubergine quetzal."


@pytest.fixture
def ledger_url(tmp_path: Path) -> str:
    """A SQLite file: uploads have no business with the ledger's kind."""
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def test_the_publisher_uploads_what_it_shows_and_a_compaction_leaves_nothing_older(
    gcs_store: GcsStore, ledger: Ledger, tmp_path: Path
) -> None:
    diary = Diary(ledger, gcs_store)
    live = tmp_path / "home" / CATALOGUE
    publisher = Publisher(ledger, gcs_store, live, publication=Publication(gcs_store))
    for name in ("a.m4a", "b.m4a"):
        diary.transcribe(diary.accept(name))
        publisher.publish()
    assert sorted(uploads(gcs_store)) == [1, 2], "who reads the older one may go on"
    assert fetch_published(gcs_store, tmp_path / "elsewhere" / CATALOGUE).watermark == 2
    publisher.compact()
    assert uploads(gcs_store) == [2]


def test_a_bucket_out_of_reach_keeps_nobody_here_from_seeing_and_is_caught_up_with(
    gcs: GcsServer, gcs_store: GcsStore, ledger: Ledger, tmp_path: Path
) -> None:
    diary = Diary(ledger, gcs_store)
    publisher = Publisher(ledger, gcs_store, tmp_path / CATALOGUE, publication=Publication(gcs_store))
    diary.transcribe(diary.accept("a.m4a"))
    gcs.faults.append(Fault("POST .*/upload", status=403, times=9))
    assert publisher.publish().watermark == 1
    assert uploads(gcs_store) == []
    gcs.faults.clear()
    publisher.publish()
    assert uploads(gcs_store) == [1], "although nothing was committed since"


class Interrupted(Ledger):
    """A ledger on which somebody else gets to publish as soon as a turn is given up, once."""

    then: Callable[[], object] | None = None

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        with super().alone(name):
            yield
        then, self.then = self.then, None
        if then is not None:
            then()


def test_another_publisher_in_between_brings_nothing_erased_back_to_the_bucket(
    gcs: GcsServer, gcs_store: GcsStore, ledger: Ledger, tmp_path: Path
) -> None:
    """It has a disk and a file of its own, in which what was erased is only deleted."""
    diary, interrupted = Diary(ledger, FolderStore(tmp_path / "objects")), Interrupted(ledger.engine)

    def publisher(on: Ledger, machine: str) -> Publisher:
        plain = {"force_compression": "uncompressed"}
        live = tmp_path / machine / CATALOGUE
        return Publisher(on, diary.store, live, publication=Publication(gcs_store), options=plain)

    def commit_more() -> None:
        diary.transcribe(diary.accept("later.m4a"))
        other.publish()

    eraser, other = publisher(interrupted, "eraser"), publisher(ledger, "other")
    gone, kept = diary.accept("gone.m4a", "kept.m4a")
    diary.transcribe([gone], [SECRET])
    diary.transcribe([kept])
    for one in (eraser, other):
        one.publish()
    hide(ledger, Seal("x"), "recording", gone.key)
    interrupted.then = commit_more
    eraser.compact()
    [bucket] = [name for name in gcs.buckets if name in gcs_store.bucket.url]
    assert SECRET.encode() not in gcs.bytes_of(bucket)
    for one in (eraser, other):
        assert SECRET.encode() not in one.live.read_bytes()
    assert Publication(gcs_store).current() == other.publication.current()  # type: ignore[union-attr]
    assert not other.publication.behind(other.live, 4)  # type: ignore[union-attr]


def test_marts_that_could_not_be_uploaded_are_tried_again_without_a_commit(
    gcs: GcsServer, gcs_store: GcsStore, ledger: Ledger, tmp_path: Path
) -> None:
    diary, marts = Diary(ledger, FolderStore(tmp_path / "objects")), tmp_path / "marts.duckdb"
    live = tmp_path / CATALOGUE
    publisher = Publisher(ledger, diary.store, live, marts_file=marts, publication=Publication(gcs_store))
    diary.transcribe(diary.accept("a.m4a"))
    publisher.publish()
    with duckdb.connect(str(marts)) as db:
        db.execute("CREATE SCHEMA marts.marts")
        db.execute("CREATE TABLE marts.marts.people AS SELECT 'Anna' AS person")
    gcs.faults.append(Fault("POST .*/upload", status=403, times=9))
    assert publisher.publish().origin is not None
    gcs.faults.clear()
    assert publisher.publish().origin is None
    here = tmp_path / "elsewhere" / CATALOGUE
    fetch_published(gcs_store, here)
    assert here.read_bytes() == live.read_bytes()
    gcs.asked.clear()
    publisher.publish()
    assert [asked for asked in gcs.asked if "upload" in asked] == []
