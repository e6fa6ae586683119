"""Putting a backup back; what was erased after it was taken, and has to go again, is again.py's business.

The surprise: nothing that users query is in a backup. The published file, marts and index that lie about are removed,
because a ledger that went back in time may reach the same commit numbers again with other commits.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from diary_pipeline.core.errors import PermanentError, UsageError
from diary_pipeline.ledger import publications, snapshot
from diary_pipeline.ledger.clock import clock_now
from diary_pipeline.ledger.identity import identity_of, note_restored
from diary_pipeline.ledger.leases import live_holders
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.storage.store import ObjectStore
from diary_pipeline.upkeep.backup import OBJECTS, RECEIPTS, Manifest, read_manifest
from diary_pipeline.upkeep.belonging import demand_store_of, mark_own_store
from diary_pipeline.upkeep.mirror import copy_missing


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
    `diary_in_use` while somebody works there, `backup_damaged` when the backup is not whole; ServiceMissing
    `store_not_ours` where the store is another diary's.
    """
    manifest = read_manifest(folder)
    demand_store_of(store, {manifest.ledger_id, demand_free(ledger_url, replace=replace)})
    copied = copy_missing(FolderStore(folder / OBJECTS), store, on_copied)
    for path in derived:
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)
    for name, place in places.items():
        _put_back(manifest.places_in(folder) / name, place, anew=name != RECEIPTS)
    snapshot.put_back(ledger_url, manifest.ledger_in(folder))  # last: from here on the diary is the restored one
    ledger = open_ledger(ledger_url)
    try:
        note_restored(ledger)
        mark_own_store(ledger, store)
    finally:
        ledger.close()
    return Restored(manifest, copied)


def demand_free(ledger_url: str, *, replace: bool) -> str:
    """Refuse to replace a diary that somebody works in, or, unless `replace` is said, one that holds something.

    Return the id of its ledger. An idle daemon is not seen here; whoever knows Dagster looks for it.
    """
    ledger = open_ledger(ledger_url)
    try:
        with ledger.reading() as conn:
            used, holders, watched = clock_now(conn), live_holders(conn), publications.is_watched(conn)
            id = identity_of(conn).ledger_id
    finally:
        ledger.close()
    if holders:
        raise PermanentError(
            "diary_in_use", f"{len(holders)} runs are at work; stop the daemon (`diary dev`) and try again."
        )
    if watched:
        raise PermanentError(
            "diary_in_use", "A publisher watches this diary; stop `diary publish --watch` and try again in a minute."
        )
    if used and not replace:
        raise UsageError(
            "home_not_empty", "There is a diary here already; say --replace to put the backup in its place."
        )
    return id


def _put_back(source: Path, place: Path, *, anew: bool) -> None:
    """Give a place what the backup holds of it: in the stead of what is there, or beside it."""
    if source.is_dir():
        if anew:
            shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(source, place, dirs_exist_ok=True)
    elif source.is_file():
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy2(source, place)
