"""A file that appears whole or not at all, and that only its owner may read whatever the umask: 0600, new folders 0700.

For files that people and players look at; objects of the store are folder.py's business.
"""

import contextlib
import os
import tempfile
from pathlib import Path


def write_private(path: Path, content: bytes) -> None:
    """Write `<root>/<folder>/<name>`, replacing what is there; both folders are made when they are missing."""
    path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    handle, staged = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(staged).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(staged).unlink()
        raise


def swap_in(built: Path, target: Path) -> None:
    """Give a finished file its name, read-only; readers keep what they opened, and a power cut undoes nothing.

    Read-only, because whoever opens a database for writing locks its readers out.
    """
    handle = os.open(built, os.O_RDONLY)
    try:
        os.fchmod(handle, 0o400)
        os.fsync(handle)
    finally:
        os.close(handle)
    built.rename(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
