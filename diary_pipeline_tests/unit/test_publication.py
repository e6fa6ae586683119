"""The published file in a bucket: the pointer never goes back, readers are never robbed, and erasure reaches it."""

import datetime as dt
import json
import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from diary_pipeline.catalogue.fetched import fetch_published
from diary_pipeline.catalogue.publication import CATALOGUE, Publication
from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.catalogue.schema import SCHEMA_VERSION
from diary_pipeline.cli.main import main
from diary_pipeline.core.errors import NotFound, TransientError
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.storage.gcs import GcsStore
from diary_pipeline.storage.keys import PUBLISHED_POINTER, published_key, watermark_in
from diary_pipeline_tests.diaries import Diary
from diary_pipeline_tests.gcs_server import Fault, GcsServer

SECRET = "Xylophone aubergine quetzal."


@pytest.fixture
def ledger_url(tmp_path: Path) -> str:
    """A SQLite file: uploads have no business with the ledger's kind."""
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def publication(gcs_store: GcsStore) -> Publication:
    return Publication(gcs_store)


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    """Make a file that stands for a published one; what is in it, the bucket does not care."""

    def made(text: str) -> Path:
        path = tmp_path / CATALOGUE
        path.unlink(missing_ok=True)
        path.write_text(text)
        return path

    return made


def uploads(store: GcsStore) -> list[int | None]:
    """Return the watermarks of what lies in the bucket."""
    return [watermark_in(key) for key in store.list("published/") if key != PUBLISHED_POINTER]


def aged(store: GcsStore, seconds: float) -> None:
    """Make it so long ago that what is older was superseded."""
    said, generation = store.read(PUBLISHED_POINTER) or (b"", 0)
    pointed = json.loads(said)
    for older in pointed["older"]:
        since = dt.datetime.fromisoformat(older["since"]) - dt.timedelta(seconds=seconds)
        older["since"] = since.isoformat()
    assert store.put_over(PUBLISHED_POINTER, json.dumps(pointed).encode(), generation)


def test_a_machine_without_a_publisher_fetches_what_was_published(
    ledger: Ledger, gcs_store: GcsStore, tmp_path: Path
) -> None:
    diary = Diary(ledger, gcs_store)
    publisher = Publisher(ledger, gcs_store, tmp_path / "home" / CATALOGUE)
    here = tmp_path / "elsewhere" / CATALOGUE
    with pytest.raises(NotFound) as nothing:
        fetch_published(gcs_store, here)
    assert nothing.value.code == "catalogue_missing"
    for watermark, name in ((2, "walk.m4a"), (4, "bread.m4a")):
        some = diary.accept(name)
        diary.transcribe(some)
        diary.write(some)
        assert Publication(gcs_store).upload(publisher.live, publisher.publish().watermark)
        done = fetch_published(gcs_store, here)
        assert (done.watermark, done.size_bytes) == (watermark, publisher.live.stat().st_size)
        with duckdb.connect(str(here), read_only=True) as db:
            assert db.execute("SELECT count(*) FROM notes").fetchone() == (watermark // 2,)
        assert stat.S_IMODE(here.stat().st_mode) == 0o400
        assert stat.S_IMODE(here.parent.stat().st_mode) == 0o700
        before = here.stat().st_ino
        assert fetch_published(gcs_store, here).size_bytes == 0
        assert here.stat().st_ino == before
    pointed = Publication(gcs_store).current()
    assert pointed is not None
    assert (pointed.watermark, pointed.schema_version) == (4, SCHEMA_VERSION)
    assert {p.name for p in here.parent.iterdir()} == {CATALOGUE, f".{CATALOGUE}.fetched", f".{CATALOGUE}.fetch.lock"}


def test_the_pointer_never_goes_back(publication: Publication, file: Callable[[str], Path]) -> None:
    assert publication.upload(file("new"), 7)
    assert not publication.upload(file("old"), 5)
    assert uploads(publication.store) == [7]  # type: ignore[arg-type]
    current = publication.current()
    assert current is not None
    assert current.watermark == 7


def test_an_older_publisher_that_wakes_up_while_it_uploads_moves_nothing(
    gcs_store: GcsStore, file: Callable[[str], Path]
) -> None:
    class Slow(GcsStore):
        def put_file(self, key: str, path: Path) -> None:
            assert Publication(gcs_store).upload(file("new"), 7), "another one is faster meanwhile"
            super().put_file(key, path)

    slow = Slow(gcs_store.bucket.url, gcs_store.copies.folder, 1)
    assert not Publication(slow).upload(file("old"), 5)
    current = Publication(gcs_store).current()
    assert current is not None
    assert current.watermark == 7
    assert uploads(gcs_store) == [5, 7], "the late one's file lies there"
    assert Publication(gcs_store).upload(file("newer"), 8)
    assert uploads(gcs_store) == [7, 8], "and goes with the next upload"


def test_of_publishers_at_once_the_furthest_stays(gcs_store: GcsStore, tmp_path: Path) -> None:
    def publish(watermark: int) -> None:
        home = tmp_path / str(watermark)
        home.mkdir()
        (home / CATALOGUE).write_text(str(watermark))
        Publication(gcs_store).upload(home / CATALOGUE, watermark)

    threads = [threading.Thread(target=publish, args=(n,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    current = Publication(gcs_store).current()
    assert current is not None
    assert current.watermark == 4
    assert gcs_store.get(current.files[CATALOGUE].key) == b"4"


def test_an_older_upload_stays_for_its_grace_and_then_goes(
    gcs_store: GcsStore, publication: Publication, file: Callable[[str], Path]
) -> None:
    for n in (1, 2):
        publication.upload(file(str(n)), n)
    assert uploads(gcs_store) == [1, 2], "somebody may be reading its ranges"
    aged(gcs_store, 3700)
    publication.upload(file("3"), 3)
    assert uploads(gcs_store) == [2, 3]


def test_the_same_file_again_uploads_nothing(
    gcs: GcsServer, publication: Publication, file: Callable[[str], Path]
) -> None:
    publication.upload(file("same"), 3)
    gcs.asked.clear()
    assert publication.upload(file("same"), 3)
    assert [asked for asked in gcs.asked if "upload" in asked] == []


def test_an_erasure_replaces_the_upload_of_the_same_watermark_and_leaves_no_other(
    gcs: GcsServer, gcs_store: GcsStore, publication: Publication, file: Callable[[str], Path], tmp_path: Path
) -> None:
    publication.upload(file("before it was said"), 1)
    publication.upload(file("secret"), 2)
    here = tmp_path / "elsewhere" / CATALOGUE
    fetch_published(gcs_store, here)
    assert publication.replace_all(file("nothing of it"), 2) == 2
    [bucket] = [name for name in gcs.buckets if name in gcs_store.bucket.url]
    assert b"secret" not in gcs.bytes_of(bucket)
    assert uploads(gcs_store) == [2]
    assert fetch_published(gcs_store, here).size_bytes == len("nothing of it")
    assert here.read_text() == "nothing of it"
    assert publication.replace_all(here, 2) == 0
    publication.upload(file("of another ledger"), 3)
    with pytest.raises(TransientError, match="a later commit than 2"):
        publication.replace_all(here, 2)


def test_a_restored_ledger_may_begin_again_once_all_is_withdrawn(
    gcs_store: GcsStore, publication: Publication, file: Callable[[str], Path], tmp_path: Path
) -> None:
    publication.upload(file("nine"), 9)
    here = tmp_path / "elsewhere" / CATALOGUE
    fetch_published(gcs_store, here)
    assert publication.withdraw() == 1
    assert publication.upload(file("four"), 4)
    fetch_published(gcs_store, here)
    assert here.read_text() == "four"


def test_the_search_index_goes_along_with_what_its_log_holds(
    gcs_store: GcsStore, publication: Publication, file: Callable[[str], Path], tmp_path: Path
) -> None:
    search, here = tmp_path / "search.sqlite", tmp_path / "elsewhere"
    with closing(sqlite3.connect(search)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE found (words TEXT)")
        db.execute("INSERT INTO found VALUES ('by the river')")
        db.commit()
        assert publication.upload(file("catalogue"), 3, search)
    fetch_published(gcs_store, here / CATALOGUE, here / search.name)
    with closing(sqlite3.connect(f"file:{here / search.name}?mode=ro", uri=True)) as db:
        assert db.execute("SELECT words FROM found").fetchall() == [("by the river",)]
    assert publication.upload(file("later"), 4)
    fetch_published(gcs_store, here / CATALOGUE, here / search.name)
    assert (here / CATALOGUE).read_text() == "later"


def test_a_file_published_on_this_machine_is_not_fetched_over(
    ledger: Ledger, gcs_store: GcsStore, tmp_path: Path
) -> None:
    publisher = Publisher(ledger, gcs_store, tmp_path / "home" / CATALOGUE)
    diary = Diary(ledger, gcs_store)
    diary.transcribe(diary.accept("walk.m4a"))
    Publication(gcs_store).upload(publisher.live, publisher.publish().watermark)
    diary.transcribe(diary.accept("bread.m4a"))
    publisher.publish()
    before = publisher.live.stat().st_ino
    assert fetch_published(gcs_store, publisher.live).size_bytes == 0
    assert publisher.live.stat().st_ino == before


def test_bytes_that_are_not_the_pointers_are_not_swapped_in(
    gcs_store: GcsStore, publication: Publication, file: Callable[[str], Path], tmp_path: Path
) -> None:
    publication.upload(file("right"), 1)
    here = tmp_path / "elsewhere" / CATALOGUE
    fetch_published(gcs_store, here)
    publication.upload(file("good"), 2)
    current = publication.current()
    assert current is not None
    gcs_store.put(current.files[CATALOGUE].key, b"evil")
    with pytest.raises(TransientError, match="not what the bucket's pointer says"):
        fetch_published(gcs_store, here)
    assert here.read_text() == "right"


def test_what_a_killed_fetch_or_upload_left_is_removed(
    gcs_store: GcsStore, publication: Publication, file: Callable[[str], Path], tmp_path: Path
) -> None:
    here = tmp_path / "elsewhere" / CATALOGUE
    left = [tmp_path / ".upload-x", here.parent / f".{CATALOGUE}.fetch-x"]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "half").write_text("half")
    publication.upload(file("1"), 1)
    fetch_published(gcs_store, here)
    assert [folder for folder in left if folder.exists()] == []


def test_a_pointer_that_cannot_be_moved_leaves_the_older_one(
    gcs: GcsServer, gcs_store: GcsStore, file: Callable[[str], Path]
) -> None:
    publication = Publication(gcs_store)
    assert publication.behind(file("0"), 0)
    publication.upload(file("1"), 1)
    gcs.faults.append(Fault("POST .*upload", status=412, times=100))
    with pytest.raises(TransientError):
        publication.upload(file("2"), 2)
    gcs.faults.clear()
    two = file("2")
    assert (publication.behind(two, 2), publication.behind(two, 0)) == (True, False)
    assert publication.behind(two, 1), "marts come without a commit"
    assert publication.upload(two, 2)
    assert not publication.behind(two, 2)


@pytest.mark.parametrize("name", ["catalogue", "a b.duckdb", "../x.duckdb"])
def test_an_upload_is_named_by_letters_and_a_type(name: str) -> None:
    with pytest.raises(Exception, match="no name for an upload"):
        published_key(name, 1, "0" * 64)


def test_the_command_fetches_or_says_where_from(
    gcs_store: GcsStore,
    publication: Publication,
    file: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    publication.upload(file("all of it"), 5)
    for name in [name for name in os.environ if name.startswith("DIARY_")]:
        monkeypatch.delenv(name)
    home = gcs_store.copies.folder.with_name("reader")
    monkeypatch.setenv("DIARY_HOME", str(home))

    def fetch() -> tuple[object, str]:
        with pytest.raises(SystemExit) as ended:
            main(["publish", "--fetch"])
        return ended.value.code, capsys.readouterr().err

    assert fetch()[0] == 2
    monkeypatch.setenv("DIARY_BUCKET", gcs_store.bucket.url)
    assert fetch() == (0, "fetched 0.0 MB; the catalogue is at commit 5\n")
    assert (home / CATALOGUE).read_text() == "all of it"
    assert fetch() == (0, "the newest is here: commit 5\n")
