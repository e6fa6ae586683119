"""A file that appears whole or not at all, and that only its owner may read whatever the umask: 0600, new folders 0700.

For files that people and players look at; objects of the store are folder.py's business.
"""

import contextlib
import os
import secrets
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


def secret_in(path: Path) -> str:
    """Return the secret that a file holds, 64 hex; made at the first call, by whichever process is first."""
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, staged = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):  # a link never replaces what a faster process has made
        os.link(staged, path)
    Path(staged).unlink()
    return path.read_text(encoding="ascii").strip()


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
