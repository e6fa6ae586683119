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
from diary_pipeline.core.errors import PermanentError, ServiceMissing, UsageError
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.leases import heartbeat
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.publications import watch
from diary_pipeline.ledger.tables import holders, metadata, pointers
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.storage.keys import LEDGER_ID
from diary_pipeline.upkeep.backup import back_up, read_manifest
from diary_pipeline.upkeep.mirror import objects
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


def without_restoring(rows: dict[str, list[tuple[object, ...]]]) -> dict[str, list[tuple[object, ...]]]:
    """What restoring itself writes down left out."""
    return {name: rows[name] for name in rows if name not in ("clock", "identity")}


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
    assert without_restoring(everything(ledger)) == without_restoring(before)
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
    assert list(FolderStore(home.backup / "objects").list("")) == list(objects(home.diary.store))


def test_what_is_lost_is_named_and_everything_else_is_backed_up(home: Home) -> None:
    (lost, *_) = home.diary.store.list("audio/")
    home.diary.store.delete(lost)
    home.take()
    manifest = read_manifest(home.backup)
    assert (list(manifest.missing), manifest.files) == ([lost], 1 + len(list(home.diary.store.list("catalogue/"))))
    fresh = FolderStore(home.folder / "new")
    assert home.put_back(fresh, replace=True).objects == 3
    assert list(fresh.list("catalogue/")) == list(home.diary.store.list("catalogue/"))


def test_what_is_lost_since_the_last_backup_stays_in_it(home: Home) -> None:
    home.take()
    (lost, *_) = home.diary.store.list("audio/")
    home.diary.store.delete(lost)
    home.take()
    assert not read_manifest(home.backup).missing
    fresh = FolderStore(home.folder / "new")
    home.put_back(fresh, replace=True)
    assert fresh.exists(lost)


def test_an_object_that_is_being_made_again_is_not_called_lost_and_stays_in_the_backup(home: Home) -> None:
    home.take()
    (lost, *_) = home.diary.store.list("catalogue/")
    id = lost.rpartition("/")[0]
    home.diary.store.delete(id)
    with home.diary.ledger.writing() as tx:  # as reconciling does
        tx.execute(pointers.update().where(pointers.c.object_id == id).values(object_id=None))
    home.take()
    assert FolderStore(home.backup / "objects").exists(id)
    shutil.rmtree(home.backup)
    home.take()
    assert not read_manifest(home.backup).missing


@pytest.mark.parametrize("taken_before", [True, False], ids=["and said whose it was", "and never said whose it was"])
def test_a_store_that_is_away_leaves_the_backup_as_it_was(home: Home, taken_before: bool) -> None:
    home.take()
    if not taken_before:
        home.diary.store.delete(LEDGER_ID)
    before = sorted(file for file in home.backup.rglob("*") if file.is_file())
    home.diary.store.root.rename(home.folder / "unmounted")
    with pytest.raises(ServiceMissing) as away:
        home.take()
    assert away.value.code == "store_away"
    assert sorted(file for file in home.backup.rglob("*") if file.is_file()) == before
    fresh = FolderStore(home.folder / "new")
    assert home.put_back(fresh, replace=True).objects == 4


class Breaking(FolderStore):
    """A disk that goes away after so many looks at its objects."""

    looks = 0

    def list(self, prefix: str) -> Iterator[str]:
        """Yield keys while it is there."""
        self.looks -= 1
        if self.looks < 0:
            raise OSError("the disk is gone")
        return super().list(prefix)


@pytest.mark.parametrize("looks", [0, 5, 7, 9], ids=["at once", "after the ledger", "at the last", "while removing"])
def test_a_backup_that_breaks_off_leaves_a_whole_one(home: Home, looks: int) -> None:
    home.take()
    before = everything(home.diary.ledger)
    (gone, *_) = home.diary.store.list("audio/")
    home.add("later.m4a")
    with home.diary.ledger.writing() as tx:
        tx.execute(sa.text("UPDATE recordings SET audio_removed_at = 1 WHERE object_key = :key"), {"key": gone})
    home.diary.store.delete(gone)
    after = everything(home.diary.ledger)
    breaking = Breaking(home.diary.store.root)
    breaking.looks = looks
    with pytest.raises(OSError, match="gone"):
        back_up(home.diary.ledger, breaking, home.places, home.backup)
    is_new = looks > 8  # the manifest is there before anything is removed
    home.put_back(FolderStore(home.folder / "new"), replace=True)
    ledger = open_ledger(home.url)
    assert without_restoring(everything(ledger)) == without_restoring(after if is_new else before)
    assert FolderStore(home.folder / "new").exists(gone)
    ledger.close()


class Vanishing(FolderStore):
    """A store in which others delete: one key goes between the listing of it and the copying."""

    vanishes = ""

    def path(self, key: str) -> Path:
        """Lose the object first."""
        if key == self.vanishes:
            self.delete(key)
        return super().path(key)


def test_an_object_that_vanishes_while_it_is_copied_stops_nothing(home: Home) -> None:
    store = Vanishing(home.diary.store.root)
    store.vanishes = "checkpoints/aa/bb/0.json"
    store.put(store.vanishes, b"1")
    store.put("checkpoints/aa/bb/1.json", b"1")
    assert back_up(home.diary.ledger, store, home.places, home.backup).copied == 5
    assert list(FolderStore(home.backup / "objects").list("checkpoints/")) == ["checkpoints/aa/bb/1.json"]


def test_what_is_being_written_in_a_place_and_what_is_published_are_not_copied(home: Home) -> None:
    (home.places["dagster"] / ".x.part").write_text("half")
    home.diary.store.put("published/catalogue-1-aaaaaaaaaaaa.duckdb", b"much")
    home.take()
    assert not list(home.backup.rglob("*.part"))
    assert not list(home.backup.rglob("*.duckdb"))


def test_receipts_that_came_after_the_backup_are_not_taken_back(home: Home) -> None:
    receipts = home.folder / "receipts"
    receipts.mkdir()
    (receipts / "old.json").write_text("old")
    back_up(home.diary.ledger, home.diary.store, {"receipts": receipts}, home.backup)
    (receipts / "old.json").unlink()
    (receipts / "new.json").write_text("new")
    home.diary.ledger.close()
    restore(home.backup, home.url, home.diary.store, {"receipts": receipts}, [], replace=True)
    assert {file.name for file in receipts.iterdir()} == {"old.json", "new.json"}


@pytest.mark.parametrize("harm", ["manifest.json", "state-*/ledger.copy"])
def test_a_backup_that_was_cut_short_is_refused(home: Home, harm: str) -> None:
    home.take()
    (harmed,) = home.backup.glob(harm)
    whole = harmed.read_bytes()
    harmed.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PermanentError) as refused:
        home.put_back(FolderStore(home.folder / "new"), replace=True)
    assert refused.value.code == "backup_damaged"


def test_a_file_of_another_course_of_the_diary_is_made_anew(home: Home) -> None:
    """Another machine published what came after the backup, and sees the restored diary reach further than that."""
    elsewhere = home.folder / "elsewhere" / "catalogue.duckdb"
    home.take()
    home.add("that went another way.m4a")
    Publisher(home.diary.ledger, home.diary.store, elsewhere).publish()
    home.put_back(home.diary.store, replace=True)
    ledger = open_ledger(home.url)
    home.diary = Diary(ledger, home.diary.store)
    home.add("c.m4a", "d.m4a")
    Publisher(ledger, home.diary.store, elsewhere).publish()
    with ledger.reading() as conn:
        known = {row.recording.key for row in recordings.page(conn, limit=10)}
    assert {key for (key,) in query(elsewhere, "SELECT recording_key FROM notes").rows} == known
    ledger.close()


def test_a_backup_is_not_put_into_the_store_of_another_diary(home: Home, tmp_path: Path) -> None:
    home.take()
    others = FolderStore(tmp_path / "others")
    others.put(LEDGER_ID, b"another")
    with pytest.raises(ServiceMissing) as refused:
        home.put_back(others, replace=True)
    assert refused.value.code == "store_not_ours"
    assert list(others.list("")) == [LEDGER_ID]


def test_a_diary_that_a_publisher_watches_is_not_replaced(home: Home) -> None:
    home.take()
    watch(home.diary.ledger, "another machine", 60)
    with pytest.raises(PermanentError) as in_use:
        home.put_back(FolderStore(home.folder / "new"), replace=True)
    assert in_use.value.code == "diary_in_use"


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
