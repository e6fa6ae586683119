"""A backup: ledger, objects and Dagster's state in one folder, taken while everything runs, brought up to date by the
next one.

Putting it back is restore.py's business, copying objects mirror.py's. Not in it: what is made from these (the published
file, marts, the search index, exports), and models. The surprise: the mirror of the objects follows erasures, so what
was erased is in the backup until the next one is taken, and in copies of the folder for as long as you keep those.

Order is what makes it whole. Objects never change once written, so a ledger copied *after* them finds all it points to,
but for what came meanwhile; that is fetched last. And the manifest changes hands at the very end, before anything is
removed: until then the backup before is there, with all it needs.
"""

import datetime as dt
import json
import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import asdict, dataclass
from pathlib import Path

from diary_pipeline.core.errors import PermanentError
from diary_pipeline.ledger import snapshot
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.identity import identity_of
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.storage.packaged_files import sha256_of
from diary_pipeline.storage.store import ObjectStore
from diary_pipeline.upkeep.belonging import demand_own_store
from diary_pipeline.upkeep.mirror import copy_missing, objects, remove_gone

MANIFEST, OBJECTS = "manifest.json", "objects"
STATE, LEDGER, PLACES = "state-", "ledger.copy", "places"
RECEIPTS = "receipts"
"""The place whose files are never taken back: what was erased stays erased."""
FORMAT = 1
TRIES = 4
SQLITE = frozenset({".db", ".sqlite"})
NOT_COPIED = ("-wal", "-shm", "-journal", ".part")
"""What lies beside SQLite files and belongs to their copies already, and what somebody is writing."""


@dataclass(frozen=True)
class Manifest:
    """What a backup holds."""

    format: int
    taken_at: str
    state: str
    """Folder with the ledger and the places; the others of its kind are of a backup that was cut short."""
    ledger: str
    """sqlite or postgresql."""
    ledger_id: str
    """What its store says whose it is."""
    ledger_sha256: str
    files: int
    """Of the objects; one of the catalogue has several."""
    objects_bytes: int
    missing: tuple[str, ...]
    """Objects that the ledger needs and that were lost before this backup, or are in no other."""

    def ledger_in(self, folder: Path) -> Path:
        """Name the copy of the ledger."""
        return folder / self.state / LEDGER

    def places_in(self, folder: Path) -> Path:
        """Name the folder of the places."""
        return folder / self.state / PLACES


@dataclass(frozen=True)
class BackedUp:
    """What one call did."""

    copied: int
    removed: int
    manifest: Manifest


def back_up(
    ledger: Ledger,
    store: ObjectStore,
    places: Mapping[str, Path],
    into: Path,
    on_copied: Callable[[int], None] = lambda _bytes: None,
) -> BackedUp:
    """Bring the backup in a folder up to date; `places` are further files and folders by name (Dagster's, keys).

    What the ledger needs and nobody has is named in the manifest. Cut short, it leaves the backup before as it was.
    ServiceMissing `store_away` or `store_not_ours` before anything is touched.
    """
    demand_own_store(ledger, store)
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    mirror = FolderStore(into / OBJECTS)
    state = into / f"{STATE}{secrets.token_hex(6)}"
    state.mkdir(mode=0o700)
    copied = copy_missing(store, mirror, on_copied)
    missing: Set[str] = frozenset()
    for _ in range(TRIES):
        missed_before = missing
        (state / LEDGER).unlink(missing_ok=True)
        needed = snapshot.take(ledger, state / LEDGER)
        copied += copy_missing(store, mirror, on_copied)
        missing = {id for id in needed.objects if not mirror.exists(id)}
        # Other ones every time: they were replaced between the copies, and the next ledger knows by what.
        if not missing or missing == missed_before:
            break
    _copy_places(places, state / PLACES)
    count, size = 0, 0
    for key in objects(mirror):
        count, size = count + 1, size + mirror.path(key).stat().st_size
    with ledger.reading() as conn:
        id = identity_of(conn).ledger_id
    at, kind = dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), ledger.engine.dialect.name
    digest = sha256_of(state / LEDGER)
    manifest = Manifest(FORMAT, at, state.name, kind, id, digest, count, size, tuple(sorted(missing)))
    _sign_over(into, manifest)
    return BackedUp(copied, remove_gone(store, mirror, needed.objects | needed.made_again), manifest)


def read_manifest(folder: Path) -> Manifest:
    """Read what a backup holds; PermanentError `backup_damaged` when it is none, or not whole."""
    try:
        manifest = Manifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
        whole = manifest.format == FORMAT and sha256_of(manifest.ledger_in(folder)) == manifest.ledger_sha256
    except (OSError, ValueError, TypeError):
        whole = False
    if not whole:
        raise PermanentError(
            "backup_damaged", f"{folder} holds no whole backup; take one with `diary backup {folder}`."
        )
    return manifest


def _sign_over(into: Path, manifest: Manifest) -> None:
    """Make this the backup, and remove what the one before, and ones cut short, left of ledger and places."""
    staged = into / f".{MANIFEST}"
    staged.write_text(json.dumps(asdict(manifest), indent=2) + "\n", encoding="utf-8")
    for written in (manifest.ledger_in(into), staged):
        with written.open("rb") as opened:
            os.fsync(opened.fileno())
    staged.replace(into / MANIFEST)
    for other in into.glob(f"{STATE}*"):
        if other.name != manifest.state:
            shutil.rmtree(other, ignore_errors=True)


def _copy_places(places: Mapping[str, Path], into: Path) -> None:
    into.mkdir(mode=0o700)
    for name, place in places.items():
        for file in _files(place):
            copy = into / name / file.relative_to(place) if file != place else into / name
            copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                copy.touch(mode=0o600)
                if file.suffix in SQLITE:
                    snapshot.copy_sqlite(file, copy)
                else:
                    shutil.copyfile(file, copy)
            except (FileNotFoundError, sqlite3.OperationalError):
                if file.exists():
                    raise
                copy.unlink()  # its owner took it away since it was listed


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
        return
    for folder, _, names in os.walk(place, onerror=_unless_gone):
        yield from (Path(folder, name) for name in sorted(names) if not name.endswith(NOT_COPIED))


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
