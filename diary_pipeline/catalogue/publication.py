"""The published file in a bucket: uploaded after each swap, and the small object that says which upload is the newest.

An upload never replaces another: whoever reads one from afar fetches its ranges over time. So each has a name of its
own, of watermark and content, and stays for a grace period after the next one is pointed to. Machines without a
publisher fetch by the pointer; see fetched.py.

What surprises: the pointer never goes back, also when a publisher that was given up for dead wakes up with an older
file. A ledger restored from a backup counts from an earlier commit, so a restore must `withdraw` first. And the same
watermark may be uploaded twice, with other bytes: an erased diary is rewritten without a commit.
"""

import datetime as dt
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter

from diary_pipeline.catalogue.schema import SCHEMA_VERSION
from diary_pipeline.core.errors import TransientError
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.keys import PUBLISHED_POINTER, PUBLISHED_PREFIX, published_key, watermark_in
from diary_pipeline.storage.packaged_files import sha256_of
from diary_pipeline.storage.store import ObjectStore

logger = log("catalogue.publication")

CATALOGUE = "catalogue.duckdb"
GRACE_S = 3600.0
"""Seconds for which an upload outlives the next one: longer than a download of it, or a session over ranges, takes."""
_STAGING = ".upload-"
_TRIES = 5  # publishers take turns, so even a second try is rare


class SharedStore(ObjectStore, Protocol):
    """A store that several machines write to, so that a replacement can be made to depend on what it replaces."""

    def read(self, key: str) -> tuple[bytes, int] | None:
        """Return the bytes of a file with their generation; None: it is not there."""
        ...

    def put_over(self, key: str, data: bytes, generation: int) -> bool:
        """Replace a file if it still is of this generation (0: it is not there); False: somebody was faster."""
        ...

    def fetch(self, key: str, into: Path) -> None:
        """Write a file of the store to a new, private local one; NotFound `object_missing`."""
        ...


@dataclass(frozen=True)
class Upload:
    """One uploaded file."""

    key: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Older:
    """An upload that is no longer the newest."""

    key: str
    since: dt.datetime


@dataclass(frozen=True)
class Current:
    """What the pointer says."""

    watermark: int
    """Of the last commit in the catalogue."""
    schema_version: int
    published_at: dt.datetime
    files: Mapping[str, Upload]
    """By the name that a file has on the machine that published it."""
    older: tuple[Older, ...] = field(default=())


_CURRENT = TypeAdapter(Current)


class Publication:
    """The uploads of one deployment. To be used by whoever holds the publisher's lock; others only read `current`."""

    def __init__(self, store: SharedStore, grace_s: float = GRACE_S) -> None:
        self.store = store
        self.grace_s = grace_s

    def current(self) -> Current | None:
        """Return what is published in the store; None: nothing."""
        return self._pointed()[0]

    def behind(self, live: Path, watermark: int) -> bool:
        """Whether less is published in the store; asked where the swap came through and the upload did not.

        At the same watermark what counts is whether this very file was uploaded, because marts come without a commit.
        The pointer's hash cannot tell: two publishers' files differ though they hold the same, and would take turns.
        """
        current = self.current()
        if current is None or current.watermark != watermark:
            return current is None or current.watermark < watermark
        mark = _mark(live)
        return not mark.exists() or mark.read_text(encoding="ascii") != _stamp(live)

    def upload(self, live: Path, watermark: int, search: Path | None = None) -> bool:
        """Upload the published file, and the search index beside it if there is one; False: a newer one is there."""
        stamp = _stamp(live)
        if not self._uploaded(live, watermark, search):
            return False
        _mark(live).write_text(stamp, encoding="ascii")
        return True

    def _uploaded(self, live: Path, watermark: int, search: Path | None) -> bool:
        before = self.current()
        if before is not None and before.watermark > watermark:
            return _refused(watermark, before)
        for left in live.parent.glob(f"{_STAGING}*"):  # of a publisher that was killed
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=_STAGING, dir=live.parent) as folder:
            files = {CATALOGUE: live}
            if search is not None and search.exists():
                files[search.name] = _snapshot(search, Path(folder))
            uploads = {name: _described(name, watermark, file) for name, file in files.items()}
            if before is not None and before.files == uploads:
                return True
            for name, upload in uploads.items():
                self.store.put_file(upload.key, files[name])
        return self._point(Current(watermark, SCHEMA_VERSION, _now(), uploads))

    def replace_all(self, live: Path, watermark: int, search: Path | None = None) -> int:
        """Upload the published file and remove every other upload at once, without grace: erasure's last step here.

        Return how many were removed. TransientError `publication_ahead` when the store shows a later commit, which may
        hold what was erased.
        """
        if not self.upload(live, watermark, search):
            raise TransientError(
                "publication_ahead",
                f"The bucket shows a later commit than {watermark}, the ledger's last, so what was erased may still be "
                "in it: let no other deployment publish there, or remove its `published/` and run "
                "`diary publish --compact`.",
            )
        return self._forget_older()

    def _forget_older(self) -> int:
        current, generation = self._pointed()
        if current is not None and current.older:
            self.store.put_over(PUBLISHED_POINTER, _CURRENT.dump_json(replace(current, older=())), generation)
        return self._remove_all(keep=_keys(current) if current else set())

    def withdraw(self) -> int:
        """Remove every upload and the pointer, so that an earlier watermark may be published, and return how many."""
        self.store.delete(PUBLISHED_POINTER)
        return self._remove_all(keep=set())

    def _pointed(self) -> tuple[Current | None, int]:
        found = self.store.read(PUBLISHED_POINTER)
        return (None, 0) if found is None else (_CURRENT.validate_json(found[0]), found[1])

    def _point(self, mine: Current) -> bool:
        """Move the pointer, unless it is further already, and remove what its grace is over for."""
        for _ in range(_TRIES):
            before, generation = self._pointed()
            if before is not None and before.watermark > mine.watermark:
                return _refused(mine.watermark, before)
            older = _older(before, mine)
            limit = mine.published_at - dt.timedelta(seconds=self.grace_s)
            kept = tuple(o for o in older if o.since > limit)
            moved = _CURRENT.dump_json(replace(mine, older=kept))
            if self.store.put_over(PUBLISHED_POINTER, moved, generation):
                self._tidy(mine, kept, [o for o in older if o not in kept])
                logger.info("uploaded", watermark=mine.watermark, older=len(kept))
                return True
        raise TransientError(
            "publication_contended",
            "Several publishers move one bucket's pointer at once; let only one of them publish.",
        )

    def _tidy(self, mine: Current, kept: tuple[Older, ...], over: list[Older]) -> None:
        wanted = _keys(mine) | {o.key for o in kept}
        # What a killed publisher uploaded and never pointed to cannot be pointed to any more once we are further.
        left = [key for key in self.store.list(PUBLISHED_PREFIX) if (watermark_in(key) or 0) < mine.watermark]
        for key in {*left, *(o.key for o in over)} - wanted - {PUBLISHED_POINTER}:
            self.store.delete(key)

    def _remove_all(self, keep: set[str]) -> int:
        gone = [key for key in self.store.list(PUBLISHED_PREFIX) if key not in keep and watermark_in(key) is not None]
        for key in gone:
            self.store.delete(key)
        return len(gone)


def _refused(watermark: int, by: Current) -> bool:
    logger.warning("publication_is_newer", watermark=watermark, published=by.watermark)
    return False


def _mark(live: Path) -> Path:
    """Beside the published file stands which one was uploaded last."""
    return live.with_name(f".{live.name}.uploaded")


def _stamp(live: Path) -> str:
    there = live.stat()
    return f"{there.st_ino}-{there.st_mtime_ns}-{there.st_size}"


def _keys(current: Current) -> set[str]:
    return {upload.key for upload in current.files.values()}


def _older(before: Current | None, mine: Current) -> list[Older]:
    if before is None:
        return []
    superseded = (Older(upload.key, mine.published_at) for upload in before.files.values())
    return [o for o in (*before.older, *superseded) if o.key not in _keys(mine)]


def _described(name: str, watermark: int, file: Path) -> Upload:
    sha256 = sha256_of(file)
    return Upload(published_key(name, watermark, sha256), sha256, file.stat().st_size)


def _snapshot(database: Path, folder: Path) -> Path:
    """Copy an SQLite file with whatever its write-ahead log holds."""
    copy = folder / database.name
    with (
        closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    return copy


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
