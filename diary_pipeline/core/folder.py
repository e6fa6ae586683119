"""A folder whose audio files are taken in, for whom, and how. Looking into it is intake's business.

Originals are never moved, renamed or deleted.
"""

from dataclasses import dataclass
from pathlib import Path

from diary_pipeline.core.owner import DEFAULT_OWNER


@dataclass(frozen=True)
class WatchedFolder:
    """One watched folder; what is None or empty is decided by the owner and the deployment."""

    path: Path
    owner: str = DEFAULT_OWNER
    language: str | None = None
    """Forced language (ISO 639-1) or None: detect."""
    whisper_model: str | None = None
    tags: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    """Patterns as in `fnmatch`, against the path below the folder and against the file name alone."""
    not_older_than_days: float | None = None
    """Files whose time of change lies further back are left alone."""
