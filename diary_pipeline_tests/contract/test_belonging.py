"""Whose a store is: asked of folders that are away, that are another diary's, and that are older than the question."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.identity import identity_of, note_restored
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.storage.keys import LEDGER_ID
from diary_pipeline.upkeep.belonging import demand_own_store, mark_own_store
from diary_pipeline_tests.diaries import Diary


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """An empty folder."""
    return FolderStore(tmp_path / "objects")


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Ledger]:
    """Another ledger, opened by mistake."""
    ledger = open_ledger(f"sqlite:///{tmp_path}/stranger.db")
    yield ledger
    ledger.close()


def refused(ledger: Ledger, store: FolderStore) -> str:
    """Return the code of the refusal."""
    with pytest.raises(ServiceMissing) as told:
        demand_own_store(ledger, store)
    return told.value.code


def test_a_store_is_told_whose_it_is_before_anything_is_in_it(
    ledger: Ledger, stranger: Ledger, store: FolderStore
) -> None:
    demand_own_store(ledger, store)
    with ledger.reading() as conn:
        assert store.get(LEDGER_ID).decode() == identity_of(conn).ledger_id
    demand_own_store(ledger, store)
    assert refused(stranger, store) == "store_not_ours"
    mark_own_store(stranger, store)
    demand_own_store(stranger, store)


def test_a_store_that_is_away_is_not_an_empty_one(ledger: Ledger, store: FolderStore, tmp_path: Path) -> None:
    diary = Diary(ledger, store)
    diary.transcribe(diary.accept("walk.m4a"))
    (tmp_path / "objects").rename(tmp_path / "away")
    assert refused(ledger, store) == "store_away", "it was never told whose it is"
    (tmp_path / "away").rename(tmp_path / "objects")
    demand_own_store(ledger, store)
    (tmp_path / "objects").rename(tmp_path / "away")
    assert refused(ledger, store) == "store_away"
    assert not (tmp_path / "objects" / LEDGER_ID).exists()
    shutil.rmtree(tmp_path / "away")


def test_a_store_that_was_there_before_the_ledger_is_anothers(
    ledger: Ledger, stranger: Ledger, store: FolderStore
) -> None:
    diary = Diary(ledger, store)
    diary.transcribe(diary.accept("walk.m4a"))
    [a, *_] = store.list("catalogue/")
    os.utime(store.path(a.rpartition("/")[0]), (0, 0))
    os.utime(store.path(a), (0, 0))
    assert refused(stranger, store) == "store_not_ours"
    demand_own_store(ledger, store)


def test_a_ledger_knows_that_it_was_restored(ledger: Ledger) -> None:
    with ledger.reading() as conn:
        before = identity_of(conn)
    assert before.restored_at is None
    note_restored(ledger)
    with ledger.reading() as conn:
        after = identity_of(conn)
    assert after.ledger_id == before.ledger_id
    assert (after.restored_at or 0.0) >= before.made_at
