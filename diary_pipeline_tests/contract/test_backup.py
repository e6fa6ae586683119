"""A backup put back is the diary as it was, on SQLite and on PostgreSQL."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.catalogue.query import query
from diary_pipeline.catalogue.read import notes_of, transcripts_of
from diary_pipeline.core.errors import PermanentError, UsageError
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.connect import Ledger, open_ledger
from diary_pipeline.ledger.leases import heartbeat
from diary_pipeline.ledger.tables import holders, metadata
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.upkeep.backup import back_up
from diary_pipeline.upkeep.restore import Restored, restore
from diary_pipeline_tests.diaries import Diary


@dataclass
class Home:
    """A diary with audio, and a place for its backup."""

    diary: Diary
    url: str
    folder: Path

    @property
    def backup(self) -> Path:
        return self.folder / "backup"

    @property
    def places(self) -> dict[str, Path]:
        return {"dagster": self.folder / "dagster", "one.key": self.folder / "one.key"}

    def add(self, *names: str) -> None:
        """Bring recordings to their end."""
        some = self.diary.accept(*names)
        for one in some:
            self.diary.store.put(one.object_key, one.key.encode())
        self.diary.transcribe(some)
        self.diary.write(some)
        with self.diary.ledger.writing() as tx:  # whoever did it has gone
            tx.execute(holders.delete())

    def take(self) -> None:
        """Back up."""
        back_up(self.diary.ledger, self.diary.store, self.places, self.backup)

    def put_back(self, store: FolderStore, *, replace: bool = False) -> Restored:
        """Restore into a store, with the ledger closed."""
        self.diary.ledger.close()
        live = self.folder / "home" / "catalogue.duckdb"
        return restore(self.backup, self.url, store, self.places, [live], replace=replace)


def everything(ledger: Ledger) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    with ledger.reading() as conn:
        return {
            t.name: sorted(map(tuple, conn.execute(sa.select(t))), key=repr)
            for t in metadata.sorted_tables
            if t.name != "holders"
        }


@pytest.fixture
def home(ledger: Ledger, ledger_url: str, tmp_path: Path) -> Iterator[Home]:
    """A diary with two recordings that have ended."""
    found = Home(Diary(ledger, FolderStore(tmp_path / "objects")), ledger_url, tmp_path)
    found.places["dagster"].mkdir()
    (found.places["dagster"] / "dagster.yaml").write_text("storage: {}")
    found.places["one.key"].write_text("secret")
    found.add("a.m4a", "b.m4a")
    yield found


def test_a_diary_that_is_lost_comes_back_row_for_row_and_byte_for_byte(home: Home) -> None:
    home.take()
    before = everything(home.diary.ledger)
    home.add("later.m4a")
    shutil.rmtree(home.diary.store.root)
    shutil.rmtree(home.places["dagster"])
    home.places["one.key"].unlink()
    fresh = FolderStore(home.folder / "new objects")
    assert home.put_back(fresh, replace=True).objects == 4  # two of audio, a batch of transcripts, one of notes
    ledger = open_ledger(home.url)
    assert everything(ledger) == before
    with ledger.reading() as conn:
        rows = recordings.page(conn, limit=10)
    keys = [row.recording.key for row in rows]
    assert len(transcripts_of(ledger, fresh, keys)) == len(notes_of(ledger, fresh, keys)) == 2
    assert {fresh.get(row.recording.object_key) for row in rows} == {key.encode() for key in keys}
    assert (home.places["dagster"] / "dagster.yaml").read_text() == "storage: {}"
    assert home.places["one.key"].read_text() == "secret"
    live = home.folder / "home" / "catalogue.duckdb"
    Publisher(ledger, fresh, live).publish()
    assert query(live, "SELECT count(*) FROM notes").rows == ((2,),)
    ledger.close()


def test_the_next_backup_copies_what_is_new_and_drops_what_is_gone(home: Home) -> None:
    home.take()
    (gone, *_) = home.diary.store.list("audio/")
    home.add("c.m4a")
    with home.diary.ledger.writing() as tx:
        tx.execute(sa.text("UPDATE recordings SET audio_removed_at = 1 WHERE object_key = :key"), {"key": gone})
    home.diary.store.delete(gone)
    done = back_up(home.diary.ledger, home.diary.store, home.places, home.backup)
    assert (done.copied, done.removed) == (3, 1)  # audio, transcript and note
    assert list(FolderStore(home.backup / "objects").list("")) == list(home.diary.store.list(""))


def test_a_backup_without_an_object_that_is_needed_is_none(home: Home) -> None:
    home.take()
    (lost, *_) = home.diary.store.list("catalogue/")
    home.diary.store.delete(lost.rpartition("/")[0])
    with pytest.raises(PermanentError) as refused:
        home.take()
    assert refused.value.code == "backup_incomplete"
    with pytest.raises(PermanentError) as damaged:
        home.put_back(FolderStore(home.folder / "new"), replace=True)
    assert damaged.value.code == "backup_damaged"


@pytest.mark.parametrize("harm", ["manifest.json", "ledger.copy"])
def test_a_backup_that_was_cut_short_is_refused(home: Home, harm: str) -> None:
    home.take()
    whole = (home.backup / harm).read_bytes()
    (home.backup / harm).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PermanentError) as refused:
        home.put_back(FolderStore(home.folder / "new"), replace=True)
    assert refused.value.code == "backup_damaged"


def test_a_diary_in_use_is_not_replaced_and_one_that_is_there_only_when_said(home: Home) -> None:
    home.take()
    heartbeat(home.diary.ledger, "somebody", 60)
    with pytest.raises(PermanentError) as in_use:
        home.put_back(FolderStore(home.folder / "new"), replace=True)
    assert in_use.value.code == "diary_in_use"
    with home.diary.ledger.writing() as tx:
        tx.execute(holders.delete())
    with pytest.raises(UsageError) as there:
        home.put_back(FolderStore(home.folder / "new"))
    assert there.value.code == "home_not_empty"
