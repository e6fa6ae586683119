"""The objects of one store in another: copied where they are missing, and removed again where they are gone.

Which of them a ledger needs is the backup's business. What is published in the store is left out: it is made again.

The surprise: an object that vanishes while it is copied is no failure. Merging and erasing delete at any time, and
whoever knows what is needed finds out whether it was.
"""

from collections.abc import Callable, Iterator, Set
from heapq import merge
from itertools import groupby

from diary_pipeline.core.errors import NotFound
from diary_pipeline.storage.keys import ANSWERS, AUDIO, CATALOGUE, CHECKPOINTS
from diary_pipeline.storage.store import ObjectStore

KEPT = (ANSWERS, AUDIO, CATALOGUE, CHECKPOINTS)
"""What the keys of objects begin with, in the order of their characters."""


def copy_missing(source: ObjectStore, target: ObjectStore, on_copied: Callable[[int], None]) -> int:
    """Copy the objects that a store lacks and return how many; `on_copied` hears the bytes of each."""
    copied = 0
    for key, names in _only_in_first(source, target):
        try:
            size = _copy(source, target, key, names)
        except (NotFound, FileNotFoundError):
            continue
        on_copied(size)
        copied += 1
    return copied


def remove_gone(source: ObjectStore, target: ObjectStore, needed: Set[str]) -> int:
    """Remove from a store what its source has no longer and nobody needs, and return how many objects that were."""
    removed = 0
    for key, _ in _only_in_first(target, source):
        if key not in needed:
            target.delete(key)
            removed += 1
    return removed


def objects(store: ObjectStore) -> Iterator[str]:
    """Yield the keys of all files that a mirror takes over."""
    for prefix in KEPT:
        yield from store.list(prefix)


def _only_in_first(first: ObjectStore, second: ObjectStore) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the objects that the second store lacks, in order of keys, so that memory does not grow with the stores."""
    for key, found in groupby(merge(_objects(first, 0), _objects(second, 1)), key=lambda entry: entry[0]):
        sides = {side: names for _, side, names in found}
        if 1 not in sides:
            yield key, sides[0]


def _objects(store: ObjectStore, side: int) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """Yield key, side and the names of the files in it; a catalogue object is a folder, all others are files."""
    for key, files in groupby(objects(store), key=_object_of):
        yield key, side, tuple(file.removeprefix(key).lstrip("/") for file in files)


def _object_of(file: str) -> str:
    return file.rpartition("/")[0] if file.startswith(CATALOGUE) else file


def _copy(source: ObjectStore, target: ObjectStore, key: str, names: tuple[str, ...]) -> int:
    if names == ("",):
        path = source.path(key)
        size = path.stat().st_size
        target.put_file(key, path)
        return size
    return target.put_folder(key, {name: source.path(f"{key}/{name}") for name in names})
