"""Which files of a folder are recordings to take. Reads names and times only, never a byte of audio.

A watched folder belongs to somebody else: nothing in it is moved, renamed, written or deleted. The surprise: here, and
only here, a file's suffix counts, because a folder of recordings also holds texts and pictures that are no failed
recordings. A file that somebody names is always taken and judged by its bytes.
"""

import fnmatch
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from diary_pipeline.core.owner import DEFAULT_OWNER
from diary_pipeline.observability.logs import log

HOME_MARKER = ".diary-home"
"""A folder that holds a file of this name is ours: nothing inside it is a recording to take."""
MEDIA_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("3g2", "3ga", "3gp", "3gpp", "aac", "aif", "aifc", "aiff", "amr", "au", "avi", "awb", "caf", "flac", "m4a"),
        *("m4b", "m4v", "mka", "mkv", "mov", "mp2", "mp3", "mp4", "mpeg", "mpg", "mpga", "oga", "ogg", "ogv", "opus"),
        *("qta", "wav", "wave", "weba", "webm", "wma"),
    )
)
# `2026.05.01 21.30` and `Talk with Dr. Smith` have no suffix: a suffix is one short word that holds a letter.
_SUFFIX = re.compile(r"\.(?=[0-9]*[A-Za-z])[A-Za-z0-9]{1,10}$")
_DAY_S = 86_400
logger = log(__name__)


@dataclass(frozen=True)
class WatchedFolder:
    """One watched folder; what is None or empty is decided by the owner and the deployment."""

    path: Path
    owner: str = DEFAULT_OWNER
    language: str | None = None
    """Forced language (ISO 639-1) or None: detect."""
    whisper_model: str | None = None
    tags: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    """Patterns as in `fnmatch`, against the path below the folder and against the name alone; a folder that matches is
    not entered."""
    not_older_than_days: float | None = None
    """Files whose time of change lies further back are left alone."""


@dataclass(frozen=True)
class FoundFile:
    """A file and the state it was seen in."""

    path: Path
    size_bytes: int
    mtime_ns: int


def scan(folder: WatchedFolder, settle_s: float, now: float, exclude: Sequence[Path] = ()) -> Iterator[FoundFile]:
    """Find the recordings of a folder and its subfolders that have not changed for `settle_s`, in order of name."""
    return Walk(folder, settle_s, lambda: now, exclude).until(float("inf"))


class Walk:
    """A way through a folder that may be left when the time is over and taken up again later.

    `exclude` names roots of ours that hold no marker. A folder that cannot be read is logged and left out: it may be a
    disk that comes back.
    """

    def __init__(
        self, folder: WatchedFolder, settle_s: float, clock: Callable[[], float], exclude: Sequence[Path] = ()
    ) -> None:
        self._steps = _steps(folder, settle_s, clock, exclude)
        self.ended = False

    def until(self, deadline: float) -> Iterator[FoundFile]:
        """Go on to the end or to a moment of `time.monotonic`, by one file at least; give those to take."""
        for found in self._steps:
            if found:
                yield found
            if time.monotonic() >= deadline:
                return
        self.ended = True


def _steps(
    folder: WatchedFolder, settle_s: float, clock: Callable[[], float], exclude: Sequence[Path]
) -> Iterator[FoundFile | None]:
    """Look at one file a step; None: it is not to be taken now."""
    ours = [Path(os.path.realpath(path)) for path in exclude]
    root = Path(os.path.realpath(folder.path))
    if any(root.is_relative_to(path) for path in ours):
        logger.warning("watched_folder_is_ours", folder=str(folder.path))
        return
    waiting = [root]
    entered = {place for path in ours if path.exists() and (place := _place(path))}
    while waiting:
        here = waiting.pop()
        place = _place(here)
        if place is None or place in entered:  # a link back up the tree, or a second way to the same folder
            continue
        entered.add(place)
        entries = _entries(here)
        if any(entry.name == HOME_MARKER for entry in entries):
            continue
        below: list[Path] = []
        for entry in entries:
            if entry.name.startswith(".") or (folder.ignore and is_ignored(_below(root, entry), folder.ignore)):
                continue
            if _is_folder(entry):
                below.append(Path(entry.path))
            elif looks_like_media(entry.name):
                found = look(entry)
                yield found if found and _settled(found, folder, settle_s, clock()) else None
        waiting.extend(reversed(below))


def look(place: Path | os.DirEntry[str]) -> FoundFile | None:
    """Say in which state a file is now, by one call to the file system; None where no regular file is there."""
    try:
        seen = place.stat()
    except OSError:
        return None
    return FoundFile(Path(place), seen.st_size, seen.st_mtime_ns) if stat.S_ISREG(seen.st_mode) else None


def looks_like_media(name: str) -> bool:
    """Say whether a file name has an audio or video suffix, or none at all."""
    suffix = _SUFFIX.search(name)
    return suffix is None or suffix.start() == 0 or suffix.group().lower() in MEDIA_SUFFIXES


def _settled(found: FoundFile, folder: WatchedFolder, settle_s: float, now: float) -> bool:
    age_s = now - found.mtime_ns / 1e9
    if folder.not_older_than_days is not None and age_s > folder.not_older_than_days * _DAY_S:
        return False
    # A time far ahead comes from a wrong clock, not from a writer; waiting for it would never end.
    return abs(age_s) >= settle_s


def is_ignored(below: str, patterns: Sequence[str]) -> bool:
    """Say whether a path below a watched place, or its last name alone, matches one of the patterns."""
    name = below.rpartition("/")[2]
    return any(
        fnmatch.fnmatchcase(below, pattern.rstrip("/")) or fnmatch.fnmatchcase(name, pattern.rstrip("/"))
        for pattern in patterns
    )


def _below(root: Path, entry: os.DirEntry[str]) -> str:
    return Path(entry.path).relative_to(root).as_posix()


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        logger.warning("folder_unreadable", folder=str(folder), error=type(error).__name__)
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _place(folder: Path) -> tuple[int, int] | None:
    try:
        seen = folder.stat()
    except OSError as error:
        logger.warning("folder_unreadable", folder=str(folder), error=type(error).__name__)
        return None
    return seen.st_dev, seen.st_ino
