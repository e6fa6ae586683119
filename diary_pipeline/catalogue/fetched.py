"""The published file on a machine that publishes nothing: fetched from the bucket, and swapped in like a publisher's.

What is in the bucket, and who puts it there, is publication.py's business. A file beside the catalogue remembers which
upload lies there, so that looking for a newer one costs one small request.

What surprises: an upload of the same watermark counts as newer when it is another one, because that is how an erasure
arrives. A file that was published on this very machine stays when it is as far as the bucket's.
"""

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from diary_pipeline.catalogue.publication import CATALOGUE, Current, Publication, SharedStore, Upload
from diary_pipeline.core.errors import NotFound, TransientError
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.packaged_files import sha256_of
from diary_pipeline.storage.private import swap_in

logger = log("catalogue.fetched")

_STAGING = ".fetch-"


@dataclass(frozen=True)
class Fetched:
    """What lies on this machine now."""

    watermark: int
    size_bytes: int
    """Of what this call fetched; 0: the newest was here."""


def fetch_published(store: SharedStore, live: Path, search: Path | None = None) -> Fetched:
    """Bring the newest published file to `live`, and its search index to `search`; NotFound when there is none."""
    live.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(live):
        for left in (1, 0):
            current = Publication(store).current()
            if current is None:
                raise NotFound(
                    "catalogue_missing", "Nothing is published in the bucket yet; run `diary publish` where it is made."
                )
            wanted = {live: current.files[CATALOGUE]}
            if search is not None and search.name in current.files:
                wanted[search] = current.files[search.name]
            if _is_here(live, current):
                wanted.pop(live)
            try:
                return Fetched(current.watermark, _bring(store, wanted))
            except NotFound:  # the grace of this upload ended while it was fetched
                if not left:
                    raise
        raise AssertionError("the loop returns or raises")


@contextlib.contextmanager
def _alone(live: Path) -> Iterator[None]:
    lock = os.open(live.with_name(f".{live.name}.fetch.lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in live.parent.glob(f".*{_STAGING}*"):  # of one that was killed
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(lock)


def _bring(store: SharedStore, wanted: Mapping[Path, Upload]) -> int:
    size = 0
    for target, upload in wanted.items():
        if _remembered(target) == upload.sha256:
            continue
        with tempfile.TemporaryDirectory(prefix=f".{target.name}{_STAGING}", dir=target.parent) as folder:
            staged = Path(folder, target.name)
            store.fetch(upload.key, staged)
            if sha256_of(staged) != upload.sha256:
                raise TransientError(
                    "object_damaged", f"{upload.key} is not what the bucket's pointer says; publish again, then fetch."
                )
            swap_in(staged, target)
        _remember(target, upload.sha256)
        size += upload.size_bytes
    if size:
        logger.info("fetched", size_bytes=size, files=len(wanted))
    return size


def _is_here(live: Path, current: Current) -> bool:
    """Whether a file that was not fetched is as far as the newest upload."""
    if not live.exists() or _remembered(live) is not None:
        return False
    try:
        with duckdb.connect(str(live), read_only=True, config={"autoload_known_extensions": "false"}) as db:
            row = db.execute("SELECT watermark FROM catalogue_state").fetchone()
            return row is not None and int(row[0]) >= current.watermark
    except duckdb.Error:
        return False  # damaged: the upload is whole


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.fetched")


def _remember(target: Path, sha256: str) -> None:
    there = target.stat()
    _beside(target).write_text(json.dumps([sha256, there.st_ino, there.st_mtime_ns]), encoding="ascii")


def _remembered(target: Path) -> str | None:
    """Return the hash of the upload that lies there; None: nothing does, or something else."""
    try:
        sha256, inode, mtime_ns = json.loads(_beside(target).read_text(encoding="ascii"))
        there = target.stat()
    except (FileNotFoundError, ValueError):
        return None
    return str(sha256) if (there.st_ino, there.st_mtime_ns) == (inode, mtime_ns) else None
