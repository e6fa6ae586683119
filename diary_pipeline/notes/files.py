"""Rendered notes as files, one folder a day: an export for people and vaults. Nothing of ours reads it back.

The surprise: only their owner may read them (0600, new folders 0700), whatever the umask says. It is a diary.
"""

import contextlib
import datetime as dt
import os
import tempfile
from pathlib import Path


def write_note_file(root: Path, recorded_day: dt.date, key: str, markdown: str) -> Path:
    """Write `<root>/<day>/<key>.md` whole or not at all, and return its path."""
    folder = root / recorded_day.isoformat()
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    handle, staged = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(markdown)
        target = folder / f"{key}.md"
        Path(staged).replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(staged).unlink()
        raise
    return target
