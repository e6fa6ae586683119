"""Rendered notes as files, one folder a day: an export for people and vaults. Nothing of ours reads it back.

The surprise: only their owner may read them (0600, new folders 0700), whatever the umask says. It is a diary.
"""

import datetime as dt
from pathlib import Path

from diary_pipeline.storage.private import write_private


def write_note_file(root: Path, recorded_day: dt.date, key: str, markdown: str) -> Path:
    """Write `<root>/<day>/<key>.md` whole or not at all, and return its path."""
    path = root / recorded_day.isoformat() / f"{key}.md"
    write_private(path, markdown.encode())
    return path
