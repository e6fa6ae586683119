"""A file or folder that appears under its name whole or not at all, in place of what lay there.

For exports. Small files that people look at are private.py's, objects of the store folder.py's.

What surprises: a folder cannot replace a folder in one step. The old one is moved aside first, so for a moment there is
none; a crash in that moment leaves the old one beside it as `.<name>.<random>.old`, which `sweep` gives back.
"""

import contextlib
import glob
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """Give a path beside the target to write a file or folder to; put it in the target's place at the end.

    It becomes private to its owner (0600, 0700) and is on the disk before it appears. When the body raises, nothing of
    it stays and the target is as it was.
    """
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = f".{target.name}.{uuid.uuid4().hex[:12]}"
    part, old = target.with_name(f"{beside}.part"), target.with_name(f"{beside}.old")
    try:
        yield part
        _settle(part)
        if part.is_dir() and target.is_dir() and not target.is_symlink():
            target.rename(old)
            try:
                part.rename(target)
            except OSError:
                old.rename(target)
                raise
            _remove(old)
        else:
            part.replace(target)
        _sync(target.parent)
    finally:
        _remove(part)
        _remove(part.with_name(f"{part.name}.wal"))  # of a database whose writing was broken off


def sweep(target: Path) -> None:
    """Remove what killed writers left beside it, and give the old one back where none took its place.

    Nobody may be writing meanwhile.
    """
    beside = f".{glob.escape(target.name)}.{'[0-9a-f]' * 12}"
    for old in target.parent.glob(f"{beside}.old"):
        if os.path.lexists(target):
            _remove(old)
        else:
            old.rename(target)
    for part in target.parent.glob(f"{beside}.part*"):
        _remove(part)


def _settle(part: Path) -> None:
    """Make it private, and let it reach the disk."""
    if part.is_dir():
        part.chmod(0o700)
        for inner in part.iterdir():
            _settle(inner)
    else:
        part.chmod(0o600)
    _sync(part)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
