"""Every key in the object store is made here, and nowhere else.

Pure. Keys are stored in the ledger once made, so this file may change for new objects without moving old ones.
A person's name or address never stands in a path: the owner appears as a short hash.
"""

import datetime as dt
import hashlib
import re
import uuid

from diary_pipeline.core.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PUBLISHED_NAME = re.compile(r"published/[a-z]+-(\d+)-[0-9a-f]{12}\.[a-z]+")
LONGEST_KEY = 512
CATALOGUE = "catalogue/"
AUDIO = "audio/"
CHECKPOINTS = "checkpoints/"
ANSWERS = "answers/"
UPLOADS = "uploads/"
UPLOAD_PARTS = "upload-parts/"
PUBLISHED_PREFIX = "published/"
LEDGER_ID = "ledger-id"
"""The id of the ledger whose objects these are."""
PUBLISHED_POINTER = f"{PUBLISHED_PREFIX}current.json"
"""What tells readers which uploaded catalogue is the newest."""


def audio_key(owner: str, content_sha256: str) -> str:
    """Name the stored audio of one owner; another owner's same bytes are another object, so either can be erased."""
    if not _SHA256.fullmatch(content_sha256):
        raise UsageError("object_key_invalid", "An audio key is made of the 64 hex digits of its SHA-256.")
    return f"{audio_prefix(owner)}{content_sha256[:2]}/{content_sha256}"


def audio_prefix(owner: str) -> str:
    """Name what all audio keys of one owner begin with."""
    return f"{AUDIO}{owner_hash(owner)}/"


def upload_key(id: str) -> str:
    """Name what was uploaded for one submission, until intake has stored it as audio; see ledger/uploads.py: wanted."""
    return checked_key(f"{UPLOADS}{id}")


def checkpoint_prefix(owner: str, content_sha256: str, version: str) -> str:
    """Name what the finished windows of one recording begin with, for one version of its transcript."""
    return checked_key(f"{checkpoints_prefix(owner, content_sha256)}{version}") + "/"


def checkpoints_prefix(owner: str, content_sha256: str) -> str:
    """Name what all finished windows of one recording begin with; the owner leads, so that either can be erased."""
    return checked_key(f"{CHECKPOINTS}{owner_hash(owner)}/{content_sha256}") + "/"


def answers_prefix(owner: str, recording_key: str) -> str:
    """Name what all kept answers of language models about one recording begin with."""
    return checked_key(f"{answers_of_owner_prefix(owner)}{recording_key}") + "/"


def answers_of_owner_prefix(owner: str) -> str:
    """Name what all kept answers of one owner begin with; the owner leads, so that either can be erased."""
    return f"{ANSWERS}{owner_hash(owner)}/"


def upload_part_key(id: str) -> str:
    """Name a part of an upload that is not whole yet; every call gives another one."""
    return checked_key(f"{upload_parts_prefix(id)}{uuid.uuid4().hex}")


def upload_parts_prefix(id: str) -> str:
    """Name what all parts of an upload begin with."""
    return checked_key(f"{UPLOAD_PARTS}{id}") + "/"


def owner_hash(owner: str) -> str:
    """Shorten the owner to 16 hex that stand for them in paths."""
    return hashlib.sha256(owner.encode()).hexdigest()[:16]


def catalogue_object_id(kind: str) -> str:
    """Name a new catalogue object, `catalogue/<yyyymm>/<kind>-<uuid hex>`; every call gives another one."""
    return checked_key(f"{CATALOGUE}{dt.datetime.now(dt.UTC):%Y%m}/{kind}-{uuid.uuid4().hex}")


def month_of(key: str) -> str:
    """Return what the keys of all catalogue objects of the same month begin with, `catalogue/<yyyymm>/`."""
    return "/".join(key.split("/")[:2]) + "/"


def published_key(file_name: str, watermark: int, sha256: str) -> str:
    """Name an uploaded file, `published/catalogue-<watermark>-<12 hex>.duckdb`; other bytes have another name."""
    stem, _, suffix = file_name.rpartition(".")
    key = f"{PUBLISHED_PREFIX}{stem}-{watermark}-{sha256[:12]}.{suffix}"
    if not _PUBLISHED_NAME.fullmatch(key):
        raise UsageError("object_key_invalid", f"{file_name!r} is no name for an upload: say letters and a type.")
    return key


def watermark_in(key: str) -> int | None:
    """Read the watermark in the key of an uploaded file; None for other keys."""
    found = _PUBLISHED_NAME.fullmatch(key)
    return int(found[1]) if found else None


def checked_key(key: str) -> str:
    """Return the key if it is one, or refuse it: names of letters, digits and `._=-`, joined by `/`, no way out."""
    if len(key) > LONGEST_KEY or not all(_NAME.fullmatch(name) for name in key.split("/")):
        raise UsageError("object_key_invalid", f"{key[:80]!r} is not an object key; make keys with storage.keys.")
    return key
