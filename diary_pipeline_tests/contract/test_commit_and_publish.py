"""From commit to reading, on each ledger with each store: what is committed is read by pointer and published, once."""

import threading
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.catalogue.read import markdown_of, notes_of, transcripts_of
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.tables import clock, history, pointers
from diary_pipeline.storage.store import ObjectStore
from diary_pipeline_tests.diaries import SAID, Diary

TABLES = ("recordings", "segments", "notes", "note_items", "checks")


@pytest.fixture
def diary(ledger: Ledger, store: ObjectStore) -> Diary:
    """A diary nobody has begun yet."""
    return Diary(ledger, store)


@pytest.fixture
def publisher(diary: Diary, tmp_path: Path) -> Publisher:
    """Its publisher."""
    return Publisher(diary.ledger, diary.store, tmp_path / "home" / "catalogue.duckdb")


def rows(publisher: Publisher, sql: str) -> list[tuple[Any, ...]]:
    """Ask the published file."""
    with duckdb.connect(str(publisher.live), read_only=True) as db:
        return db.execute(sql).fetchall()


def everything(publisher: Publisher) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of the published file."""
    return {table: rows(publisher, f"SELECT * FROM {table} ORDER BY ALL") for table in TABLES}


def objects(diary: Diary) -> set[str]:
    """Return the folder objects in the store."""
    return {key.rpartition("/")[0] for key in diary.store.list("catalogue/")}


def known(diary: Diary) -> set[str]:
    """Return the objects that the ledger knows of."""
    with diary.ledger.reading() as conn:
        return set(conn.execute(sa.select(history.c.object_id).distinct()).scalars())


def hide(ledger: Ledger, subject: str) -> None:
    """Move all pointers of a subject to nothing, as erasure does."""
    with ledger.writing() as tx:
        tx.execute(clock.update().values(n=clock.c.n + 1))
        seq = tx.execute(sa.select(clock.c.n)).scalar_one()
        tx.execute(pointers.update().where(pointers.c.subject == subject).values(object_id=None, version=None, seq=seq))


def test_what_is_committed_is_read_by_pointer_and_published(diary: Diary, publisher: Publisher) -> None:
    walk, bread, broken = diary.accept("walk.m4a", "bread.m4a", "broken.m4a")
    diary.transcribe([walk, bread])
    diary.fail("transcript", [broken])
    diary.write([walk])
    refused = diary.refuse("empty.m4a")
    keys = [walk.key, bread.key]
    heard = transcripts_of(diary.ledger, diary.store, keys)
    assert {key: tuple(s.text for s in heard[key].speech) for key in keys} == dict.fromkeys(keys, SAID)
    assert set(notes_of(diary.ledger, diary.store, keys)) == {walk.key}
    assert markdown_of(diary.ledger, diary.store, walk.key) == f"# {walk.key}\n"
    assert publisher.publish().watermark == 4
    assert set(rows(publisher, "SELECT coalesce(recording_key, submission_id), status FROM recordings")) == {
        (walk.key, "completed"),
        (broken.key, "failed"),
        (refused, "refused"),
    }
    assert objects(diary) == known(diary)


def test_the_same_again_and_what_is_fenced_leave_no_object(diary: Diary, publisher: Publisher) -> None:
    walk, lost = diary.accept("walk.m4a", "lost.m4a")
    old = diary.claim("transcript", [walk, lost], lease_s=-1)
    diary.claim("transcript", [lost], holder="another")
    done = diary.transcribe([walk, lost], batch=old)
    assert (done.committed, done.fenced) == ((walk.key,), (lost.key,))
    assert diary.transcribe([walk]).already == (walk.key,)
    assert objects(diary) == known(diary)
    assert len(objects(diary)) == 1
    publisher.publish()
    assert rows(publisher, "SELECT DISTINCT recording_key FROM segments") == [(walk.key,)]


def test_a_rebuild_from_the_log_equals_what_was_folded_step_by_step(diary: Diary, publisher: Publisher) -> None:
    some = diary.accept(*(f"memo {n}.m4a" for n in range(6)))
    diary.transcribe(some)
    publisher.publish()
    diary.write(some[:4])
    diary.fail("note", some[4:], "note_failed")
    publisher.publish()
    diary.transcribe(some[:2], said=("It was said otherwise.",))
    publisher.publish()
    folded = everything(publisher)
    assert all(folded.values())
    publisher.live.unlink()
    publisher.publish()
    assert everything(publisher) == folded


def test_what_is_hidden_and_deleted_is_read_no_more_and_the_rest_is(diary: Diary, publisher: Publisher) -> None:
    for name in ("walk.m4a", "bread.m4a"):
        some = diary.accept(name)
        diary.transcribe(some)
        diary.write(some)
    publisher.publish()
    gone, kept = sorted(transcripts_of(diary.ledger, diary.store, [r for (r,) in _keys(publisher)]))
    with diary.ledger.reading() as conn:
        its = conn.execute(sa.select(history.c.object_id).where(history.c.subject == gone).distinct()).scalars().all()
    hide(diary.ledger, gone)
    publisher.publish()
    for object_id in its:
        diary.store.delete(object_id)
    assert transcripts_of(diary.ledger, diary.store, [gone]) == {}
    assert set(transcripts_of(diary.ledger, diary.store, [gone, kept])) == {kept}
    assert _keys(publisher) == [(kept,)]
    assert objects(diary).isdisjoint(its)


def test_commits_at_once_are_all_published_once(diary: Diary, publisher: Publisher) -> None:
    some = diary.accept(*(f"memo {n}.m4a" for n in range(6)))

    def work(mine: list[Any]) -> None:
        for memo in mine:
            diary.transcribe([memo])
            diary.write([memo])

    threads = [threading.Thread(target=work, args=(some[n::3],)) for n in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        publisher.publish()
    for thread in threads:
        thread.join()
    assert publisher.publish().watermark == 12
    told = "SELECT recording_key, count(*) FROM {} GROUP BY 1 ORDER BY 1"
    assert rows(publisher, told.format("notes")) == [(key, 1) for key in sorted(r.key for r in some)]
    assert objects(diary) == known(diary)


def _keys(publisher: Publisher) -> list[tuple[Any, ...]]:
    return rows(publisher, "SELECT recording_key FROM recordings ORDER BY 1")
