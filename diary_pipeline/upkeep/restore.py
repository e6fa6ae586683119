"""Putting a backup back, and erasing again what was erased after it was taken.

The surprise: nothing that users query is in a backup. The published file, marts and index that lie about are removed,
because a ledger that went back in time may reach the same commit numbers again with other commits.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from diary_pipeline.core.errors import PermanentError, UsageError
from diary_pipeline.ledger import snapshot
from diary_pipeline.ledger.commits import clock_now
from diary_pipeline.ledger.connect import open_ledger
from diary_pipeline.ledger.leases import live_holders
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.storage.store import ObjectStore
from diary_pipeline.upkeep.backup import LEDGER, OBJECTS, PLACES, Manifest, copy_missing, read_manifest


@dataclass(frozen=True)
class Restored:
    """What was put back."""

    manifest: Manifest
    objects: int
    """Those that the store lacked."""


def restore(
    folder: Path,
    ledger_url: str,
    store: ObjectStore,
    places: Mapping[str, Path],
    derived: Iterable[Path],
    *,
    replace: bool,
    on_copied: Callable[[int], None] = lambda _bytes: None,
) -> Restored:
    """Make ledger, objects and `places` what they were when the backup was taken; `derived` files are removed.

    UsageError `home_not_empty` where a diary with commits is already and `replace` is not said; PermanentError
    `diary_in_use` while somebody works there, `backup_damaged` when the backup is not whole.
    """
    manifest = read_manifest(folder)
    _must_be_free(ledger_url, replace=replace)
    copied = copy_missing(FolderStore(folder / OBJECTS), store, on_copied)
    for path in derived:
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)
    for name, place in places.items():
        _put_back(folder / PLACES / name, place)
    snapshot.put_back(ledger_url, folder / LEDGER)  # last: from here on the diary is the restored one
    return Restored(manifest, copied)


def _must_be_free(ledger_url: str, *, replace: bool) -> None:
    ledger = open_ledger(ledger_url)
    try:
        with ledger.reading() as conn:
            used, holders = clock_now(conn), live_holders(conn)
    finally:
        ledger.close()
    if holders:
        raise PermanentError(
            "diary_in_use", f"{len(holders)} runs are at work; stop the daemon (`diary dev`) and try again."
        )
    if used and not replace:
        raise UsageError(
            "home_not_empty", "There is a diary here already; say --replace to put the backup in its place."
        )


def _put_back(source: Path, place: Path) -> None:
    if source.is_dir():
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(source, place)
    elif source.is_file():
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy2(source, place)
