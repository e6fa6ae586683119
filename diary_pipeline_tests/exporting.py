"""A published diary of two people, for tests of what leaves it."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.catalogue.read import segment_files
from diary_pipeline.core.note import NoteItem
from diary_pipeline.core.recording import RecordedAt, Recording
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.tables import clock, pointers
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.diaries import Diary


@dataclass
class PublishedDiary:
    """A home with its diary; `tell` adds to it, `publish` shows it."""

    home: Path
    diary: Diary
    publisher: Publisher

    @property
    def live(self) -> Path:
        return self.publisher.live

    def tell(
        self, file_name: str, said: Sequence[str], *, owner: str = "me", day: str = "2026-03-07", **changes: Any
    ) -> Recording:
        """Add a recording with its note; `names` are (kind, text) of items beside those of the builder."""
        names: Sequence[tuple[Any, str]] = changes.pop("names", ())
        at = dt.datetime.fromisoformat(f"{day}T06:45:00+00:00")
        recorded = RecordedAt(at, "UTC", "container_utc", 0.8, at.date())
        [recording] = self.diary.accept(file_name, owner=owner, recorded_at=recorded, tags=("my day", "7"))
        self.diary.transcribe([recording], said)
        self.note(recording, said, names, note_date=at.date(), **changes)
        return recording

    def note(
        self, recording: Recording, said: Sequence[str], names: Sequence[tuple[Any, str]] = (), **changes: Any
    ) -> None:
        """Write the note of a recording."""
        items = tuple(
            NoteItem(n, kind, text, 0, 0.0, 1.0, said[0]) for n, (kind, text) in enumerate([("event", said[0]), *names])
        )
        changes.setdefault("items", items)
        self.diary.write([recording], said, **changes)

    def publish(self) -> None:
        """Show it."""
        self.publisher.publish()

    def erase(self, *subjects: str) -> None:
        """Move pointers to nothing and publish, as erasure does before it removes bytes."""
        with self.diary.ledger.writing() as tx:
            tx.execute(clock.update().values(n=clock.c.n + 1))
            seq = tx.execute(sa.select(clock.c.n)).scalar_one()
            mine = pointers.update().where(pointers.c.subject.in_(subjects))
            tx.execute(mine.values(object_id=None, version=None, seq=seq))
        self.publish()

    def words(self, keys: Any, watermark: int) -> list[tuple[str, Path]]:
        """Give the files of words."""
        return segment_files(self.diary.ledger, self.diary.store, list(keys), watermark)


def begin(home: Path) -> PublishedDiary:
    """Begin an empty one below a folder."""
    home.mkdir(parents=True, exist_ok=True)
    diary = Diary(open_ledger(f"sqlite:///{home / 'ledger.sqlite'}"), FolderStore(home / "objects"))
    return PublishedDiary(home, diary, Publisher(diary.ledger, diary.store, home / "catalogue.duckdb"))
