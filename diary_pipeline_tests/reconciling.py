"""A diary with its published file, for tests of what happens when its stores differ."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.pointers import pointer
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.upkeep.reconcile import Reconciled, reconcile
from diary_pipeline_tests.diaries import Diary

LONG_AGO = 1_770_000_000.0
SHOWN = ("recordings", "segments", "notes", "note_items", "completions", "checks", "llm_calls")


class House:
    """A diary with its published file."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.store = FolderStore(folder / "objects")
        self.diary = Diary(ledger, self.store)
        self.ledger = ledger
        self.publisher = Publisher(ledger, self.store, folder / "home" / "catalogue.duckdb")

    def noted(self, *names: str) -> list[Recording]:
        """Bring recordings to their notes, with their audio, and publish."""
        some = self.diary.accept(*names)
        for recording in some:
            self.store.put(recording.object_key, b"sound")
        self.diary.transcribe(some)
        self.diary.write(some)
        self.publisher.publish()
        return some

    def look(self, **how: Any) -> Reconciled:
        """Reconcile."""
        return reconcile(self.ledger, self.store, self.publisher.live, **{"refused_kept_s": 7 * 86_400.0, **how})

    def found(self, **how: Any) -> list[tuple[str, str, str]]:
        """Reconcile, and return what was found without the sentences."""
        return [(f.difference, f.subject, f.state) for f in self.look(**how).findings]

    def object_of(self, subject: str, kind: Any) -> str:
        """Return where a subject's rows lie."""
        with self.ledger.reading() as conn:
            there = pointer(conn, subject, kind)
        assert there is not None
        assert there.object_id is not None
        return there.object_id

    def shown(self) -> Mapping[str, list[tuple[Any, ...]]]:
        """Return all that users see but the order of commits."""
        with duckdb.connect(str(self.publisher.live), read_only=True) as db:
            return {t: sorted(db.execute(f"SELECT * EXCLUDE commit_seq FROM {t}").fetchall(), key=repr) for t in SHOWN}

    def tamper(self, *statements: str) -> None:
        """Change the published file behind the publisher's back."""
        self.publisher.live.chmod(0o600)
        with duckdb.connect(str(self.publisher.live)) as db:
            for statement in statements:
                db.execute(statement)


def make_old(store: FolderStore, key: str) -> None:
    """Let an object have been written long ago."""
    os.utime(store.path(key), (LONG_AGO, LONG_AGO))
