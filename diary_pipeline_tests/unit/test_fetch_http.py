"""How bytes come from a web server, good or bad, over real connections on loopback."""

import base64
import gzip
import hashlib
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from diary_pipeline.intake.addresses import Guard
from diary_pipeline.intake.fetch_http import HttpFetcher
from diary_pipeline.intake.guarded_http import MOST_REDIRECTS, GuardedHttp
from diary_pipeline_tests.servers import missing_server
from diary_pipeline_tests.web_fetch import DATA, LIMITS, LOOPBACK, NOBODY, Fetch
from diary_pipeline_tests.web_server import WebServer, Wire, head, redirect, says, web_server, whole

OLD = "Sat, 01 May 2021 20:00:00 GMT"
NOW = "Sat, 01 May 2021 20:00:01 GMT"


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


def test_regression_12_a_redirect_an_odd_mime_type_a_lying_length_and_a_private_address(fetch: Fetch) -> None:
    """In one row of pages, each of which the older system answered with 500."""
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
