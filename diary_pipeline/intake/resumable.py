"""Uploads in parts: storing each, putting them together when the last is there, and sweeping what nobody goes on with.

The protocol is api/tus.py's business, how far an upload has come the ledger's (uploads.py). A part is an object of its
own, because no object store appends; only the whole, under the key that intake looks for, is ever taken in.

What surprises: the last part is counted in the same transaction that hands the whole to intake. A process killed while
it puts the parts together has promised nothing: the client is told to send the last part again, by whichever replica.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from diary_pipeline.core.errors import NotFound, PermanentError, TransientError
from diary_pipeline.intake.near import unwritable
from diary_pipeline.intake.scratch import scratch_file
from diary_pipeline.ledger import submissions, uploads
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.uploads import Upload, UploadPart
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.keys import upload_key, upload_part_key, upload_parts_prefix
from diary_pipeline.storage.store import ObjectStore

EXPIRED = "upload_expired"
DIGEST_MISMATCH = "digest_mismatch"
_BLOCK = 1 << 20
_SWEPT_AT_ONCE = 5
"""Of some 60 objects each, within one slice of intake."""
logger = log(__name__)


class UploadMoved(TransientError):
    """Somebody else sent these bytes, or the upload has ended; look at it again."""


@dataclass(frozen=True)
class Resumable:
    """The uploads of a deployment that come in parts."""

    ledger: Ledger
    store: ObjectStore
    scratch: Path
    """A private local folder with room for the largest file."""
    kept_s: float
    """Seconds after its last part for which an upload is waited for."""

    def take(self, upload: Upload, bytes_at: Path, size_bytes: int) -> Upload:
        """Keep the next bytes of an upload, which lie in a local file, and return how it stands then.

        UploadMoved when others came first, or its job has ended. PermanentError `digest_mismatch` when the whole is
        not what its client announced: its job has failed with that. ServiceMissing when nothing can be stored.
        """
        part = UploadPart(upload.received_bytes, size_bytes, upload_part_key(upload.id))
        if part.start_byte + part.size_bytes == upload.expected_bytes:
            return self._complete(upload, part, bytes_at)
        self.store.put_file(part.object_key, bytes_at)
        expires_at = uploads.add(self.ledger, upload.id, part, self.kept_s)
        if expires_at is None:
            self.store.delete(part.object_key)
            raise _moved(upload)
        return replace(upload, received_bytes=part.start_byte + part.size_bytes, expires_at=expires_at)

    def _complete(self, upload: Upload, last: UploadPart, bytes_at: Path) -> Upload:
        with self.ledger.reading() as conn:
            stored, there = uploads.parts(conn, upload.id), uploads.find(conn, upload.id)
        if there is None or not there.is_open or there.received_bytes != last.start_byte:
            # Its parts are others by now, or gone: what they and these bytes make must not replace a good whole.
            raise _moved(upload)
        with self._whole(upload, stored, bytes_at) as (whole, sha256):
            if upload.content_sha256 not in (None, sha256):
                told = "Its bytes are not those that were announced, so they were removed: upload the file again."
                submissions.refuse(self.ledger, upload.id, DIGEST_MISMATCH, told)
                remove(self.ledger, self.store, upload.id)
                raise PermanentError(DIGEST_MISMATCH, told)
            self.store.put_file(upload_key(upload.id), whole)
        if not uploads.complete(self.ledger, upload.id, last):
            with self.ledger.reading() as conn:
                there = uploads.find(conn, upload.id)
            if there is None or not there.is_whole:  # else another replica has stored the same
                self.store.delete(upload_key(upload.id))
            raise _moved(upload)
        _remove_parts(self.store, upload.id)
        logger.info("upload_whole", submission=upload.id, parts=len(stored) + 1)
        return replace(upload, received_bytes=upload.expected_bytes, is_open=False, is_whole=True, expires_at=None)

    @contextmanager
    def _whole(self, upload: Upload, stored: list[UploadPart], last: Path) -> Iterator[tuple[Path, str]]:
        """Give the whole file and its SHA-256; what came in one part is not copied."""
        if not stored:
            with last.open("rb") as file:
                yield last, hashlib.file_digest(file, "sha256").hexdigest()
            return
        digest = hashlib.sha256()
        with scratch_file(self.scratch) as whole:
            try:
                pieces = [*(self.store.path(part.object_key) for part in stored), last]
                with whole.open("wb") as writer:
                    for piece in pieces:
                        with piece.open("rb") as reader:
                            while block := reader.read(_BLOCK):
                                digest.update(block)
                                writer.write(block)
            except (NotFound, FileNotFoundError) as error:  # another replica was faster and has removed them
                raise _moved(upload) from error
            except OSError as error:
                raise unwritable(self.scratch, error) from error
            yield whole, digest.hexdigest()


def remove(ledger: Ledger, store: ObjectStore, id: str) -> None:
    """Remove all that is stored of an upload that nobody needs any more, whole or in parts, and forget it."""
    store.delete(upload_key(id))
    _remove_parts(store, id)
    uploads.forget(ledger, id)


def sweep(ledger: Ledger, store: ObjectStore) -> int:
    """Fail uploads that nobody goes on with, with `upload_expired`, and return of how many the bytes were removed."""
    with ledger.reading() as conn:
        due = uploads.expired(conn, _SWEPT_AT_ONCE)
    told = "The rest of its bytes did not come in time, so what came was removed: upload the file again."
    removed = 0
    for id in due:
        if uploads.expire(ledger, id, EXPIRED, told):
            remove(ledger, store, id)
            removed += 1
    if removed:
        logger.info("uploads_expired", uploads=removed)
    return removed


def _remove_parts(store: ObjectStore, id: str) -> None:
    for key in list(store.list(upload_parts_prefix(id))):  # also what a killed replica stored and never counted
        store.delete(key)
    store.delete(upload_parts_prefix(id).removesuffix("/"))  # on a file system the empty folder would stay


def _moved(upload: Upload) -> UploadMoved:
    return UploadMoved(
        "upload_moved", f"Upload {upload.id} is not where these bytes begin any more: ask how far it has come."
    )
