"""A backup: ledger, objects and Dagster's state in one folder, taken while everything runs, brought up to date by the
next one.

Putting it back is restore.py's business. Not in it: what is made from these (the published file, marts, the search
index, exports), and models. The surprise: the mirror of the objects follows erasures, so what was erased is in the
backup until the next one is taken, and in older copies of the folder for as long as you keep those.

Order is what makes it whole: objects never change once written, so a ledger copied *after* them finds all it points to,
but for what came meanwhile; that is fetched last.
"""

import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from heapq import merge
from itertools import groupby
from pathlib import Path

from diary_pipeline.core.errors import PermanentError
from diary_pipeline.ledger import snapshot
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.storage.store import ObjectStore

MANIFEST, LEDGER, OBJECTS, PLACES = "manifest.json", "ledger.copy", "objects", "places"
FORMAT = 1
TRIES = 3
SQLITE = frozenset({".db", ".sqlite"})
BESIDE_SQLITE = ("-wal", "-shm", "-journal")


@dataclass(frozen=True)
class Manifest:
    """What a backup holds."""

    format: int
    taken_at: str
    ledger: str
    """sqlite or postgresql."""
    ledger_sha256: str
    files: int
    """Of the objects; one of the catalogue has several."""
    objects_bytes: int


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

    PermanentError `backup_incomplete` when objects that the ledger needs are in neither place.
    """
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    mirror = FolderStore(into / OBJECTS)
    (into / MANIFEST).unlink(missing_ok=True)  # half of a backup is none
    copied, removed = _mirror(store, mirror, on_copied, remove=True)
    for _ in range(TRIES):
        taken = into / f".{LEDGER}"
        taken.unlink(missing_ok=True)
        with ledger.reading() as conn:
            needed = snapshot.needed_objects(conn)
        snapshot.take(ledger, taken)
        copied += _mirror(store, mirror, on_copied, remove=False)[0]
        if all(mirror.exists(id) for id in needed):
            break
    else:
        raise PermanentError(
            "backup_incomplete",
            "Objects that the ledger points to are missing; run `diary reconcile`, then back up again.",
        )
    taken.replace(into / LEDGER)
    _copy_places(places, into / PLACES)
    count, size = 0, 0
    for key in mirror.list(""):
        count, size = count + 1, size + mirror.path(key).stat().st_size
    at, kind = dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), ledger.engine.dialect.name
    manifest = Manifest(FORMAT, at, kind, sha256_of(into / LEDGER), count, size)
    staged = into / f".{MANIFEST}"
    staged.write_text(json.dumps(asdict(manifest), indent=2) + "\n", encoding="utf-8")
    staged.replace(into / MANIFEST)
    return BackedUp(copied, removed, manifest)


def read_manifest(folder: Path) -> Manifest:
    """Read what a backup holds; PermanentError `backup_damaged` when it is none, or not whole."""
    try:
        manifest = Manifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
        whole = manifest.format == FORMAT and sha256_of(folder / LEDGER) == manifest.ledger_sha256
    except (OSError, ValueError, TypeError):
        whole = False
    if not whole:
        raise PermanentError(
            "backup_damaged", f"{folder} holds no whole backup; take one with `diary backup {folder}`."
        )
    return manifest


def copy_missing(source: ObjectStore, target: ObjectStore, on_copied: Callable[[int], None]) -> int:
    """Copy the objects that a store lacks and return how many."""
    return _mirror(source, target, on_copied, remove=False)[0]


def sha256_of(file: Path) -> str:
    """Hash a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _mirror(
    source: ObjectStore, target: ObjectStore, on_copied: Callable[[int], None], *, remove: bool
) -> tuple[int, int]:
    """Copy what is missing, object by object in order of keys, so that memory does not grow with the store."""
    copied = removed = 0
    for key, sides in groupby(merge(_objects(source, 0), _objects(target, 1)), key=lambda found: found[0]):
        there = {side: names for _, side, names in sides}
        if 1 not in there:
            on_copied(_copy(source, target, key, there[0]))
            copied += 1
        elif 0 not in there and remove:
            target.delete(key)
            removed += 1
    return copied, removed


def _objects(store: ObjectStore, side: int) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """Yield key, side and the names of the files in it; a catalogue object is a folder, all others are files."""
    for key, files in groupby(store.list(""), key=_object_of):
        yield key, side, tuple(file.removeprefix(key).lstrip("/") for file in files)


def _object_of(file: str) -> str:
    return file.rpartition("/")[0] if file.startswith("catalogue/") else file


def _copy(source: ObjectStore, target: ObjectStore, key: str, names: tuple[str, ...]) -> int:
    if names == ("",):
        path = source.path(key)
        target.put_file(key, path)
        return path.stat().st_size
    return target.put_folder(key, {name: source.path(f"{key}/{name}") for name in names})


def _copy_places(places: Mapping[str, Path], into: Path) -> None:
    fresh = into.with_name(f".{into.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    for name, place in places.items():
        for file in [place] if place.is_file() else sorted(place.rglob("*")):
            if not file.is_file() or file.name.endswith(BESIDE_SQLITE):
                continue
            copy = fresh / name / file.relative_to(place) if place.is_dir() else fresh / name
            copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            copy.touch(mode=0o600)
            if file.suffix in SQLITE:
                snapshot.copy_sqlite(file, copy)
            else:
                shutil.copyfile(file, copy)
    shutil.rmtree(into, ignore_errors=True)
    fresh.rename(into)
