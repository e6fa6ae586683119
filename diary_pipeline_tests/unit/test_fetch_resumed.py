"""What was half fetched is gone on with, and two versions are never mixed; over real connections on loopback."""

import hashlib
import time
from pathlib import Path

import pytest

from diary_pipeline.core.errors import Fenced
from diary_pipeline.intake.fetcher import Order
from diary_pipeline_tests.web_fetch import DATA, LIMITS, Fetch
from diary_pipeline_tests.web_server import WebServer, Wire, head, in_ranges, redirect, says, whole

OLD = "Sat, 01 May 2021 20:00:00 GMT"
NOW = "Sat, 01 May 2021 20:00:01 GMT"


@pytest.fixture
def fetch(web: WebServer, tmp_path: Path) -> Fetch:
    """A fetch of `/memo.mp3`."""
    return Fetch(web, tmp_path)


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
