"""Which instant is believed, how far, and what is said when witnesses disagree."""

import datetime as dt
from typing import Any

import pytest

from diary_pipeline.audio.recorded_at import recorded_at
from diary_pipeline.core.errors import UsageError
from diary_pipeline.core.recording import RecordedAt

NOW = dt.datetime(2026, 3, 20, 12, tzinfo=dt.UTC)
COPIED = dt.datetime(2026, 3, 19, 9, tzinfo=dt.UTC)
APPLE = "com.apple.quicktime.creationdate"


def ask(**changes: Any) -> RecordedAt:
    base: dict[str, Any] = {
        "file_name": "memo.m4a",
        "tags": {},
        "container": "mp4",
        "duration_s": 600.0,
        "mtime": COPIED,
        "zone": "Europe/Berlin",
        "explicit": None,
        "now": NOW,
    }
    return recorded_at(**{**base, **changes})


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("file_name", "expected"),
    [
        ("2026-03-07_07-45.m4a", "2026-03-07T06:45"),
        ("2026-03-07 07:45:12.m4a", "2026-03-07T06:45:12"),
        ("2026-03-07T07-45-12Z.m4a", "2026-03-07T07:45:12"),
        ("2026-03-07T07:45:12+0530.m4a", "2026-03-07T02:15:12"),
        ("2026-03-07_07-45-12-1234.m4a", "2026-03-07T06:45:12"),
        ("2026_03_07 07.45.wav", "2026-03-07T06:45"),
        ("20260304_193000.m4a", "2026-03-04T18:30"),
        ("20260304-1930.m4a", "2026-03-04T18:30"),
        ("20260304193000.mp3", "2026-03-04T18:30"),
        ("20260304193000123.mp3", "2026-03-04T18:30"),
        ("rec_20260304T193000Z(1).m4a", "2026-03-04T19:30"),
        ("WhatsApp Audio 2026-03-07 at 07.45.12.opus", "2026-03-07T06:45:12"),
        ("WhatsApp Ptt 2026-03-07 at 7.45.12 PM.ogg", "2026-03-07T18:45:12"),
        ("Recording 2026-03-07 at 12.05\u202fAM.m4a", "2026-03-06T23:05"),
        ("audio_2026-03-07_07-45-12.ogg", "2026-03-07T06:45:12"),
        ("07.03.2026 07-45.m4a", "2026-03-07T06:45"),
        ("7 March 2026 at 07.45.m4a", "2026-03-07T06:45"),
        ("Mar 7, 2026, 07.45.m4a", "2026-03-07T06:45"),
        ("260307_074512.wav", "2026-03-07T06:45:12"),
        ("1772865912345.m4a", "2026-03-07T06:45:12.345"),
        ("from 2026-03-01 on, 2026-03-07 07h45.m4a", "2026-03-07T06:45"),
        (".2026-03-07_07-45", "2026-03-07T06:45"),
    ],
)
def test_a_clock_in_the_file_name_is_read_in_the_owners_zone(file_name: str, expected: str) -> None:
    found = ask(file_name=file_name)
    assert (found.at, found.source, found.confidence) == (utc(expected), "file_name", 0.9)
    assert found.day == found.at.astimezone(dt.timezone(dt.timedelta(hours=1))).date()


@pytest.mark.parametrize(
    ("file_name", "day"),
    [
        ("Recording 2026-3-7.m4a", "2026-03-07"),
        ("PTT-20260307-WA0001.opus", "2026-03-07"),
        ("07.03.2026.m4a", "2026-03-07"),
        ("7. 3. 2026 Spaziergang.m4a", "2026-03-07"),
        ("03-17-2026.m4a", "2026-03-17"),
        ("17-03-2026.m4a", "2026-03-17"),
        ("3rd March 2026.m4a", "2026-03-03"),
        ("2026-03-07 (2).m4a", "2026-03-07"),
        ("2026-03-07 25-99.m4a", "2026-03-07"),
        ("260307_0001.wav", "2026-03-07"),
        ("2024-02-29.m4a", "2024-02-29"),
    ],
)
def test_a_date_without_a_clock_is_noon_of_that_day(file_name: str, day: str) -> None:
    found = ask(file_name=file_name)
    assert (found.day.isoformat(), found.source, found.confidence) == (day, "file_name_day", 0.6)
    assert found.at == utc(f"{day}T11:00")


@pytest.mark.parametrize(
    "file_name",
    [
        "memo.m4a",
        "",
        "2026-13-01 07-45.m4a",
        "2026-02-30.m4a",
        "1999-12-31 23-59.m4a",
        "2000-01-01 00-00.m4a",
        "2026-03-23.m4a",
        "9999-12-31.m4a",
        "0000-00-00.m4a",
        "03-07-2026.m4a",
        "123456789.m4a",
        "4915123456789.m4a",
        "9999999999999.m4a",
        "DS_0001.mp3",
        "Track 12-34-56.mp3",
        "may the 4th.mp3",
    ],
)
def test_what_is_no_possible_date_leaves_the_file_time(file_name: str) -> None:
    found = ask(file_name=file_name)
    assert (found.at, found.source, found.confidence, found.note) == (COPIED, "file_time", 0.3, "")


def test_a_day_or_two_ahead_is_another_zone_and_not_the_future() -> None:
    assert ask(file_name="2026-03-22.m4a").day == dt.date(2026, 3, 22)


UTC_TAG = {"creation_time": "2026-03-04T19:30:00.000000Z"}


@pytest.mark.parametrize(
    ("tags", "container", "source", "at"),
    [
        ({APPLE: "2026-03-04T19:30:00+0100", **UTC_TAG}, "mp4", "container_offset", "2026-03-04T18:30"),
        ({APPLE: "2026-03-04T19:30:00+0000"}, "mp4", "container_offset", "2026-03-04T19:30"),
        ({"date": "2026-03-04T19:30:00+0100"}, "mp4", "container_offset", "2026-03-04T18:30"),
        (UTC_TAG, "mp4", "container_utc", "2026-03-04T19:30"),
        ({**UTC_TAG, "major_brand": "M4A "}, "mp4", "container_utc", "2026-03-04T19:30"),
        ({**UTC_TAG, "major_brand": "mp42"}, "mp4", "container_utc", "2026-03-04T19:20"),
        ({**UTC_TAG, "major_brand": "3gp4"}, "mp4", "container_utc", "2026-03-04T19:20"),
        ({**UTC_TAG, "com.android.version": "15"}, "mp4", "container_utc", "2026-03-04T19:20"),
        ({**UTC_TAG, "major_brand": "mp42", "encoder": "Lavf61"}, "mp4", "container_utc", "2026-03-04T19:30"),
        (UTC_TAG, "matroska", "container_utc", "2026-03-04T19:30"),
        ({"date_recorded": "2026-03-04 19:30"}, "flac", "container_local", "2026-03-04T18:30"),
        ({"date": "2026-03-04T19:30"}, "ogg", "container_local", "2026-03-04T18:30"),
        ({"date": "2026-03-04", "creation_time": "19:30:00"}, "wav", "container_local", "2026-03-04T18:30"),
        ({"date": "2026-03-04"}, "wav", "file_time", None),
        # Purchase, encode and release tags never count.
        ({"date": "2026-03-04"}, "flac", "file_time", None),
        ({"date": "2026-03-04T07:00:00Z"}, "mp4", "file_time", None),
        ({"date": "2026-03-04T07:00:00"}, "mp4", "file_time", None),
        (UTC_TAG, "mp3", "file_time", None),
        ({**UTC_TAG, "purchase_date": "2026-03-05 08:00:00"}, "mp4", "file_time", None),
        ({"purchase_date": "2026-03-05 08:00:00"}, "mp4", "file_time", None),
        ({"encoding_time": "2026-03-05T08:00:00Z"}, "mp4", "file_time", None),
        ({"releasetime": "2026-03-05T08:00:00Z"}, "ogg", "file_time", None),
        # Clocks that were never set.
        ({"creation_time": "1970-01-01T00:00:00.000000Z"}, "mp4", "file_time", None),
        ({"creation_time": "1904-01-01T00:00:00.000000Z"}, "mp4", "file_time", None),
        ({"creation_time": "2040-02-06T06:28:15.000000Z"}, "mp4", "file_time", None),
        ({"creation_time": "garbage"}, "mp4", "file_time", None),
    ],
)
def test_container_tags_count_by_what_they_mean(
    tags: dict[str, str], container: str, source: str, at: str | None
) -> None:
    found = ask(tags=tags, container=container)
    assert (found.source, found.at) == (source, utc(at) if at else COPIED)


def test_the_better_source_wins() -> None:
    everything: dict[str, Any] = {
        "explicit": utc("2026-03-04T01:00"),
        "tags": {APPLE: "2026-03-04T03:00:00+0100", "creation_time": "2026-03-04T04:00:00Z"},
        "file_name": "2026-03-04_04-00.m4a",
    }
    order = []
    for leave_out in ("explicit", "offset", "file_name", "creation_time", None):
        found = ask(**everything)
        order.append((found.source, found.at.hour))
        if leave_out == "explicit":
            everything["explicit"] = None
        elif leave_out == "offset":
            everything["tags"] = {"creation_time": "2026-03-04T04:00:00Z"}
        elif leave_out == "file_name":
            everything["file_name"] = "memo.m4a"
        elif leave_out == "creation_time":
            everything["tags"] = {}
    assert order == [
        ("explicit", 1),
        ("container_offset", 2),
        ("file_name", 3),
        ("container_utc", 4),
        ("file_time", 9),
    ]


def test_a_stamp_with_a_clock_goes_before_a_bare_day_in_the_name() -> None:
    found = ask(file_name="PTT-20260304-WA0001.m4a", tags=UTC_TAG)
    assert (found.source, found.at, found.confidence) == ("container_utc", utc("2026-03-04T19:30"), 0.9)


def test_agreement_raises_the_confidence() -> None:
    alone, together = ask(file_name="20260304_203000.m4a"), ask(file_name="20260304_203000.m4a", tags=UTC_TAG)
    assert (alone.confidence, together.confidence, together.note) == (0.9, 0.95, "")


def test_disagreement_over_the_day_lowers_it_and_is_told_in_one_sentence() -> None:
    found = ask(file_name="20260306_203000.m4a", tags=UTC_TAG)
    assert (found.source, found.confidence) == ("file_name", 0.72)
    assert found.note == (
        "The file name says 2026-03-06, the recorder's tag says 2026-03-04; the file name was believed."
    )


@pytest.mark.parametrize(
    ("mtime", "noted"),
    [("2026-03-19T09:00", False), ("2026-03-01T09:00", True), ("1980-01-01T00:00", False)],
)
def test_only_an_earlier_file_time_contradicts(mtime: str, noted: bool) -> None:
    found = ask(file_name="20260304_203000.m4a", mtime=utc(mtime))
    assert bool(found.note) == noted


def test_two_stamps_around_midnight_are_one_evening() -> None:
    found = ask(file_name="20260304_235800.m4a", tags={"creation_time": "2026-03-04T23:02:00Z"})
    assert (found.day, found.note) == (dt.date(2026, 3, 4), "")


def test_explicit_stays_certain_and_still_shows_the_disagreement() -> None:
    found = ask(explicit=utc("2026-03-01T08:00"), tags=UTC_TAG)
    assert (found.confidence, found.source) == (1.0, "explicit")
    assert "2026-03-04" in found.note


@pytest.mark.parametrize(
    ("zone", "file_name", "at", "day"),
    [
        ("Europe/Berlin", "2025-03-30 02-30.m4a", "2025-03-30T01:30", "2025-03-30"),  # skipped: 03:30 on the clock
        ("Europe/Berlin", "2025-10-26 02-30.m4a", "2025-10-26T00:30", "2025-10-26"),  # twice: the first
        ("America/Santiago", "2025-09-07 00-30.m4a", "2025-09-07T04:30", "2025-09-07"),  # midnight itself skipped
        ("Pacific/Auckland", "2026-03-07 01-00.m4a", "2026-03-06T12:00", "2026-03-07"),
        ("America/Los_Angeles", "2026-03-07 22-00.m4a", "2026-03-08T06:00", "2026-03-07"),
        ("UTC", "2026-03-07 22-00.m4a", "2026-03-07T22:00", "2026-03-07"),
    ],
)
def test_the_day_is_the_owners_also_when_clocks_change(zone: str, file_name: str, at: str, day: str) -> None:
    found = ask(zone=zone, file_name=file_name)
    assert (found.at, found.day.isoformat(), found.zone) == (utc(at), day, zone)


def test_an_explicit_time_without_offset_is_the_owners_clock() -> None:
    assert ask(explicit=dt.datetime(2026, 3, 4, 20)).at == utc("2026-03-04T19:00")


def test_the_result_is_aware_utc() -> None:
    assert ask(tags={APPLE: "2026-03-04T19:30:00+0100"}).at.tzinfo is dt.UTC


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Europe"])
def test_an_unknown_zone_is_named(zone: str) -> None:
    with pytest.raises(UsageError, match="time zone"):
        ask(zone=zone)
