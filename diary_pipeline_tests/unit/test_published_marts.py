"""dbt's tables reach users with the next publish, and never tell what was erased since they were built."""

import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from diary_pipeline.catalogue import marts
from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.catalogue.state import opened
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.publications import place_of, publication
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.diaries import Diary
from diary_pipeline_tests.publishing import rows

DAYS = "SELECT day FROM marts.daily"


@pytest.fixture
def diary(tmp_path: Path) -> Iterator[Diary]:
    """A diary nobody has begun yet."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield Diary(ledger, FolderStore(tmp_path / "objects"))
    ledger.close()


@pytest.fixture
def publisher(diary: Diary, tmp_path: Path) -> Publisher:
    """Its publisher."""
    live = tmp_path / "home" / "catalogue.duckdb"
    return Publisher(diary.ledger, diary.store, live, marts_file=tmp_path / "marts.duckdb")


def build(publisher: Publisher, day: str, watermark: int | None) -> None:
    """Do what dbt does: replace its tables, in a file of its own."""
    assert publisher.marts_file
    with duckdb.connect(str(publisher.marts_file)) as db:
        # With `marts.` alone it could be the file that is meant, which has the same name.
        db.execute("CREATE SCHEMA IF NOT EXISTS marts.marts")
        db.execute("CREATE OR REPLACE TABLE marts.marts.daily AS SELECT ? AS day", [day])
        db.execute("COMMENT ON TABLE marts.marts.daily IS 'one row a day, it''s said'")
        db.execute("COMMENT ON COLUMN marts.marts.daily.day IS 'local day'")
        db.execute("CREATE OR REPLACE VIEW marts.marts.unpublished AS SELECT 1 AS n")
        if watermark is not None:
            db.execute("CREATE OR REPLACE TABLE marts.marts.marts_state AS SELECT ? AS watermark", [watermark])


def has_marts(publisher: Publisher) -> bool:
    """Tell whether users see marts."""
    return bool(rows(publisher.live, "SELECT 1 FROM duckdb_schemas() WHERE schema_name = 'marts'"))


def test_new_marts_are_published_although_nothing_was_committed(publisher: Publisher) -> None:
    publisher.publish()
    assert not has_marts(publisher)
    build(publisher, "monday", 0)
    assert publisher.publish().origin is not None
    assert rows(publisher.live, DAYS) == [("monday",)]
    told = "SELECT comment FROM duckdb_tables() WHERE table_name = 'daily' UNION ALL "
    told += "SELECT comment FROM duckdb_columns() WHERE table_name = 'daily'"
    assert rows(publisher.live, told) == [("one row a day, it's said",), ("local day",)]
    assert publisher.publish().origin is None
    build(publisher, "tuesday", 0)
    publisher.publish()
    assert rows(publisher.live, DAYS) == [("tuesday",)]
    assert rows(publisher.live, "SELECT marts_watermark FROM catalogue_state") == [(0,)]
    with publisher.ledger.reading() as conn:
        assert publication(conn, place_of(publisher.live)).marts == marts.stamp(publisher.marts_file)


def test_marts_go_with_their_file(publisher: Publisher) -> None:
    build(publisher, "monday", 0)
    publisher.publish()
    assert publisher.marts_file
    publisher.marts_file.unlink()
    publisher.publish()
    assert not has_marts(publisher)


def test_marts_survive_folds_and_compaction(diary: Diary, publisher: Publisher) -> None:
    build(publisher, "monday", 0)
    for n in range(4):
        diary.transcribe(diary.accept(f"memo {n}.m4a"))
        publisher.publish()
        assert rows(publisher.live, DAYS) == [("monday",)]
    publisher.compact()
    assert rows(publisher.live, DAYS) == [("monday",)]


def test_while_dbt_is_at_it_users_keep_the_marts_they_have(tmp_path: Path) -> None:
    """The spare has those from before; the live file stands in for the one that cannot be opened."""
    live, source = tmp_path / "live.duckdb", tmp_path / "marts.duckdb"
    with opened(live) as db:
        db.execute("CREATE SCHEMA marts")
        db.execute("CREATE TABLE marts.daily AS SELECT 'new' AS day")
    source.write_bytes(b"half of a file, as it looks while somebody writes it")
    with opened(tmp_path / "next.duckdb") as db:
        db.execute("CREATE SCHEMA marts")
        db.execute("CREATE TABLE marts.daily AS SELECT 'old' AS day")
        assert not marts.can_be_read(source)
        assert marts.carry(db, source, live, held="of the spare", shown="of the live file") == "of the live file"
        assert db.execute(DAYS).fetchall() == [("new",)]


@pytest.mark.parametrize(
    ("built_at", "is_shown"),
    [(None, False), (3, False), (4, True), (5, True)],
    ids=["does not tell", "before the erasure", "at the erasure", "after it"],
)
def test_marts_from_before_the_last_erasure_are_not_shown(tmp_path: Path, built_at: int | None, is_shown: bool) -> None:
    with opened(tmp_path / "next.duckdb") as db:
        assert marts.kept(db, hidden=4) is None
        db.execute("CREATE SCHEMA marts")
        if built_at is not None:
            db.execute("CREATE TABLE marts.marts_state AS SELECT ? AS watermark", [built_at])
        assert marts.kept(db, hidden=4) == (built_at if is_shown else None)
        assert bool(db.execute("FROM duckdb_schemas() WHERE schema_name = 'marts'").fetchall()) == is_shown
        db.execute("CREATE SCHEMA IF NOT EXISTS marts")
        assert marts.kept(db, hidden=0) == (built_at if is_shown else 0), "nothing was ever erased"


def test_a_stamp_tells_builds_apart(tmp_path: Path) -> None:
    file = tmp_path / "marts.duckdb"
    assert marts.stamp(None) == marts.stamp(file) == ""
    file.write_bytes(b"one")
    first = marts.stamp(file)
    os.utime(file, ns=(1, 1))
    assert len({first, marts.stamp(file), ""}) == 3
