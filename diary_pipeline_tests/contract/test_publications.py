"""How far users see, by place, and whose turn it is to publish: on SQLite and on PostgreSQL."""

import threading
from pathlib import Path

import sqlalchemy as sa

from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.migrations import STEPS, migrate
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.publications import (
    not_compacted,
    place_of,
    publication,
    published_watermark,
    set_compacted,
    set_published,
    watch,
)
from diary_pipeline.ledger.tables import publications, schema_version
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.diaries import Diary
from diary_pipeline_tests.publishing import rows


def test_each_place_has_its_own_watermark_and_who_publishes_nothing_hears_of_the_last(ledger: Ledger) -> None:
    with ledger.reading() as conn:
        assert published_watermark(conn) == published_watermark(conn, "here") == 0
    set_published(ledger, "here", 3)
    set_published(ledger, "there", 7)
    set_published(ledger, "here", 5, "marts of monday")
    with ledger.reading() as conn:
        told = [published_watermark(conn, place) for place in ("here", "there", "elsewhere", None)]
        assert told == [5, 7, 5, 5]
        assert publication(conn, "here").marts == "marts of monday"


def test_two_publishers_with_two_disks_each_tell_of_their_own_file(ledger: Ledger, tmp_path: Path) -> None:
    diary = Diary(ledger, FolderStore(tmp_path / "objects"))
    one, two = (Publisher(ledger, diary.store, tmp_path / name / "catalogue.duckdb") for name in ("one", "two"))
    heard = "SELECT count(DISTINCT recording_key) FROM segments"
    for n, publisher in enumerate((one, two, one), start=1):
        diary.transcribe(diary.accept(f"memo {n}.m4a"))
        done = publisher.publish()
        assert (done.watermark, rows(publisher.live, heard)) == (n, [(n,)])
    with ledger.reading() as conn:
        assert published_watermark(conn, place_of(one.live)) == 3
        assert published_watermark(conn, place_of(two.live)) == 2
    assert rows(two.live, heard) == [(2,)], "what one shows is no promise about the other"


def test_publishers_at_once_on_two_disks_end_with_the_same_truth(
    ledger: Ledger, ledger_url: str, tmp_path: Path
) -> None:
    """Two ledgers opened as on two machines; they take turns where the database can hold one off."""
    diary = Diary(ledger, FolderStore(tmp_path / "objects"))
    other = open_ledger(ledger_url)
    places = [(ledger, tmp_path / "one.duckdb"), (other, tmp_path / "two.duckdb")]
    publishers = [Publisher(on, diary.store, live) for on, live in places]
    for n in range(3):
        diary.transcribe(diary.accept(f"memo {n}.m4a"))
        threads = [threading.Thread(target=publisher.publish) for publisher in publishers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    other.close()
    seen = [rows(p.live, "FROM segments ORDER BY ALL") for p in publishers]
    assert len(seen[0]) == 12 and seen[0] == seen[1]
    with ledger.reading() as conn:
        assert [published_watermark(conn, place_of(p.live)) for p in publishers] == [3, 3]


def test_a_name_is_held_by_one_session_of_a_server_and_goes_with_it(postgres_url: str) -> None:
    ledger, other = open_ledger(postgres_url), open_ledger(postgres_url)
    inside, leave, came_in = threading.Event(), threading.Event(), threading.Event()

    def hold() -> None:
        with ledger.alone("publisher"):
            inside.set()
            leave.wait(30)

    def come() -> None:
        with other.alone("publisher"):
            came_in.set()

    holder, comer = threading.Thread(target=hold), threading.Thread(target=come)
    holder.start()
    assert inside.wait(30)
    comer.start()
    with ledger.alone("somebody else"):
        assert not came_in.wait(0.5)
    leave.set()
    assert came_in.wait(30)
    holder.join()
    comer.join()
    with ledger.reading() as conn:
        held = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        assert conn.execute(held).scalar_one() == 0
    ledger.close()
    other.close()


def test_a_watcher_is_believed_for_a_while_and_publishing_does_not_forget_it(ledger: Ledger) -> None:
    watch(ledger, "here", 60)
    at = set_published(ledger, "here", 3)
    with ledger.reading() as conn:
        mine = publication(conn, "here")
    assert (mine.watermark, 0 < mine.watched_until - at <= 60) == (3, True)
    watch(ledger, "here", -1)
    with ledger.reading() as conn:
        assert publication(conn, "here").watermark == 3
        assert publication(conn, "here").watched_until < at


def test_what_was_published_before_there_were_places_is_carried_over(ledger: Ledger) -> None:
    [carried_over] = [n for n, step in enumerate(STEPS) if step.__name__ == "_one_publication_a_place"]
    with ledger.writing() as tx:
        publications.drop(tx)
        tx.exec_driver_sql("CREATE TABLE published (id INTEGER PRIMARY KEY, watermark BIGINT, published_at FLOAT)")
        tx.exec_driver_sql("INSERT INTO published VALUES (1, 41, 1.5)")
        tx.execute(schema_version.delete().where(schema_version.c.version > carried_over))
    migrate(ledger)
    with ledger.reading() as conn:
        assert published_watermark(conn, "here") == 41
        assert not sa.inspect(conn).has_table("published")


def test_what_was_erased_is_waited_for_where_somebody_publishes_by_himself(ledger: Ledger) -> None:
    set_published(ledger, "here", 3)
    set_published(ledger, "nobody looks after it", 3)
    watch(ledger, "here", 60)
    with ledger.reading() as conn:
        assert (not_compacted(conn, 0), not_compacted(conn, 3)) == (0, 1)
    set_compacted(ledger, "here", 3)
    watch(ledger, "here", 60)
    set_published(ledger, "here", 4)
    with ledger.reading() as conn:
        assert (not_compacted(conn, 3), not_compacted(conn, 4)) == (0, 1)
