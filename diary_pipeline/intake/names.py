"""Where a file lies, as text that every store can hold.

File names are bytes: they may hold newlines, brackets, emoji, or bytes that are no UTF-8 at all. A submission keeps the
place as a `file://` URL (plain ASCII, nothing lost) and the name as people read it, undecodable bytes shown as U+FFFD.
The surprise: the folders on the way are resolved, the last name is not, so that a link keeps the name it was given.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote, unquote_to_bytes, urlsplit

from diary_pipeline.core.errors import UsageError
from diary_pipeline.core.upload_uris import is_upload

_LONGEST_NAME = 255
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def uri_of(path: Path) -> str:
    """Give the one URL of a file, however the path to it was written."""
    return uris_of([path])[0]


def uris_of(paths: Iterable[Path]) -> list[str]:
    """Give the URL of each file; a folder that holds many of them is resolved once."""
    resolved: dict[str, bytes] = {}
    uris = []
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in resolved:
            resolved[folder] = os.fsencode(os.path.realpath(folder)).rstrip(b"/")
        # What Path.as_uri does, without a Path for each of a folder's ten thousand files.
        uris.append(f"file://{quote_from_bytes(resolved[folder] + b'/' + os.fsencode(name))}")
    return uris


def scheme_of(place: str) -> str:
    """Give the scheme of a place, in lower case; a path without one is a file's."""
    if is_upload(place):
        return "upload"
    return place.partition(":")[0].lower() if _SCHEME.match(place) else "file"


def name_in(url: str) -> str:
    """Give the file name that a URL names: the last part of its path, never its query; else its host."""
    parts = urlsplit(url)
    last = unquote(parts.path).rstrip("/").rpartition("/")[2]
    plain = "".join(c for c in last if c.isprintable())
    return storable(plain.strip()[-_LONGEST_NAME:]) or parts.hostname or "recording"


def path_of(place: str | Path) -> Path:
    """Turn a local path or `file://` URL into a path; refuse what only a download could reach."""
    text = os.fspath(place)
    if isinstance(place, str) and _SCHEME.match(place):
        parts = urlsplit(place)
        if parts.scheme.lower() != "file":
            raise UsageError(
                "scheme_not_supported",
                f"{parts.scheme}:// addresses cannot be fetched; download the file and give its path or file:// URL.",
            )
        if parts.netloc not in ("", "localhost"):
            raise UsageError(
                "scheme_not_supported",
                f"A file:// URL must name a file of this machine (file:///path), not of the host {parts.netloc!r}.",
            )
        # Not parts.path: a raw `#` or `?` belongs to the name here, a file has no fragment and no query.
        text = os.fsdecode(unquote_to_bytes(place.partition("://")[2].removeprefix(parts.netloc)))
    if not text or "\0" in text:
        raise UsageError("path_invalid", "A path must not be empty or hold a NUL byte; name a file or a folder.")
    return Path(os.path.abspath(Path(text).expanduser()))  # noqa: PTH100 - Path.absolute keeps `..`


def shown_name(path: Path) -> str:
    """Give the file name as people read it."""
    return storable(path.name)


def storable(text: str) -> str:
    """Give text that any database can hold: bytes of a name that were no UTF-8 become U+FFFD."""
    return os.fsencode(text).decode("utf-8", "replace")
