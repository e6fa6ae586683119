"""A file that comes in by HTTP: its bytes, counted and hashed on their way into a private scratch file, and its name.

What is done with it is uploads.py's, tus.py's and openai.py's business. The scratch file goes when the request ends,
however it ends; what a killed process leaves is swept, see intake/scratch.py.

What surprises: bytes are gathered to a mebibyte before a thread takes them. The loop serves others while a disk is
slow, and a body of half a gigabyte costs five hundred hops and one mebibyte of memory.
"""

import asyncio
import errno
import hashlib
import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from email.message import Message
from email.utils import collapse_rfc2231_value
from pathlib import Path
from types import TracebackType

from diary_pipeline.api.problems import Problem, unavailable
from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.intake.near import write_whole
from diary_pipeline.intake.scratch import scratch_file

BLOCK_BYTES = 1 << 20
NAMELESS = "upload"
LONGEST_NAME = 255
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class Incoming:
    """One file on its way in; use it as an async context."""

    def __init__(self, folder: Path, most_bytes: int, *, also: str | None = None) -> None:
        """`folder`: a private one for scratch files. `also`: a second algorithm of hashlib to hash with."""
        self.folder = folder
        self.most_bytes = most_bytes
        self.size_bytes = 0
        self._digest = hashlib.sha256()
        self._also = hashlib.new(also, usedforsecurity=False) if also else None
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._file = io.RawIOBase()
        self._ends = ExitStack()
        self.path = Path()
        """Of the scratch file, from when the context is entered."""

    async def __aenter__(self) -> "Incoming":
        await asyncio.to_thread(self._open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Not in a thread: the request may be cancelled, and then nothing is waited for any more.
        self._ends.close()

    async def write(self, data: bytes) -> None:
        """Take bytes; Problem 413 `audio_too_large` beyond the most, 503 `storage_full` when there is no room."""
        self.size_bytes += len(data)
        if self.size_bytes > self.most_bytes:
            raise too_large(self.most_bytes)
        self._gathered.append(data)
        self._gathered_bytes += len(data)
        if self._gathered_bytes >= BLOCK_BYTES:
            await self.settle()

    async def settle(self) -> None:
        """Have everything taken so far in the file, which others may read then."""
        gathered, self._gathered, self._gathered_bytes = self._gathered, [], 0
        if gathered:
            await asyncio.to_thread(self._write, gathered)

    @property
    def sha256(self) -> str:
        """64 hex of what is settled."""
        return self._digest.hexdigest()

    @property
    def also(self) -> bytes:
        """The digest by the second algorithm, of what is settled."""
        return self._also.digest() if self._also else b""

    def _open(self) -> None:
        with storing():
            self.path = self._ends.enter_context(scratch_file(self.folder))
            self._file = self._ends.enter_context(self.path.open("wb", buffering=0))

    def _write(self, gathered: list[bytes]) -> None:
        with storing():
            for block in gathered:
                self._digest.update(block)
                if self._also:
                    self._also.update(block)
                write_whole(self._file, block, self.folder)


@contextmanager
def storing(
    told: str = "The file cannot be stored now and nothing of it is kept: hand it in again later.",
) -> Iterator[None]:
    """Tell a client that bytes cannot be stored now, without the paths of ours that our own errors name."""
    try:
        yield
    except (OSError, ServiceMissing) as error:
        why = error.__cause__ if isinstance(error, ServiceMissing) else error
        is_full = isinstance(why, OSError) and why.errno in _NO_ROOM
        code = error.code if isinstance(error, ServiceMissing) else "store_unwritable"
        raise unavailable("storage_full" if is_full else code, told) from error


def too_large(most_bytes: int) -> Problem:
    """Make the problem of a file beyond the limit."""
    return Problem(413, "audio_too_large", f"The file is larger than {most_bytes} bytes, the most that is taken here.")


def announced_bytes(said: str | None) -> int | None:
    """Read a Content-Length; None: not said, or no number, which the server has refused already."""
    return int(said) if said is not None and said.isdecimal() else None


def shown_name(said: str | None) -> str:
    """Give a file name as people read it: what a client says, without its folders and control characters.

    It is shown and never becomes a path of ours.
    """
    name = (said or "").replace("\\", "/").rstrip("/").rpartition("/")[2]
    plain = "".join(c for c in name.encode("utf-8", "replace").decode() if c.isprintable())
    return plain.strip()[-LONGEST_NAME:] or NAMELESS


def disposition_name(header: str | None) -> str | None:
    """Read the file name in a Content-Disposition, with RFC 5987's `filename*` before `filename`."""
    if header is None:
        return None
    message = Message()
    try:  # HTTP hands headers on as Latin-1; what browsers write there is UTF-8
        message["Content-Disposition"] = header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        message["Content-Disposition"] = header
    named = [value for name, value in message.get_params([], "content-disposition") if name == "filename"]
    return collapse_rfc2231_value(named[-1]).strip() if named else None  # `filename*` comes last, wherever it stood
