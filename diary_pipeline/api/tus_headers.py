"""What the headers of the tus protocol say, read and written; see tus.py for what is done then.

Pure. The surprise: metadata holds the fields of a submission beside `filename` and `sha256`, so that a job is asked for
with any client of the protocol; `name`, `filetype` and `type`, which browsers add by themselves, say nothing here.
"""

import base64
import binascii
import datetime as dt
import re
from dataclasses import dataclass
from email.utils import format_datetime

from diary_pipeline.api.incoming import shown_name
from diary_pipeline.api.models import Wishes
from diary_pipeline.api.problems import Problem
from diary_pipeline.api.wishes import wishes_of
from diary_pipeline.ledger.uploads import Upload

VERSION = "1.0.0"
ALGORITHMS = ("sha1", "sha256", "sha512", "md5")
LONGEST_METADATA = 16_000
"""Characters; servers in front refuse longer headers anyway."""
_SAYS_NOTHING = ("filetype", "type")
_HEX = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class Announced:
    """What was said of a file before its first byte."""

    file_name: str
    sha256: str | None
    """Of the whole, 64 hex."""
    wishes: Wishes


@dataclass(frozen=True)
class Checksum:
    """What the bytes of one request must hash to."""

    algorithm: str
    digest: bytes


def announced(metadata: str) -> Announced:
    """Read Upload-Metadata; Problem 400, or 422 for a field of a submission that does not fit."""
    if len(metadata) > LONGEST_METADATA:
        raise Problem(413, "metadata_too_large", f"Upload-Metadata is longer than {LONGEST_METADATA} characters.")
    told: dict[str, str] = {}
    for pair in filter(None, map(str.strip, metadata.split(","))):
        name, _, value = pair.partition(" ")
        told[name] = _decoded(value, "metadata_invalid", "Upload-Metadata is no list of names with Base64.").decode(
            "utf-8", "replace"
        )
    for name in _SAYS_NOTHING:
        told.pop(name, None)
    names = [told.pop(name, None) for name in ("filename", "name")]
    sha256 = told.pop("sha256", None)
    if sha256 is not None and not _HEX.fullmatch(sha256):
        raise Problem(400, "digest_invalid", "The metadata sha256 must be 64 hex digits.")
    wishes = wishes_of({field: [text] for field, text in told.items()}, "metadata")
    return Announced(shown_name(names[0] or names[1]), sha256.lower() if sha256 else None, wishes)


def checksum(said: str | None) -> Checksum | None:
    """Read Upload-Checksum; Problem 400 for an algorithm that is not offered."""
    if said is None:
        return None
    algorithm, _, value = said.partition(" ")
    told = f"Upload-Checksum names one of {', '.join(ALGORITHMS)} and the sum in Base64."
    if algorithm not in ALGORITHMS or not value:
        raise Problem(400, "checksum_invalid", told)
    return Checksum(algorithm, _decoded(value, "checksum_invalid", told))


def standing(upload: Upload) -> dict[str, str]:
    """Say how far an upload has come, and until when it is waited for."""
    said = {"Upload-Offset": str(upload.received_bytes)}
    if upload.expires_at is not None:
        at = dt.datetime.fromtimestamp(upload.expires_at, dt.UTC)
        said["Upload-Expires"] = format_datetime(at, usegmt=True)
    return said


def _decoded(value: str, code: str, told: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(400, code, told) from error
