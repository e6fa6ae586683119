"""The identity of an audio file: the hash of its bytes. Re-encoded audio is other content, on purpose."""

import hashlib
from pathlib import Path


def sha256_of(path: Path) -> str:
    """Hash a file of any size in bounded memory; lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
