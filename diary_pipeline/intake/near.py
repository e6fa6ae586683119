"""The bytes of a submission that are here: a file of this machine, or an upload in the object store.

What must be fetched first is for fetch.py; here it comes in as a `Kept` file. What the bytes mean is for receive.py.

The surprise: a file is read exactly once. It may lie on a slow share or still be growing, so it is copied while it is
hashed, and the copy is what is probed. An upload belongs to us and lies still: it is probed where it is.
"""

import hashlib
import os
from io import RawIOBase
from pathlib import Path
from typing import Protocol

from diary_pipeline.audio.limits import AudioLimits
from diary_pipeline.audio.probe import refuse_by_size
from diary_pipeline.core.errors import AudioRefused, NotFound, PermanentError, ServiceMissing, TransientError
from diary_pipeline.core.upload_uris import is_upload, upload_id
from diary_pipeline.intake.names import path_of
from diary_pipeline.intake.sidecar import Sidecar, read_sidecar
from diary_pipeline.intake.sources import FoundFile, look
from diary_pipeline.ledger.submissions import Submission
from diary_pipeline.storage.keys import upload_key
from diary_pipeline.storage.store import ObjectStore

GONE = "source_gone"
_BLOCK = 1024 * 1024


class NotNow(TransientError):
    """The file may be fine, but not at this moment."""


class Source(Protocol):
    """Where the bytes of one submission are."""

    sidecar: Sidecar
    modified_s: float | None
    """When the source says that they were last changed; None: it does not say."""
    seen: FoundFile | None
    """The state of a file that may be offered again."""
    is_handed_in: bool
    """Nobody else need have these bytes: they are kept when they are refused, to be tried again."""

    def bring(self, copy: Path, limits: AudioLimits) -> tuple[Path, str]:
        """Give a file to read them from, which may be `copy`, and their SHA-256; NotNow, or why they are refused."""
        ...

    def end(self) -> None:
        """Let go of what was kept for this submission alone: it is stored or refused now."""
        ...


def source_of(submission: Submission, store: ObjectStore) -> Source:
    """Find what is here; NotFound `source_gone`, UsageError for what is no place of ours."""
    if is_upload(submission.uri):
        return Upload(submission, store)
    return File(submission)


class File:
    """A file of this machine, which belongs to somebody else."""

    is_handed_in = False

    def __init__(self, submission: Submission) -> None:
        self._submission = submission
        self._path = path_of(submission.uri)
        found = look(self._path)
        if found is None:
            raise NotFound(GONE, f"{submission.file_name} is no longer where it was submitted from; submit it again.")
        self.seen: FoundFile | None = found
        self._found = found
        self.modified_s: float | None = found.mtime_ns / 1e9
        self.sidecar = read_sidecar(self._path)

    def bring(self, copy: Path, limits: AudioLimits) -> tuple[Path, str]:
        """Copy and hash it in one go; NotNow while it is still being written."""
        try:
            refuse_by_size(self._submission.file_name, self._found.size_bytes, limits)
            sha256 = _copy(self._path, copy)
        except (OSError, AudioRefused) as error:
            if look(self._path) != self._found:
                raise self._changing() from error
            if isinstance(error, OSError):
                raise self._unreadable(error) from error
            raise
        if look(self._path) != self._found or copy.stat().st_size != self._found.size_bytes:
            raise self._changing()  # also because a header half written reads like a broken one
        return copy, sha256

    def end(self) -> None:
        """Leave it where it is."""

    def _changing(self) -> NotNow:
        return NotNow(
            "source_changing", f"{self._submission.file_name} is still being written; it is taken once it rests."
        )

    def _unreadable(self, error: OSError) -> PermanentError | NotNow:
        said = f"{self._submission.file_name} cannot be read by user id {os.getuid()} ({error.strerror})"
        if isinstance(error, PermissionError):
            return PermanentError("source_unreadable", f"{said}; give that user the file and submit it again.")
        return NotNow("source_unreadable", f"{said}; it is tried again.")


class Kept:
    """A file of ours that holds the bytes of one submission."""

    sidecar = Sidecar()
    seen: FoundFile | None = None
    is_handed_in = False

    def __init__(self, submission: Submission, path: Path, modified_s: float | None = None) -> None:
        self.modified_s = modified_s
        self._submission, self._path = submission, path

    def bring(self, copy: Path, limits: AudioLimits) -> tuple[Path, str]:  # noqa: ARG002 - as every source
        """Hash it where it lies."""
        refuse_by_size(self._submission.file_name, self._path.stat().st_size, limits)
        with self._path.open("rb") as file:
            return self._path, hashlib.file_digest(file, "sha256").hexdigest()

    def end(self) -> None:
        """Remove it, and what a fetcher noted beside it."""
        for path in self._path.parent.glob(f"{self._path.name}*"):
            path.unlink(missing_ok=True)


class Upload(Kept):
    """An object that was uploaded for one submission."""

    is_handed_in = True

    def __init__(self, submission: Submission, store: ObjectStore) -> None:
        self._store, self._key = store, upload_key(upload_id(submission.uri))
        try:
            path = store.path(self._key)
        except NotFound:
            raise NotFound(GONE, f"The upload {submission.file_name} is no longer kept; send it again.") from None
        super().__init__(submission, path)

    def end(self) -> None:
        """Remove it from the object store."""
        self._store.delete(self._key)


def unwritable(scratch: Path, error: OSError) -> ServiceMissing:
    """Say that the scratch folder is our trouble, and refuses nothing."""
    return ServiceMissing(
        "store_unwritable",
        f"The scratch folder {scratch} cannot be used by user id {os.getuid()} ({error.strerror}); "
        "give that user the folder or free space on its disk.",
    )


def _copy(source: Path, target: Path) -> str:
    """Copy a file and return its hash; OSError is the source's, ServiceMissing ours."""
    digest = hashlib.sha256()
    with source.open("rb") as reader, target.open("wb", buffering=0) as writer:
        while block := reader.read(_BLOCK):
            digest.update(block)
            write_whole(writer, block, target.parent)
    return digest.hexdigest()


def write_whole(writer: RawIOBase, block: bytes, scratch: Path) -> None:
    """Write to a file of the scratch folder; ServiceMissing when it takes no more."""
    left = memoryview(block)
    try:
        while left:  # a disk that fills up takes a part
            left = left[writer.write(left) or 0 :]
    except OSError as error:
        raise unwritable(scratch, error) from error
