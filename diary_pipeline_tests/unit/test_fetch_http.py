"""How bytes come from a web server, good or bad, over real connections on loopback (FEATURES 9.12)."""

import base64
import gzip
import hashlib
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diary_pipeline.audio.limits import AudioLimits
from diary_pipeline.core.errors import DiaryError, Fenced
from diary_pipeline.intake.addresses import Guard
from diary_pipeline.intake.fetch_http import HttpFetcher
from diary_pipeline.intake.fetcher import Order
from diary_pipeline.intake.guarded_http import MOST_REDIRECTS, GuardedHttp
from diary_pipeline_tests.servers import missing_server
from diary_pipeline_tests.web_server import WebServer, Wire, head, in_ranges, redirect, says, web_server, whole

DATA = bytes(range(256)) * 2_000
LOOPBACK = ["127.0.0.1"]
NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Certificates that are believed where none is shown; reading the public ones takes a while."""
LIMITS = AudioLimits(max_size_bytes=1_000_000)
OLD = "Sat, 01 May 2021 20:00:00 GMT"
NOW = "Sat, 01 May 2021 20:00:01 GMT"


@pytest.fixture(scope="module")
def running() -> Iterator[WebServer]:
    """A server for all of these tests."""
    with web_server() as server:
        yield server


@pytest.fixture
def web(running: WebServer) -> WebServer:
    """The server, with no page and asked nothing yet."""
    running.pages.clear()
    running.asked.clear()
    return running


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


@pytest.fixture
def fetch(web: WebServer, tmp_path: Path) -> Fetch:
    """A fetch of `/memo.mp3`."""
    return Fetch(web, tmp_path)


def test_a_file_is_fetched_and_dated_by_its_server(fetch: Fetch) -> None:
    fetch.web.pages["/memo.mp3"] = whole(DATA, last_modified=OLD, content_type="text/html")
    assert fetch(fetch.web.url("/memo.mp3?sig=s3cret")) == 1_619_899_200.0
    assert fetch.data == DATA
    assert fetch.seen[0] == (0, None)
    assert fetch.seen[-1] == (len(DATA), len(DATA))
    (asked,) = fetch.web.asked
    assert asked.path == "/memo.mp3?sig=s3cret"
    assert asked.headers["host"] == f"memos.test:{fetch.web.port}"
    assert asked.headers["accept-encoding"] == "identity"
    assert "cookie" not in asked.headers
    assert "authorization" not in asked.headers


REFUSALS: dict[str, tuple[Wire, str, bool]] = {
    "nothing there": (says(head(404, content_length=0)), "url_not_found", False),
    "gone": (says(head(410, content_length=0)), "url_not_found", False),
    "not for us": (says(head(403, content_length=0)), "url_access_denied", False),
    "unasked part": (says(head(206, content_length=1, content_range="bytes 0-0/1"), b"x"), "url_refused", False),
    "no content": (says(head(204)), "url_refused", False),
    "a teapot": (says(head(418, content_length=0)), "url_refused", False),
    "not modified": (says(head(304, content_length=0)), "url_refused", False),
    "leads nowhere": (says(head(302, content_length=0)), "url_refused", False),
    "too busy": (says(head(429, content_length=0)), "url_unreachable", True),
    "broken": (says(head(500, content_length=0)), "url_unreachable", True),
    "away": (says(head(503, content_length=0)), "url_unreachable", True),
    "hangs up": (says(), "url_unreachable", True),
    "no web server": (says(b"220 smtp ready\r\n"), "url_unreachable", True),
    "endless head": (says(b"HTTP/1.1 200 OK\r\n" + b"x-filler: y\r\n" * 20_000), "url_unreachable", True),
    "declared too large": (says(head(200, content_length=9_000_000_000), b"x"), "audio_too_large", False),
    "declared empty": (says(head(200, content_length=0)), "audio_empty", False),
    "larger than it may be, undeclared": (says(head(200), b"x" * 1_100_000), "audio_too_large", False),
    "fewer bytes than declared": (says(head(200, content_length=900), b"x" * 10), "url_broken_off", True),
    "a negative length": (says(head(200, content_length=-5), b"x"), "url_unreachable", True),
    "two lengths": (
        says(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello"),
        "url_unreachable",
        True,
    ),
    "a bomb": (whole(gzip.compress(b"\0" * 900_000), content_encoding="gzip"), "url_content_encoded", False),
    "other bytes than its checksum": (whole(b"abc", repr_digest=f"sha-256=:{'A' * 43}=:"), "checksum_mismatch", True),
    "other bytes than Google's checksum": (
        whole(b"abc", x_goog_hash="crc32c=AAAAAA==,md5=AAAAAAAAAAAAAAAAAAAAAA=="),
        "checksum_mismatch",
        True,
    ),
}


@pytest.mark.parametrize("behaviour", REFUSALS)
def test_a_bad_answer_has_its_code_and_says_whether_to_try_again(fetch: Fetch, behaviour: str) -> None:
    page, code, transient = REFUSALS[behaviour]
    fetch.web.pages["/memo.mp3"] = page
    error = fetch.refused(fetch.web.url("/memo.mp3?sig=s3cret"))
    assert (error.code, error.transient) == (code, transient)
    assert fetch.part.stat().st_size <= LIMITS.max_size_bytes


def test_a_longer_answer_than_declared_ends_where_it_was_declared_to_end(fetch: Fetch) -> None:
    fetch.web.pages["/memo.mp3"] = says(head(200, content_length=5), b"hello and more")
    fetch()
    assert fetch.data == b"hello"


def base64_of(data: bytes) -> str:
    """Write bytes as headers do."""
    return base64.b64encode(data).decode()


def test_stated_checksums_that_are_right_are_believed(fetch: Fetch) -> None:
    digest, md5 = base64_of(hashlib.sha256(DATA).digest()), base64_of(hashlib.md5(DATA, usedforsecurity=False).digest())
    fetch.web.pages["/memo.mp3"] = whole(
        DATA, content_digest=f"sha-256=:{digest}:", x_goog_hash=f"crc32c=AAAAAA==,md5={md5}", content_md5=md5
    )
    fetch()
    assert fetch.data == DATA


REDIRECTS: dict[str, tuple[str, str]] = {
    "to a private address": ("http://10.0.0.7/memo.mp3", "url_forbidden_address"),
    "to a private name": ("http://private.test/memo.mp3", "url_forbidden_address"),
    "to the metadata server": ("http://metadata.test/latest/meta-data/", "url_forbidden_address"),
    "to loopback, in disguise": ("http://2130706433/", "url_forbidden_address"),
    "to another port": ("http://memos.test:22/", "url_forbidden_address"),
    "to a user": ("http://me:s3cret@memos.test/", "url_forbidden_address"),
    "to a file": ("file:///etc/passwd", "url_invalid"),
    "to a script": ("javascript:alert(1)", "url_invalid"),
    "to itself": ("/memo.mp3", "url_too_many_redirects"),
}


@pytest.mark.parametrize("way", REDIRECTS)
def test_every_redirect_is_judged_like_the_first_address(fetch: Fetch, way: str) -> None:
    location, code = REDIRECTS[way]
    fetch.web.pages["/memo.mp3"] = redirect(location)
    assert fetch.refused().code == code
    assert len(fetch.web.asked) == (MOST_REDIRECTS + 1 if code == "url_too_many_redirects" else 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_few_redirects_are_followed(fetch: Fetch, status: int) -> None:
    for n in range(1, MOST_REDIRECTS):
        fetch.web.pages[f"/{n}"] = redirect(f"{n + 1}?sig=x" if n % 2 else fetch.web.url(f"/{n + 1}"), status)
    fetch.web.pages[f"/{MOST_REDIRECTS}"] = whole(DATA)
    fetch(fetch.web.url("/1"))
    assert fetch.data == DATA


def test_redirecting_url_odd_mime_type_lying_content_length_private_address_url(fetch: Fetch) -> None:
    """FEATURES 9.12 in one row of pages, each of which the older system answered with 500."""
    fetch.web.pages |= {
        "/redirecting": redirect("/memo.mp3"),
        "/memo.mp3": whole(DATA, content_type="application/x-not-audio; charset=klingon"),
        "/lying": says(head(200, content_length=10_000_000), DATA),
        "/private": redirect("http://169.254.169.254/latest/meta-data/"),
    }
    fetch(fetch.web.url("/redirecting"))
    assert fetch.data == DATA
    fetch.begin_anew()
    assert fetch.refused(fetch.web.url("/lying")).code == "audio_too_large"
    assert fetch.refused(fetch.web.url("/private")).code == "url_forbidden_address"
    assert fetch.refused("http://10.0.0.7/memo.mp3").code == "url_forbidden_address"


def test_a_broken_connection_is_gone_on_with_where_it_broke(fetch: Fetch) -> None:
    fetch.web.pages["/memo.mp3"] = in_ranges(DATA, break_after=200_000)
    fetch()
    assert fetch.data == DATA
    assert [asked.headers.get("range") for asked in fetch.web.asked] == [None, "bytes=200000-", "bytes=400000-"]


def test_a_later_try_goes_on_where_an_earlier_one_stopped(fetch: Fetch) -> None:
    fetch.web.pages["/memo.mp3"] = in_ranges(DATA, break_after=50_000)
    assert fetch.refused().code == "url_broken_off"
    assert fetch.data == DATA[:50_000]
    fetch.web.pages["/memo.mp3"] = in_ranges(DATA)
    fetch()
    assert fetch.data == DATA
    assert fetch.web.asked[-1].headers["range"] == "bytes=50000-"
    fetch()
    assert len(fetch.web.asked) == 2, "what is whole is not asked for again"


OTHER = bytes(reversed(DATA))
OF_OTHER = f'"{hashlib.sha256(OTHER).hexdigest()[:16]}"'
OF_DATA = f'"{hashlib.sha256(DATA).hexdigest()[:16]}"'
SECOND_HALF = {"content_length": 462_000, "content_range": "bytes 50000-511999/512000"}
CHANGED: dict[str, tuple[Wire, Wire]] = {
    "the server sees that it changed": (in_ranges(DATA, break_after=50_000), in_ranges(OTHER)),
    "the server knows no ranges": (in_ranges(DATA, break_after=50_000), whole(OTHER)),
    "a part of another version": (
        in_ranges(DATA, break_after=50_000),
        lambda wire, asked: (
            says(head(206, etag=OF_OTHER, **SECOND_HALF), OTHER[50_000:]) if "range" in asked.headers else whole(OTHER)
        )(wire, asked),
    ),
    "a part of another length": (
        in_ranges(DATA, break_after=50_000),
        lambda wire, asked: (
            says(head(206, content_length=10, content_range="bytes 50000-50009/50010"), OTHER[:10])
            if "range" in asked.headers
            else whole(OTHER)
        )(wire, asked),
    ),
    "another part than asked for": (
        in_ranges(DATA, break_after=50_000),
        lambda wire, asked: (
            says(head(206, content_length=512_000, content_range="bytes 0-511999/512000", etag=OF_DATA), DATA)
            if "range" in asked.headers
            else whole(OTHER)
        )(wire, asked),
    ),
    "no such part any more": (
        in_ranges(DATA, break_after=50_000),
        lambda wire, asked: (says(head(416, content_length=0)) if "range" in asked.headers else whole(OTHER))(
            wire, asked
        ),
    ),
    "nothing to know it by": (in_ranges(DATA, break_after=50_000, etag=False), in_ranges(OTHER, etag=False)),
    "a weak tag": (in_ranges(DATA, break_after=50_000, etag='W/"x"'), in_ranges(OTHER)),
    "a date that had not settled": (
        in_ranges(DATA, break_after=50_000, etag=False, last_modified=OLD, date=NOW),
        in_ranges(OTHER, etag=False, last_modified=OLD, date=NOW),
    ),
}


@pytest.mark.parametrize("how", CHANGED)
def test_two_versions_are_never_mixed(fetch: Fetch, how: str) -> None:
    first, then = CHANGED[how]
    fetch.web.pages["/memo.mp3"] = first
    assert fetch.refused().code == "url_broken_off"
    fetch.web.pages["/memo.mp3"] = then
    fetch()
    assert fetch.data == OTHER


def test_a_part_is_not_gone_on_with_from_another_place(fetch: Fetch) -> None:
    fetch.web.pages |= {"/memo.mp3": redirect("/one"), "/one": in_ranges(DATA, break_after=50_000)}
    assert fetch.refused().code == "url_broken_off"
    fetch.web.pages |= {"/memo.mp3": redirect("/two"), "/two": in_ranges(DATA)}
    fetch()
    assert fetch.data == DATA
    assert fetch.web.asked[-1].headers.get("range") is None


def test_a_file_that_was_there_without_a_note_of_its_version_is_not_gone_on_with(fetch: Fetch) -> None:
    fetch.part.write_bytes(b"left by nobody knows whom")
    fetch.web.pages["/memo.mp3"] = in_ranges(DATA)
    fetch()
    assert fetch.data == DATA


def for_ever(piece: bytes, wait_s: float, web: WebServer) -> Callable[..., None]:
    """Send a piece again and again until the server stops."""

    def serve(wire: socket.socket, _: object) -> None:
        while not web.stop.wait(wait_s):
            wire.sendall(piece)

    return serve


def test_a_server_that_falls_silent_is_left(fetch: Fetch) -> None:
    fetch.web.pages["/memo.mp3"] = lambda wire, _: (wire.sendall(head(200, content_length=9)), fetch.web.stop.wait(3))
    began = time.monotonic()
    error = fetch.refused(fetcher=fetch.fetcher(idle_s=0.2))
    assert (error.code, error.transient) == ("url_broken_off", True)
    assert time.monotonic() - began < 2.5


@pytest.mark.parametrize("begun", ["", "HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_drips_is_left_when_the_whole_time_is_over(fetch: Fetch, begun: str) -> None:
    drip = for_ever(b"x", 0.02, fetch.web)
    fetch.web.pages["/memo.mp3"] = lambda wire, asked: (wire.sendall(begun.encode()), drip(wire, asked))
    error = fetch.refused(whole_s=0.5)
    assert (error.code, error.transient) == ("url_too_slow", True)


def test_whoever_hears_of_the_progress_can_end_it_and_the_rest_is_fetched_later(fetch: Fetch) -> None:
    fetch.web.pages["/memo.mp3"] = in_ranges(DATA)

    def lost(here: int, _: int | None) -> None:
        if here >= 100_000:
            raise Fenced("fetch_lease_lost", "Somebody else has it.")

    order = Order(fetch.web.url("/memo.mp3"), "memo.mp3", fetch.part, LIMITS, time.monotonic() + 20, lost)
    with pytest.raises(Fenced):
        fetch.fetcher().fetch(order)
    half = len(fetch.data)
    assert 100_000 <= half < len(DATA)
    fetch()
    assert fetch.data == DATA
    assert fetch.web.asked[-1].headers["range"] == f"bytes={half}-"


@pytest.mark.parametrize("answers", [[], ["127.0.0.1"]])
def test_a_name_or_a_port_where_nobody_is_can_be_tried_again(fetch: Fetch, answers: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    guard = Guard([f"memos.test:{port}"], resolve=lambda _: answers)
    error = fetch.refused(f"http://memos.test:{port}/", fetcher=HttpFetcher(GuardedHttp(guard, certificates=NOBODY)))
    assert (error.code, error.transient) == ("url_unreachable", True)


def test_a_host_is_looked_up_once_and_dialled_at_that_address(fetch: Fetch) -> None:
    asked: list[str] = []

    def rebinding(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.7"]

    fetch.web.pages["/memo.mp3"] = whole(DATA)
    guard = Guard([f"memos.test:{fetch.web.port}"], resolve=rebinding)
    fetch(fetcher=HttpFetcher(GuardedHttp(guard, certificates=NOBODY)))
    assert (fetch.data, asked) == (DATA, ["memos.test"])


def test_a_second_address_is_dialled_when_the_first_does_not_answer(fetch: Fetch) -> None:
    fetch.web.pages["/memo.mp3"] = whole(DATA)
    guard = Guard([f"memos.test:{fetch.web.port}"], resolve=lambda _: ["127.0.0.2", "::1", "127.0.0.1"])
    fetch(fetcher=HttpFetcher(GuardedHttp(guard, certificates=NOBODY)))
    assert fetch.data == DATA


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of `memos.test`, with its key."""
    if not shutil.which("openssl"):
        missing_server("openssl is not there to make a certificate")
    made = tmp_path_factory.mktemp("certificate") / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", made, "-out", made.with_suffix(".crt"), "-subj", "/CN=memos.test",
         "-addext", "subjectAltName=DNS:memos.test"],
        check=True, capture_output=True,
    )  # fmt: skip
    made.write_bytes(made.read_bytes() + made.with_suffix(".crt").read_bytes())
    return made


def test_over_tls_the_certificate_is_that_of_the_name_and_not_of_the_address(fetch: Fetch, certificate: Path) -> None:
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate.with_suffix(".crt")))
    with web_server(theirs) as web:
        web.pages |= {"/memo.mp3": whole(DATA), "/down": redirect(fetch.web.url("/memo.mp3"))}
        secure = f"https://memos.test:{web.port}"
        guard = Guard(
            [f"{name}.test:{port}" for name in ("memos", "other") for port in (web.port, fetch.web.port)],
            resolve=lambda _: LOOPBACK,
        )
        fetch(f"{secure}/memo.mp3", fetcher=HttpFetcher(GuardedHttp(guard, certificates=trusting)))
        assert fetch.data == DATA
        for url, client, code in (
            (f"{secure}/memo.mp3", GuardedHttp(guard), "url_tls_failed"),
            (f"https://other.test:{web.port}/memo.mp3", GuardedHttp(guard, certificates=trusting), "url_tls_failed"),
            (f"{secure}/down", GuardedHttp(guard, certificates=trusting), "url_insecure_redirect"),
        ):
            fetch.begin_anew()
            assert fetch.refused(url, fetcher=HttpFetcher(client)).code == code
