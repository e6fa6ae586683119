"""What older programs wrote stays readable: objects of the log always, published files where a step says so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from diary_pipeline.catalogue.descriptions import descriptions
from diary_pipeline.catalogue.migrations import STEPS, migrate, version_of
from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.catalogue.read import note_of, transcript_of
from diary_pipeline.catalogue.schema import SCHEMA_VERSION, TABLES
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.diaries import SAID, Diary
from diary_pipeline_tests.older_catalogues import VERSIONS, age_objects, columns_of, older_file

REBUILT = {1, 2, 3}
"""Versions whose files are built from the log."""
PUBLISHED = sorted(descriptions().keys() - {"catalogue_state"})


@pytest.fixture
def diary(tmp_path: Path) -> Iterator[Diary]:
    """Three recordings: a note, a silence, a failure; and a refusal."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    begun = Diary(ledger, FolderStore(tmp_path / "objects"))
    walk, silent, cut = begun.accept("walk.m4a", "silent.m4a", "cut.m4a")
    begun.transcribe([walk])
    begun.transcribe([silent], said=())
    begun.fail("transcript", [cut])
    begun.write([walk])
    begun.write([silent], said=())
    begun.refuse("empty.m4a")
    yield begun
    ledger.close()


@pytest.fixture
def publisher(diary: Diary, tmp_path: Path) -> Publisher:
    """Its publisher."""
    return Publisher(diary.ledger, diary.store, tmp_path / "home" / "catalogue.duckdb")


def repr_of(column: str) -> str:
    """Write a column as SQL names it."""
    return f'"{column}"'


def told_of(file: Path) -> dict[str, Any]:
    """Give all rows of a catalogue, and how it is described."""
    with duckdb.connect(str(file), read_only=True) as db:
        return told(db)


def told(db: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Give the same of an open one."""
    shape = "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE schema_name = 'main' "
    rows: dict[str, Any] = {}
    for name in PUBLISHED:  # columns in order of name: an added one comes last where the table was there before
        columns = sorted(row[0] for row in db.execute(f"DESCRIBE {name}").fetchall())
        rows[name] = db.execute(f"SELECT {', '.join(map(repr_of, columns))} FROM {name} ORDER BY ALL").fetchall()
    return {**rows, "shape": db.execute(f"{shape} AND NOT internal ORDER BY ALL").fetchall()}


def test_every_version_has_its_step_and_its_frozen_columns() -> None:
    assert len(STEPS) == SCHEMA_VERSION - 1
    assert tuple(range(1, SCHEMA_VERSION + 1)) == VERSIONS
    today = {t.name: {c.name for c in t.columns} for t in TABLES}
    assert {name: set(columns) for name, columns in columns_of(SCHEMA_VERSION).items()} == today, "raise SCHEMA_VERSION"


@pytest.mark.parametrize("version", VERSIONS)
def test_objects_of_an_older_program_are_read_and_folded(
    diary: Diary, publisher: Publisher, tmp_path: Path, version: int
) -> None:
    age_objects(diary.store, version, tmp_path)
    [later] = diary.accept("later.m4a")
    diary.transcribe([later])
    diary.write([later])
    publisher.publish()
    with duckdb.connect(str(publisher.live), read_only=True) as db:
        notes = db.execute("SELECT recording_key FROM notes ORDER BY 1").fetchall()
        lacking = db.execute("SELECT DISTINCT rung IS NULL FROM segments WHERE recording_key <> ?", [later.key])
        assert lacking.fetchall() == [(True,)]
        statuses = db.execute("SELECT status, count(*) FROM recordings GROUP BY 1 ORDER BY 1").fetchall()
    assert statuses == [("completed", 3), ("failed", 1), ("refused", 1)]
    for (key,) in notes:
        transcript, note = transcript_of(diary.ledger, diary.store, key), note_of(diary.ledger, diary.store, key)
        assert transcript is not None and note is not None
        assert [s.text for s in transcript.speech] == list(SAID)
        assert all(s.words for s in transcript.speech)
        assert [i.quote for i in note.items] == list(SAID)
        assert note.transcript_version == transcript.version


@pytest.mark.parametrize("version", VERSIONS)
def test_a_migrated_file_is_what_a_rebuild_gives_and_goes_on_from_there(
    diary: Diary, publisher: Publisher, tmp_path: Path, version: int
) -> None:
    age_objects(diary.store, version, tmp_path)
    publisher.publish()
    older = tmp_path / "older.duckdb"
    older_file(publisher.live, version, older)
    with duckdb.connect(str(older)) as db:
        assert version_of(db) == version
        migrated = migrate(db, version)
        assert migrated == (version not in REBUILT)
        assert version_of(db) == (SCHEMA_VERSION if migrated else version)
    if not migrated:
        return
    assert told_of(older) == told_of(publisher.live)
    older.replace(publisher.live)
    [later] = diary.accept("later.m4a")
    diary.transcribe([later])
    diary.write([later])
    assert publisher.publish().recordings == 1, "it was not built from the log"
    rebuilt = Publisher(diary.ledger, diary.store, tmp_path / "elsewhere" / "catalogue.duckdb")
    assert rebuilt.publish().recordings == 5
    assert told_of(publisher.live) == told_of(rebuilt.live)


@pytest.mark.parametrize("version", [0, -1, SCHEMA_VERSION + 1])
def test_a_version_nobody_knows_is_built_from_the_log(publisher: Publisher, version: int) -> None:
    publisher.publish()
    publisher.live.chmod(0o600)
    with duckdb.connect(str(publisher.live)) as db:
        assert not migrate(db, version)
        assert version_of(db) == SCHEMA_VERSION


def test_what_is_no_catalogue_has_no_version() -> None:
    with duckdb.connect() as db:
        assert version_of(db) is None
