"""Fetches http and https addresses: streamed, counted, gone on with after a break, compared with checksums.

Which addresses may be asked is decided in addresses.py. Nothing that a server says of its answer is believed: the bytes
are counted and hashed here and probed later, whatever length and type it told, and no encoding is undone.

The surprise: what is half here is only gone on with when the server proves that it still has that very version (its
strong ETag, or a date of change that had settled, the same length, the same place); otherwise it starts anew. Halves of
two versions would decode as one recording that nobody spoke.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

from diary_pipeline.audio.probe import refuse_by_size
from diary_pipeline.core.errors import PermanentError, TransientError
from diary_pipeline.intake.fetcher import Order
from diary_pipeline.intake.guarded_http import MOST_REDIRECTS, Answer, GuardedHttp
from diary_pipeline.intake.near import write_whole

_WORTH_GOING_ON = 64 * 1024
"""Bytes that a broken connection must have brought for the next one to be opened at once."""
_SETTLED_S = 60.0
_OK, _PARTIAL, _RANGE_WRONG = 200, 206, 416
_PASSING = frozenset({408, 425, 429})
_GONE = frozenset({404, 410})
_DENIED = frozenset({401, 402, 403, 407, 451})
_SERVER_ERROR = 500
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_DIGEST = re.compile(r"(sha-256|sha-512)=:([A-Za-z0-9+/=]+):")
_GOOGLE_MD5 = re.compile(r"\bmd5=([A-Za-z0-9+/=]+)")


class HttpFetcher:
    """Fetches what the guard lets through."""

    def __init__(self, http: GuardedHttp) -> None:
        self._http = http

    def check(self, uri: str) -> None:
        """Refuse an address that may never be asked; nothing is looked up."""
        self._http.guard.target(uri)

    def fetch(self, order: Order) -> float | None:
        """Bring one file, as Fetcher says.

        Codes beside those of GuardedHttp: `url_not_found`, `url_access_denied`, `url_refused`, `url_content_encoded`,
        `checksum_mismatch`, `audio_too_large`.
        """
        most = order.into.stat().st_size
        while True:
            try:
                return self._go_on(order)
            except _Changed:
                _forget(order.into)
            except TransientError as error:
                here = order.into.stat().st_size
                if error.code != "url_broken_off" or here < most + _WORTH_GOING_ON:
                    raise
                most = here

    def _go_on(self, order: Order) -> float | None:
        begun = _Version.read(order.into)
        here = order.into.stat().st_size if begun else 0
        order.on_progress(here, begun.whole_bytes if begun else None)
        if begun and here == begun.whole_bytes:  # a worker was killed between the last byte and the store
            return begun.changed_s
        asked = {"Range": f"bytes={here}-", "If-Range": begun.validator} if begun and begun.validator and here else {}
        with self._http.ask("GET", order.uri, headers=asked, until=order.until, redirects=MOST_REDIRECTS) as answer:
            if asked and answer.status == _RANGE_WRONG:
                raise _Changed
            if answer.status == _PARTIAL and not asked:
                raise _refused(order, answer)
            _refuse_by_status(order, answer)
            version = _Version.told_by(answer)
            if answer.status == _OK:
                here = 0
            elif not begun or not version.continues(begun, answer, here):
                raise _Changed
            if version.whole_bytes is not None:
                refuse_by_size(order.file_name, version.whole_bytes, order.limits)
            if here == 0:
                version.write(order.into)
            self._write(order, answer, version, here)
        return version.changed_s

    def _write(self, order: Order, answer: Answer, version: "_Version", here: int) -> None:
        with order.into.open("r+b", buffering=0) as file:
            file.truncate(here)
            file.seek(here)
            for chunk in answer.chunks:
                here += len(chunk)
                if here > order.limits.max_size_bytes:
                    refuse_by_size(order.file_name, here, order.limits)
                write_whole(file, chunk, order.into.parent)
                order.on_progress(here, version.whole_bytes)
        if version.whole_bytes is not None and here < version.whole_bytes:
            raise TransientError("url_broken_off", f"{answer.target.shown} sent a part of {order.file_name} only.")
        for algorithm, digest in _promised(answer):
            with order.into.open("rb") as file:
                if hashlib.file_digest(file, algorithm).digest() != digest:
                    _forget(order.into)
                    raise TransientError(
                        "checksum_mismatch",
                        f"{order.file_name} from {answer.target.shown} is not what its checksum says; try again.",
                    )


class _Changed(Exception):
    """What is half here is of another version than the server has."""


@dataclass(frozen=True)
class _Version:
    """What the half that is here is half of; kept beside it, because another worker may fetch the other half."""

    place: str
    validator: str | None
    whole_bytes: int | None
    changed_s: float | None

    @classmethod
    def told_by(cls, answer: Answer) -> "_Version":
        length = answer.headers.get("content-length", "")
        span = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        whole = None
        if answer.status == _PARTIAL:
            whole = int(span[3]) if span and span[3].isdigit() else None
        elif length.isdigit():
            whole = int(length)
        place = f"{answer.target.shown}{answer.target.path.partition('?')[0].removeprefix('/')}"
        return cls(place, _validator(answer.headers), whole, _moment(answer.headers.get("last-modified", "")))

    @classmethod
    def read(cls, part: Path) -> "_Version | None":
        try:
            return cls(**json.loads(_beside(part).read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, part: Path) -> None:
        # The old bytes go first: a crash between the two leaves nothing that could be taken for a half of this.
        with part.open("r+b") as file:
            file.truncate(0)
        _beside(part).write_text(json.dumps(asdict(self)), encoding="utf-8")

    def continues(self, begun: "_Version", answer: Answer, here: int) -> bool:
        span = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        whole = {self.whole_bytes, begun.whole_bytes} - {None}
        same = self.place == begun.place and len(whole) <= 1 and self.validator in {None, begun.validator}
        return same and span is not None and int(span[1]) == here


def _beside(part: Path) -> Path:
    return part.with_name(f"{part.name}.http")


def _forget(part: Path) -> None:
    _beside(part).unlink(missing_ok=True)
    with part.open("r+b") as file:
        file.truncate(0)


def _validator(headers: Mapping[str, str]) -> str | None:
    etag = headers.get("etag", "")
    if etag.startswith('"'):  # `W/"..."`: means the same, but its bytes may differ
        return etag
    changed, said = headers.get("last-modified", ""), headers.get("date", "")
    changed_s, said_s = _moment(changed), _moment(said)
    # A date has whole seconds: what was just written may change again within this one.
    settled = changed_s is not None and said_s is not None and said_s - changed_s >= _SETTLED_S
    return changed if settled else None


def _moment(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _promised(answer: Answer) -> Iterator[tuple[str, bytes]]:
    """Give the checksums that the server states of the whole file, by the names of hashlib."""
    whole = answer.status == _OK
    stated = f"{answer.headers.get('repr-digest', '')} {answer.headers.get('content-digest', '') if whole else ''}"
    found = [(name.replace("-", ""), value) for name, value in _DIGEST.findall(stated)]
    google = _GOOGLE_MD5.search(answer.headers.get("x-goog-hash", ""))
    md5 = google[1] if google else answer.headers.get("content-md5", "") if whole else ""
    for algorithm, value in [*found, *([("md5", md5)] if md5 else [])]:
        try:
            yield algorithm, base64.b64decode(value, validate=True)
        except binascii.Error:
            continue  # no checksum at all


def _refuse_by_status(order: Order, answer: Answer) -> None:
    status, where = answer.status, answer.target.shown
    if status in {_OK, _PARTIAL}:
        encoding = answer.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"", "identity"}:
            raise PermanentError(
                "url_content_encoded",
                f"{where} sends {order.file_name} encoded ({encoding[:20]}) though asked not to; give a plain address.",
            )
        return
    if status in _PASSING or status >= _SERVER_ERROR:
        raise TransientError("url_unreachable", f"{where} did not give {order.file_name} (HTTP {status}); try later.")
    if status in _GONE:
        raise PermanentError("url_not_found", f"{where} has no {order.file_name} (HTTP {status}); check the address.")
    if status in _DENIED:
        raise PermanentError(
            "url_access_denied",
            f"{where} does not give us {order.file_name} (HTTP {status}); send a signed address.",
        )
    raise _refused(order, answer)


def _refused(order: Order, answer: Answer) -> PermanentError:
    return PermanentError(
        "url_refused",
        f"{answer.target.shown} did not give {order.file_name} (HTTP {answer.status}); check the address.",
    )
