"""What the next published file is made from; nobody who reads, holds or breaks a file is harmed or harms another."""

import multiprocessing
import os
import resource
import signal
import stat
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import duckdb
import pytest

from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.core.errors import NotFound, ServiceMissing
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.publications import place_of, published_watermark
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.diaries import SAID, Diary
from diary_pipeline_tests.publishing import rows, twin_room

PROCESSES = multiprocessing.get_context("forkserver")
HEARD = "SELECT count(DISTINCT recording_key) FROM segments"


@pytest.fixture
def diary(tmp_path: Path) -> Iterator[Diary]:
    """A diary nobody has begun yet."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield Diary(ledger, FolderStore(tmp_path / "objects"))
    ledger.close()


@pytest.fixture
def publisher(diary: Diary, tmp_path: Path) -> Publisher:
    """Its publisher."""
    return Publisher(diary.ledger, diary.store, tmp_path / "home" / "catalogue.duckdb")


def publish_more(diary: Diary, publisher: Publisher, name: str) -> str | None:
    """Commit a transcript, publish it, and return what the file was made from."""
    diary.transcribe(diary.accept(name))
    return publisher.publish().origin


def test_two_files_take_turns_and_each_shows_everything(diary: Diary, publisher: Publisher) -> None:
    made_from = [publish_more(diary, publisher, f"memo {n}.m4a") for n in range(5)]
    assert made_from == ["log", "copy", "spare", "spare", "spare"]
    assert rows(publisher.live, HEARD) == [(5,)]
    assert rows(publisher.live, "SELECT count(*) FROM segments") == [(20,)]
    spare = twin_room(publisher.live) / "spare.duckdb"
    assert [stat.S_IMODE(p.stat().st_mode) for p in (publisher.live, spare, spare.parent)] == [0o400, 0o400, 0o700]
    assert publisher.publish().origin is None


def read_until(live: Path, reading: Event, stop: Event) -> None:
    """Keep the published file open in another process."""
    with duckdb.connect(str(live), read_only=True) as db:
        db.execute(HEARD).fetchall()
        reading.set()
        stop.wait(60)
        assert db.execute(HEARD).fetchall() == [(1,)]


def test_a_reader_in_another_process_keeps_its_file_and_costs_a_copy(diary: Diary, publisher: Publisher) -> None:
    publish_more(diary, publisher, "first.m4a")
    reading, stop = PROCESSES.Event(), PROCESSES.Event()
    reader = PROCESSES.Process(target=read_until, args=(publisher.live, reading, stop))
    reader.start()
    assert reading.wait(60)
    made_from = [publish_more(diary, publisher, f"later {n}.m4a") for n in range(3)]
    assert made_from == ["copy", "copy", "spare"], "the reader holds what would have been the first spare"
    stop.set()
    reader.join()
    assert reader.exitcode == 0
    assert rows(publisher.live, HEARD) == [(4,)]


def test_a_reader_in_this_process_is_noticed_though_no_lock_tells(diary: Diary, publisher: Publisher) -> None:
    publish_more(diary, publisher, "first.m4a")
    with duckdb.connect(str(publisher.live), read_only=True) as reader:
        assert [publish_more(diary, publisher, f"later {n}.m4a") for n in range(2)] == ["copy", "copy"]
        assert reader.execute(HEARD).fetchall() == [(1,)]


def broken(spare: Path, live: Path) -> None:
    spare.chmod(0o600)
    spare.write_bytes(b"no database" * 1000)


def of_another_schema(spare: Path, live: Path) -> None:
    spare.chmod(0o600)
    with duckdb.connect(str(spare)) as db:
        db.execute("UPDATE catalogue_state SET schema_version = 0")


def ahead_of_the_ledger(spare: Path, live: Path) -> None:
    spare.chmod(0o600)
    with duckdb.connect(str(spare)) as db:
        db.execute("UPDATE catalogue_state SET watermark = 99")


def the_live_file_itself(spare: Path, live: Path) -> None:
    """Killed between the two steps of a swap."""
    spare.unlink()
    spare.hardlink_to(live)


def gone(spare: Path, live: Path) -> None:
    spare.unlink()


@pytest.mark.parametrize("spoil", [broken, of_another_schema, ahead_of_the_ledger, the_live_file_itself, gone])
def test_a_spare_that_will_not_do_is_replaced_by_a_copy(
    diary: Diary, publisher: Publisher, spoil: Callable[[Path, Path], None]
) -> None:
    for n in range(2):
        publish_more(diary, publisher, f"memo {n}.m4a")
    inode = publisher.live.stat().st_ino
    spoil(twin_room(publisher.live) / "spare.duckdb", publisher.live)
    assert publish_more(diary, publisher, "third.m4a") == "copy"
    assert publisher.live.stat().st_ino != inode, "what users have open is never written to"
    assert rows(publisher.live, HEARD) == [(3,)]


def test_what_somebody_left_who_wrote_to_the_live_file_is_not_played_back_onto_the_next(
    diary: Diary, publisher: Publisher
) -> None:
    publish_more(diary, publisher, "first.m4a")
    left = publisher.live.with_name(f"{publisher.live.name}.wal")
    left.write_bytes(b"of another file")
    publish_more(diary, publisher, "second.m4a")
    assert not left.exists()
    assert rows(publisher.live, HEARD) == [(2,)]


def publish_on_a_full_disk(url: str, objects: Path, live: Path) -> None:
    """Publish where no file may grow beyond what the published one is large: writing fails as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    most = live.stat().st_size // 2
    publisher = Publisher(open_ledger(url), FolderStore(objects), live)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        publisher.publish()
    except ServiceMissing as error:
        told = f"{error.code}: {error.message}"
    else:
        told = "published"
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    live.with_name("told").write_text(told)


@pytest.mark.parametrize("published", [1, 3])
def test_a_full_disk_leaves_the_old_file_and_is_told_in_a_sentence(
    diary: Diary, publisher: Publisher, tmp_path: Path, published: int
) -> None:
    """With one published file the next begins with a copy, with three it is folded into the spare."""
    for n in range(published):
        publish_more(diary, publisher, f"memo {n}.m4a")
    many = diary.accept(*(f"more {n}.m4a" for n in range(40)))
    diary.transcribe(many, [f"{n} and {SAID[0]}" for n in range(400)])
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    full = PROCESSES.Process(target=publish_on_a_full_disk, args=(url, tmp_path / "objects", publisher.live))
    full.start()
    full.join()
    told = publisher.live.with_name("told").read_text()
    assert told.startswith("catalogue_unwritable: "), told
    assert os.strerror(27) in told and str(publisher.live) in told
    assert rows(publisher.live, HEARD) == [(published,)]
    with diary.ledger.reading() as conn:
        assert published_watermark(conn, place_of(publisher.live)) == published
    assert not list(twin_room(publisher.live).glob("next*"))
    publisher.publish()
    assert rows(publisher.live, HEARD) == [(published + 40,)]


class BusyStore(FolderStore):
    """Somebody commits, or removes an object, while the first objects are looked for."""

    meanwhile: Callable[[], None] | None = None

    def exists(self, key: str) -> bool:
        """Let the other do what they do, once."""
        if self.meanwhile is not None:
            todo, self.meanwhile = self.meanwhile, None
            todo()
        return super().exists(key)


def test_what_is_committed_during_a_publish_is_carried_by_the_same_call(
    diary: Diary, publisher: Publisher, tmp_path: Path
) -> None:
    diary.transcribe(diary.accept("first.m4a"))
    busy = BusyStore(tmp_path / "objects")
    busy.meanwhile = lambda: diary.transcribe(diary.accept("second.m4a")) and None
    done = Publisher(diary.ledger, busy, publisher.live).publish()
    assert (done.watermark, done.recordings) == (2, 2)
    assert rows(publisher.live, HEARD) == [(2,)]


def test_an_object_that_was_replaced_meanwhile_costs_a_second_look(
    diary: Diary, publisher: Publisher, tmp_path: Path
) -> None:
    first = diary.accept("first.m4a")
    diary.transcribe(first)
    busy = BusyStore(tmp_path / "objects")
    [object_id] = {key.rpartition("/")[0] for key in busy.list("catalogue/")}

    def replace() -> None:
        diary.transcribe(first, ["Something else."])
        busy.delete(object_id)

    busy.meanwhile = replace
    assert Publisher(diary.ledger, busy, publisher.live).publish().watermark == 2
    busy.meanwhile = lambda: [busy.delete(o) for o in {k.rpartition("/")[0] for k in busy.list("catalogue/")}] and None
    diary.transcribe(first, ["And again."])
    with pytest.raises(NotFound):
        Publisher(diary.ledger, busy, publisher.live).publish()
    assert rows(publisher.live, "SELECT watermark FROM catalogue_state") == [(2,)]
