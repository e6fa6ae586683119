"""A catalogue built anew from ledger and store is the published one, row for row and order for order."""

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from diary_pipeline.catalogue.merge import merge
from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.catalogue.rewrite import rewrite_without
from diary_pipeline.core.note import Completion, NoteItem, Task
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.tables import commits
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.contract.test_rewritten_log import hide
from diary_pipeline_tests.diaries import Diary


@pytest.fixture
def diary(tmp_path: Path) -> Iterator[Diary]:
    """A diary nobody has begun yet."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield Diary(ledger, FolderStore(tmp_path / "objects"))
    ledger.close()


def everything(live: Path) -> Mapping[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables and views of a published file but the one that tells of the file itself."""
    with duckdb.connect(str(live), read_only=True) as db:
        names = db.execute(
            "SELECT schema_name || '.' || name FROM (SELECT schema_name, table_name AS name FROM duckdb_tables() "
            "UNION ALL SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal) "
            "WHERE name NOT LIKE 'catalogue_state%'"
        ).fetchall()
        return {n: sorted(map(repr, db.execute(f"FROM {n}").fetchall())) for (n,) in names}


def lived(diary: Diary, publisher: Publisher) -> None:
    """Let a diary meet all that recordings meet, publishing in between."""
    walk, bread, silent, broken, unheard, gone = diary.accept(
        "walk.m4a", "bread.m4a", "silent.m4a", "broken.m4a", "unheard.m4a", "gone.m4a"
    )
    diary.transcribe([walk, bread, broken, gone])
    diary.transcribe([silent], said=())
    publisher.publish()
    bought = Completion("I bought bread.", 2, 3.0, 4.0, "bought", "done", dt.date(2026, 3, 7), ("buy",), ("bread",))
    todo = NoteItem(0, "action", "Buy bread.", 0, 0.0, 1.0, "bread", task=Task("buy", ("bread",)))
    diary.write([walk, gone], items=(todo,), note_date=dt.date(2026, 3, 6))
    diary.write([bread], items=(todo,), completions=(bought,), note_date=dt.date(2026, 3, 7))
    diary.write([silent], said=())
    diary.fail("note", [broken], "note_failed")
    diary.fail("transcript", [unheard])
    diary.refuse("notes.txt")
    publisher.publish()
    diary.transcribe([walk], said=["I ran.", "Then I swam."])
    publisher.publish()
    diary.write([walk], said=["I ran.", "Then I swam."])
    diary.write([broken])  # put right
    hide(diary.ledger, gone.key, diary.refuse("empty.wav"))
    publisher.publish()
    diary.transcribe([silent], said=["Hello after all."])
    diary.write([silent], said=["Hello after all."])
    publisher.publish()
    rewrite_without(diary.ledger, diary.store, {gone.key})


@pytest.mark.parametrize("is_merged", [False, True])
def test_a_rebuild_from_ledger_and_store_equals_the_published_file(
    diary: Diary, tmp_path: Path, is_merged: bool
) -> None:
    publisher = Publisher(diary.ledger, diary.store, tmp_path / "home" / "catalogue.duckdb")
    lived(diary, publisher)
    if is_merged:
        with diary.ledger.writing() as tx:
            tx.execute(commits.update().values(committed_at=0.0))
        assert merge(diary.ledger, diary.store, older_than_s=60, at_least=2).objects > 5
    folded = everything(publisher.live)
    anew = Publisher(diary.ledger, diary.store, tmp_path / "anew" / "catalogue.duckdb")
    anew.publish()
    rebuilt = everything(anew.live)
    assert rebuilt.keys() == folded.keys()
    assert rebuilt == folded
    told = ("notes", "note_items", "segments", "recordings", "checks", "completions", "action_items")
    assert all(rebuilt[f"main.{name}"] for name in told), "there was something to compare"
    statuses = "SELECT DISTINCT status, coalesce(reason_code, '') FROM recordings ORDER BY ALL"
    with duckdb.connect(str(anew.live), read_only=True) as db:
        assert db.execute(statuses).fetchall() == [
            ("completed", ""),
            ("failed", "audio_truncated"),
            ("refused", "audio_empty"),
        ]
