"""A prefix of one Google Cloud Storage bucket: the only file that touches the SDK.

Names in, bytes and generations out; checksums, retries and our errors. What a key or a folder object is, and what is
kept on this machine, is gcs.py's business.

Two things surprise. A write whose answer was lost is repeated by the SDK and then fails on its own precondition, so a
conditional write carries a mark, and a refusal is looked at before it is believed. And the SDK does not verify a
download that it had to resume, so the checksum is computed here.
"""

import base64
import re
import uuid
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Literal

from diary_pipeline.core.errors import DiaryError, ServiceMissing, TransientError, UsageError
from diary_pipeline.storage.keys import checked_key

Doing = Literal["read", "written"]

WAITS_S = (10.0, 60.0)
"""Seconds to connect, and between two bytes."""
PATIENCE_S = 120.0
"""Seconds for which one call is repeated: longer than the failovers GCS speaks of, shorter than a run gives up."""
RIGHTS = tuple(f"storage.objects.{right}" for right in ("create", "delete", "get", "list"))
_URL = re.compile(r"gs://([a-z0-9][a-z0-9._-]+)/?(?:(?<=/)(.*?)/?)?")
_MARK = "written"
_FIELDS = "items(name,generation,timeCreated,metadata,size),nextPageToken"


@dataclass(frozen=True)
class Stored:
    """What the bucket says of an object."""

    name: str
    generation: int
    """Another number for every write; 0 never is one, so it stands for "not there" in preconditions."""
    written_at: float
    """Seconds since the epoch, by the bucket's clock."""
    said: Mapping[str, str]
    """What its writer wrote beside it."""
    size_bytes: int


def bucket_of(url: str) -> tuple[str, str]:
    """Split `gs://bucket/prefix` into the bucket and the prefix ("" or ending in a slash); ValueError."""
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError("say it as gs://BUCKET or gs://BUCKET/PREFIX")
    bucket, prefix = found.groups()
    try:
        return bucket, f"{checked_key(prefix)}/" if prefix else ""
    except UsageError as error:
        raise ValueError("a prefix is made of letters, digits and ._=- joined by /") from error


class Bucket:
    """Objects by name, below the prefix."""

    def __init__(self, url: str, patience_s: float = PATIENCE_S) -> None:
        """Nothing is opened before it is used; ValueError for what is no such address."""
        self.url = url
        self._name, self._prefix = bucket_of(url)
        self._patience_s = patience_s

    def stat(self, name: str) -> Stored | None:
        """Look at an object; None: it is not there."""
        blob = self._blob(name)
        with self._answers("read"):
            return _stored(name, blob) if self._there(lambda: blob.reload(**self._calmly)) else None

    def write(self, name: str, source: Path | bytes, said: Mapping[str, str] | None = None) -> None:
        """Store an object, replacing what is there."""
        self._upload(name, source, said or {}, None)

    def write_over(
        self, name: str, source: Path | bytes, generation: int, said: Mapping[str, str] | None = None
    ) -> bool:
        """Store an object if what is there is of this generation (0: nothing is there); False: it is not."""
        mark = uuid.uuid4().hex
        if self._upload(name, source, {**(said or {}), _MARK: mark}, generation):
            return True
        there = self.stat(name)
        return there is not None and there.said.get(_MARK) == mark

    def read(self, name: str, into: IO[bytes], generation: int | None = None) -> int | None:
        """Write the bytes of an object into a file opened empty, verify them and return their generation.

        None: it is not there. TransientError `object_damaged` when they arrive damaged twice.
        """
        blob = self._blob(name, generation)
        with self._answers("read"):
            for _ in range(2):
                into.seek(0)
                into.truncate()
                if not self._there(lambda: self._download(blob, into)):
                    return None
                if _crc32c(into) == blob.crc32c:
                    return int(blob.generation)
        raise TransientError(
            "object_damaged", f"{self.url}/{name} arrived twice with other bytes than were stored; try again later."
        )

    def delete(self, name: str) -> bool:
        """Remove an object; False: it was not there."""
        blob = self._blob(name)
        with self._answers("written"):
            return self._there(lambda: blob.delete(**self._calmly))

    def below(self, prefix: str, start: str = "", most: int | None = None) -> Iterator[Stored]:
        """Yield objects by the beginning of their names, in the order of their characters, from a name on; or some."""
        found = iter(
            self._bucket.client.list_blobs(
                self._bucket,
                prefix=self._prefix + prefix,
                start_offset=self._prefix + start if start else None,
                max_results=most,
                fields=_FIELDS,
                **self._calmly,
            )
        )
        while True:
            with self._answers("read"):
                blob = next(found, None)
            if blob is None:
                return
            yield _stored(blob.name.removeprefix(self._prefix), blob)

    def missing_rights(self) -> list[str]:
        """Return the permissions that we need and have not."""
        with self._answers("read"):
            granted = self._bucket.test_iam_permissions(list(RIGHTS), **self._calmly)
        return [right for right in RIGHTS if right not in granted]

    def keeps_deleted(self) -> str:
        """Say why the bucket keeps what is deleted, or "" when it does not; needs `storage.buckets.get`."""
        bucket = self._bucket
        with self._answers("read"):
            bucket.reload(**self._calmly)
        kept_s = int(bucket.soft_delete_policy.retention_duration_seconds or 0)
        why = [f"its soft delete policy keeps objects for {kept_s / 86_400:g} days"] if kept_s else []
        why += ["object versioning is on"] if bucket.versioning_enabled else []
        return " and ".join(why)

    def _upload(self, name: str, source: Path | bytes, said: Mapping[str, str], generation: int | None) -> bool:
        from google.api_core.exceptions import PreconditionFailed

        blob = self._blob(name)
        blob.metadata = dict(said)
        how = {
            "content_type": "application/octet-stream",
            "if_generation_match": generation,
            "checksum": "crc32c",
            **self._calmly,
        }
        with self._answers("written"):
            try:
                if isinstance(source, bytes):
                    blob.upload_from_string(source, **how)
                else:
                    blob.upload_from_filename(str(source), **how)
            except PreconditionFailed:
                return False
        return True

    def _download(self, blob: Any, into: IO[bytes]) -> None:
        from google.cloud.storage.exceptions import DataCorruption

        with suppress(DataCorruption):  # read() finds it out, as it does for a download that was resumed
            blob.download_to_file(into, raw_download=True, checksum="crc32c", **self._calmly)
        if blob.crc32c is None:  # told with the bytes, but no promise of the API's
            blob.reload(**self._calmly)

    def _there(self, act: Any) -> bool:
        from google.api_core.exceptions import NotFound

        try:
            act()
        except NotFound as error:
            if "bucket does not exist" in str(error):  # the same code; GCS tells them apart by this sentence alone
                raise
            return False
        return True

    def _blob(self, name: str, generation: int | None = None) -> Any:
        return self._bucket.blob(self._prefix + name, generation=generation)

    @cached_property
    def _bucket(self) -> Any:
        try:
            from google.auth.exceptions import GoogleAuthError
            from google.cloud import storage
        except ModuleNotFoundError as error:
            raise ServiceMissing(
                "store_unreachable",
                f"{self.url} needs the Python package {error.name}: install diary-pipeline[gcp].",
            ) from error
        try:
            client = storage.Client()
        except GoogleAuthError as error:
            raise ServiceMissing(
                "store_unreachable",
                f"No credentials for {self.url} were found: run as a service account that may use it, or set "
                "GOOGLE_APPLICATION_CREDENTIALS.",
            ) from error
        weakref.finalize(self, client.close)  # its connections would otherwise be left to chance
        return client.bucket(self._name)

    @cached_property
    def _calmly(self) -> dict[str, Any]:
        from google.cloud.storage.retry import DEFAULT_RETRY

        # The SDK's own choice of what may be repeated; only the first wait is shorter than its second.
        retry = DEFAULT_RETRY.with_delay(initial=0.2, maximum=20.0, multiplier=2.0).with_timeout(self._patience_s)
        return {"retry": retry, "timeout": WAITS_S}

    @contextmanager
    def _answers(self, doing: Doing) -> Iterator[None]:
        bucket = self._bucket  # says itself when the SDK is not there, which the next lines need
        from google.api_core.exceptions import BadRequest, Forbidden, GoogleAPIError, NotFound, Unauthorized
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.storage.exceptions import DataCorruption
        from requests.exceptions import RequestException
        from urllib3.exceptions import HTTPError

        try:
            yield
        except DiaryError:
            raise
        except NotFound as error:
            raise ServiceMissing(
                "store_unreachable", f"There is no bucket {bucket.name}: create it, or change DIARY_BUCKET."
            ) from error
        except (Forbidden, Unauthorized) as error:
            raise ServiceMissing(
                "store_unwritable" if doing == "written" else "store_unreachable",
                f"{self.url} may not be {doing} with these credentials: give them the role Storage Object User.",
            ) from error
        except (DataCorruption, GoogleAPIError, GoogleAuthError, RequestException, HTTPError, ConnectionError) as error:
            # GCS refuses bytes that do not fit the checksum sent with them, and says no more than "bad request".
            if isinstance(error, DataCorruption) or (isinstance(error, BadRequest) and "CRC32C" in str(error)):
                raise TransientError(
                    "object_damaged", f"Bytes were damaged on their way to {self.url}; try again later."
                ) from error
            raise ServiceMissing(
                "store_unreachable",
                f"{self.url} cannot be {doing} ({type(error).__name__}); check the network and the state of Google "
                "Cloud Storage.",
            ) from error


def _stored(name: str, blob: Any) -> Stored:
    return Stored(
        name, int(blob.generation), blob.time_created.timestamp(), dict(blob.metadata or {}), int(blob.size or 0)
    )


def _crc32c(file: IO[bytes]) -> str:
    import google_crc32c

    file.seek(0)
    total = google_crc32c.Checksum()
    while block := file.read(1 << 20):
        total.update(block)
    return base64.b64encode(total.digest()).decode()
