"""The search file follows the published catalogue, forgets what was erased to the last byte, and blocks no reader."""

import contextlib
import sqlite3
import stat
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.catalogue.search import search
from diary_pipeline.catalogue.search_index import SearchIndex, reading
from diary_pipeline.core.errors import NotFound, ServiceMissing
from diary_pipeline.ledger.clock import clock_now
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.pointers import Pointer
from diary_pipeline.ledger.tables import clock, pointers
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.diaries import Diary


@pytest.fixture
def ledger_url(tmp_path: Path) -> str:
    """A SQLite file: what follows the published file does not see which ledger is behind it."""
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def diary(ledger: Ledger, tmp_path: Path) -> Diary:
    """A diary nobody has begun yet."""
    return Diary(ledger, FolderStore(tmp_path / "objects"))


@pytest.fixture
def index(tmp_path: Path) -> SearchIndex:
    """Its search file."""
    return SearchIndex(tmp_path / "home" / "search.sqlite")


@pytest.fixture
def publisher(diary: Diary, index: SearchIndex, tmp_path: Path) -> Publisher:
    """Its publisher, which leads the search file."""
    return Publisher(diary.ledger, diary.store, tmp_path / "home" / "catalogue.duckdb", followers=[index])


def found(publisher: Publisher, index: SearchIndex, typed: str) -> list[str]:
    """Return the keys of what is found by the words as typed."""
    hits = search(index.path, publisher.live, typed).hits
    return sorted(hit.recording_key for hit in hits if not hit.is_near)


def erase(ledger: Ledger, subject: str) -> None:
    """Move all pointers of a subject to nothing, as erasure does."""
    with ledger.writing() as tx:
        tx.execute(clock.update().values(n=clock.c.n + 1))
        seq = tx.execute(sa.select(clock.c.n)).scalar_one()
        mine = pointers.update().where(pointers.c.subject == subject)
        tx.execute(mine.values(object_id=None, version=None, seq=seq))


def rows(index: SearchIndex, sql: str) -> list[tuple[object, ...]]:
    with contextlib.closing(reading(index.path)) as db:
        return db.execute(sql).fetchall()


def test_what_is_published_is_found_by_note_and_speech(diary: Diary, publisher: Publisher, index: SearchIndex) -> None:
    walk, bread = some = diary.accept("walk.m4a", "bread.m4a")
    diary.transcribe([walk], said=["We saw herons."])
    diary.transcribe([bread], said=["I bought rye bread."])
    publisher.publish()
    assert found(publisher, index, "herons") == [walk.key], "before there is a note"
    diary.write([walk], said=["We saw herons."], title="A morning at the weir")
    diary.write([bread], said=["I bought rye bread."])
    publisher.publish()
    with diary.ledger.reading() as conn:
        assert index.watermark() == clock_now(conn)
    assert found(publisher, index, "herons weir") == [walk.key], "speech and title together"
    assert found(publisher, index, "rye") == [bread.key]
    assert found(publisher, index, "m4a") == sorted(r.key for r in some)
    assert stat.S_IMODE(index.path.stat().st_mode) == 0o600


def test_a_new_version_replaces_the_old_words(diary: Diary, publisher: Publisher, index: SearchIndex) -> None:
    [walk] = diary.accept("walk.m4a")
    diary.transcribe([walk], said=["We saw herons."])
    publisher.publish()
    diary.transcribe([walk], said=["We saw swans."])
    publisher.publish()
    assert found(publisher, index, "herons") == []
    assert found(publisher, index, "swans") == [walk.key]
    assert rows(index, "SELECT count(*) FROM documents") == [(1,)]


def test_what_a_person_corrected_is_found_and_what_the_machine_heard_is_not(
    diary: Diary, publisher: Publisher, index: SearchIndex
) -> None:
    [walk] = diary.accept("walk.m4a")
    diary.transcribe([walk], said=["We met Jared."])
    publisher.publish()
    with diary.ledger.reading() as conn:
        head = clock_now(conn)
    # The fold lays corrections over the rows that the views show; here is only what the index makes of it.
    publisher.live.chmod(0o600)
    with duckdb.connect(str(publisher.live)) as db:
        db.execute("UPDATE data.segments SET text = 'We met Gerard.', raw_text = text WHERE kind = 'speech'")
        index.follow(db, [Pointer(walk.key, "correction", "me", "1", "object", head + 1)], head + 1)
    assert found(publisher, index, "Gerard") == [walk.key]
    assert found(publisher, index, "Jared") == []


def test_an_erased_recording_is_found_no_more_and_leaves_no_byte(
    diary: Diary, publisher: Publisher, index: SearchIndex
) -> None:
    walk, bread = diary.accept("qvwxkey.m4a", "bread.m4a")
    secret = "Zkqvxlorpian"  # a tail of a word is searched for: FTS5 shares beginnings between words
    diary.transcribe([walk], said=[f"I saw {secret} by the canal."])
    diary.write([walk], said=[f"I saw {secret} by the canal."], title=f"{secret} again")
    diary.transcribe([bread], said=["I bought bread."])
    publisher.publish()
    marks = (b"qvxlorpian", b"wxkey", b"by the canal")
    assert all(mark in _bytes(index) for mark in marks[1:])
    assert any(b"qvxlorpian" in part for part in (_bytes(index), _bytes(index).lower()))
    erase(diary.ledger, walk.key)
    publisher.publish()
    assert found(publisher, index, secret) == []
    index.compact()
    assert [mark for mark in marks if mark in _bytes(index).lower()] == []
    assert found(publisher, index, "bread") == [bread.key]


def _bytes(index: SearchIndex) -> bytes:
    return b"".join(path.read_bytes() for path in index.path.parent.glob(f"{index.path.name}*"))


def test_a_reader_keeps_what_it_began_with_and_blocks_nobody_but_compaction(
    diary: Diary, publisher: Publisher, index: SearchIndex
) -> None:
    diary.transcribe(diary.accept("walk.m4a"))
    publisher.publish()
    with contextlib.closing(reading(index.path)) as reader:
        reader.execute("BEGIN")
        before = reader.execute("SELECT count(*) FROM documents").fetchone()
        diary.transcribe(diary.accept("later.m4a"))
        publisher.publish()
        assert reader.execute("SELECT count(*) FROM documents").fetchone() == before
        with pytest.raises(ServiceMissing) as busy:
            SearchIndex(index.path, busy_s=0.05).compact()
        assert busy.value.code == "search_busy"
    index.compact()
    assert rows(index, "SELECT count(*) FROM documents") == [(2,)]


def test_a_file_that_somebody_writes_to_is_not_taken_for_a_damaged_one(
    diary: Diary, publisher: Publisher, index: SearchIndex
) -> None:
    diary.transcribe(diary.accept("walk.m4a"))
    publisher.publish()
    inode = index.path.stat().st_ino
    diary.transcribe(diary.accept("later.m4a"))
    impatient = SearchIndex(index.path, busy_s=0.05)
    with contextlib.closing(sqlite3.connect(index.path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(ServiceMissing) as busy:
            Publisher(diary.ledger, diary.store, publisher.live, followers=[impatient]).publish()
        assert busy.value.code == "search_not_written"
    publisher.publish()
    assert rows(index, "SELECT count(*) FROM documents") == [(2,)]
    assert index.path.stat().st_ino == inode


def other_schema(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE state SET schema_version = 0")


def damaged(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)


def damaged_within(path: Path) -> None:
    """Leave the first page, which says that all is well."""
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def lost(path: Path) -> None:
    path.unlink()


def from_the_future(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE state SET watermark = 99")
        db.execute("DELETE FROM words")


@pytest.mark.parametrize("accident", [other_schema, damaged, damaged_within, empty, lost, from_the_future])
def test_a_file_that_cannot_be_used_is_made_anew(
    diary: Diary, publisher: Publisher, index: SearchIndex, accident: object
) -> None:
    walk, bread = diary.accept("walk.m4a", "bread.m4a")
    diary.transcribe([walk], said=["We saw herons."])
    diary.transcribe([bread], said=["I bought rye bread."])
    publisher.publish()
    accident(index.path)  # type: ignore[operator]
    diary.transcribe(diary.accept("later.m4a"))
    publisher.publish()
    assert found(publisher, index, "herons") == [walk.key]
    assert found(publisher, index, "rye") == [bread.key]
    assert rows(index, "SELECT count(*) FROM documents") == [(3,)]
    assert stat.S_IMODE(index.path.stat().st_mode) == 0o600


def test_what_was_done_in_part_is_done_again_and_not_twice(
    diary: Diary, publisher: Publisher, index: SearchIndex
) -> None:
    diary.transcribe(diary.accept("walk.m4a", "bread.m4a"))
    publisher.publish()
    with contextlib.closing(sqlite3.connect(index.path)) as db, db:
        db.execute("UPDATE state SET watermark = 0")  # as if killed between the first slice and the last
    publisher.publish()
    assert rows(index, "SELECT count(*), count(DISTINCT recording_key) FROM documents") == [(2, 2)]
    assert rows(index, "SELECT count(*) FROM words") == [(2,)]


def test_a_search_file_behind_the_catalogue_says_so(diary: Diary, publisher: Publisher, index: SearchIndex) -> None:
    diary.transcribe(diary.accept("walk.m4a"))
    publisher.publish()
    assert not search(index.path, publisher.live, "river").is_behind
    diary.transcribe(diary.accept("later.m4a"))
    Publisher(diary.ledger, diary.store, publisher.live).publish()
    assert search(index.path, publisher.live, "river").is_behind


def test_without_a_search_file_the_way_to_one_is_told(publisher: Publisher, index: SearchIndex) -> None:
    with pytest.raises(NotFound, match="diary publish"):
        search(index.path, publisher.live, "river")
