"""A recording: one accepted audio file, one partition. Decoded audio and text belong to other modules."""

import datetime as dt
import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

SLUG_LENGTH = 40
LONGEST_TITLE = 200
"""Characters, whoever gives it: the submitter, or a correction."""


@dataclass(frozen=True)
class AudioFacts:
    """What the header of an audio file says, before any sample is decoded."""

    container: str
    codec: str
    declared_s: float | None
    """Seconds; None where the container does not say."""
    sample_rate_hz: int
    channels: int
    size_bytes: int
    tags: Mapping[str, str] = field(default_factory=dict)
    """Container and stream tags, keys in lower case."""


@dataclass(frozen=True)
class RecordedAt:
    """When it was spoken, how we know, and how sure we are. Never the time of processing."""

    at: dt.datetime
    """Aware, UTC."""
    zone: str
    """IANA name of the owner's time zone; `day` is local to it."""
    source: str
    """`explicit`, `container_offset`, `file_name`, `container_local`, `container_utc`, `file_name_day` (no clock is
    known) or `file_time` (a guess)."""
    confidence: float
    """0 to 1."""
    day: dt.date
    note: str = ""
    """A sentence when two sources disagree over the day, and when a sidecar was left out; else empty."""


@dataclass(frozen=True)
class Recording:
    """An accepted recording as the ledger knows it."""

    key: str
    owner: str
    content_sha256: str
    file_name: str
    object_key: str
    size_bytes: int
    container: str
    declared_s: float | None
    recorded_at: RecordedAt
    whisper_model: str
    language: str | None = None
    """Forced language (ISO 639-1) or None: detect."""
    title: str | None = None
    tags: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    """Names and terms that are said in it, beside those of its owner: hints for the model."""
    submission_id: str = ""
    """The submission that brought it in first."""
    audio_removed: bool = False
    """Our copy of the audio is gone, as its owner wants."""


def partition_key(day: dt.date, file_name: str, owner: str, content_sha256: str) -> str:
    """`<recording day>-<slug of the file name>-<12 hex of sha256(owner NUL content_sha256)>`.

    Safe in run tags, URLs and file names whatever the file is called. Assigned once, stored, never computed again.
    """
    digest = hashlib.sha256(f"{owner}\0{content_sha256}".encode()).hexdigest()[:12]
    return f"{day.isoformat()}-{slug(file_name)}-{digest}"


def slug(file_name: str) -> str:
    """ASCII letters, digits and dashes of the file name without its extension; `recording` when nothing is left."""
    stem = file_name.rpartition(".")[0] or file_name
    flat = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", flat).strip("-")[:SLUG_LENGTH].strip("-") or "recording"
