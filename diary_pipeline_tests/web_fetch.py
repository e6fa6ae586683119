"""One fetch from the web server of the tests, through the real guard and the real fetcher."""

import ssl
import time
from pathlib import Path

import pytest

from diary_pipeline.audio.limits import AudioLimits
from diary_pipeline.core.errors import DiaryError
from diary_pipeline.intake.addresses import Guard
from diary_pipeline.intake.fetch_http import HttpFetcher
from diary_pipeline.intake.fetcher import Order
from diary_pipeline.intake.guarded_http import GuardedHttp
from diary_pipeline_tests.web_server import WebServer

DATA = bytes(range(256)) * 2_000
LOOPBACK = ["127.0.0.1"]
NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Certificates that are believed where none is shown; reading the public ones takes a while."""
LIMITS = AudioLimits(max_size_bytes=1_000_000)


class Fetch:
    """One fetch into one file, which may be tried again."""

    def __init__(self, web: WebServer, folder: Path) -> None:
        self.web, self.part = web, folder / "part"
        self.part.touch()
        self.seen: list[tuple[int, int | None]] = []

    def fetcher(self, idle_s: float = 5.0) -> HttpFetcher:
        inside = {"private.test": ["10.0.0.7"], "metadata.test": ["169.254.169.254"]}
        guard = Guard(
            [f"memos.test:{self.web.port}"], ports=(80, 443, self.web.port), resolve=lambda h: inside.get(h, LOOPBACK)
        )
        return HttpFetcher(GuardedHttp(guard, idle_s=idle_s, certificates=NOBODY))

    def __call__(self, url: str = "", fetcher: HttpFetcher | None = None, whole_s: float = 20.0) -> float | None:
        return (fetcher or self.fetcher()).fetch(
            Order(
                url or self.web.url("/memo.mp3"),
                "memo.mp3",
                self.part,
                LIMITS,
                time.monotonic() + whole_s,
                lambda here, all: self.seen.append((here, all)),
            )
        )

    def refused(self, url: str = "", **how: object) -> DiaryError:
        with pytest.raises(DiaryError) as error:
            self(url, **how)  # type: ignore[arg-type]
        assert "s3cret" not in error.value.message
        return error.value

    def begin_anew(self) -> None:
        for path in self.part.parent.iterdir():
            path.unlink()
        self.part.touch()

    @property
    def data(self) -> bytes:
        return self.part.read_bytes()
