"""When it was spoken: the best of what was said, written and stamped. Never the time of processing.

Pure. The order, with the confidence each has alone:

    explicit            1.0   told by API, command line or sidecar
    container_offset    0.95  a tag with an offset from UTC: the recorder knew where it was
    file_name           0.9   a clock in the file name, in the owner's zone
    container_local     0.85  a tag with a clock but no offset (broadcast wav), in the owner's zone
    container_utc       0.8   a tag in UTC, less the duration where the recorder stamps the end
    file_name_day       0.6   a day in the file name; `at` is its noon in the owner's zone, and nobody said noon
    file_time           0.3   copies carry the time of copying

What surprises: only tags that say when sound was recorded are read. `date` of a song is its release, `creation_time`
of an mp3 is when it was encoded, and a bought file has no tag that counts.
"""

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from diary_pipeline.audio.clocks import EARLIEST, Reading, read_clock
from diary_pipeline.core.errors import UsageError
from diary_pipeline.core.recording import RecordedAt

# Each counts only with a clock in it: a bare date is a release, or midnight made up by a tagger.
_APPLE_START = "com.apple.quicktime.creationdate"
_TAGS = (_APPLE_START, "date_recorded", "date recorded", "creation_time", "icrd", "date")
# iTunes writes the release into mp4's `date` in UTC with a clock; cameras write theirs with an offset.
_ONLY_WITH_OFFSET = frozenset({("mp4", "date")})
# id3's TDEN, the time of encoding, comes to us under this name.
_NEVER = frozenset({("mp3", "creation_time")})
_BOUGHT = frozenset({"purchase_date", "account_id", "apid", "asin", "isrc"})
# Android's MediaRecorder writes mp4's creation_time while closing the file; Apple's recorders write the start, and
# ffmpeg what it was told.
_END_STAMPING_BRANDS = re.compile(r"mp42|3g[p2]\w")

_CLOCK_ONLY = re.compile(r"\d\d:\d\d:\d\d")

_CONFIDENCE: Mapping[str, float] = {
    "explicit": 1.0,
    "container_offset": 0.95,
    "file_name": 0.9,
    "container_local": 0.85,
    "container_utc": 0.8,
    "file_name_day": 0.6,
    "file_time": 0.3,
}
_SAID: Mapping[str, str] = {
    "explicit": "the sender",
    "container_offset": "the recorder's tag",
    "file_name": "the file name",
    "container_local": "the recorder's tag",
    "container_utc": "the recorder's tag",
    "file_name_day": "the file name",
    "file_time": "the file's time",
}
_DOUBTED = 0.8
"""What a disagreement over the day leaves of a confidence."""


@dataclass(frozen=True)
class _Witness:
    source: str
    at: dt.datetime
    day: dt.date


def recorded_at(
    *,
    file_name: str,
    tags: Mapping[str, str],
    container: str,
    duration_s: float | None,
    mtime: dt.datetime,
    zone: str,
    explicit: dt.datetime | None,
    now: dt.datetime | None = None,
) -> RecordedAt:
    """Choose the best witness; agreement over the day raises its confidence, disagreement lowers it and is told."""
    local = _zone(zone)
    now = now or dt.datetime.now(dt.UTC)
    witnesses = [
        _witness(source, clock, local)
        for source, clock in (
            *([("explicit", explicit)] if explicit else []),
            *_from_tags(tags, container, duration_s, now),
            *_from_name(file_name, now),
            ("file_time", mtime),
        )
    ]
    order = list(_CONFIDENCE)
    witnesses.sort(key=lambda witness: order.index(witness.source))
    best, others = witnesses[0], witnesses[1:]
    against = next((other for other in others if _contradicts(best, other)), None)
    confidence = _CONFIDENCE[best.source]
    if against is not None:
        confidence *= 1.0 if best.source == "explicit" else _DOUBTED
    elif any(other.day == best.day for other in others):
        confidence += (1 - confidence) / 2
    return RecordedAt(
        at=best.at,
        zone=zone,
        source=best.source,
        confidence=round(confidence, 3),
        day=best.day,
        note=_told(best, against) if against else "",
    )


def _from_tags(
    tags: Mapping[str, str], container: str, duration_s: float | None, now: dt.datetime
) -> Iterator[tuple[str, dt.datetime]]:
    if not _BOUGHT.isdisjoint(tags):
        return
    for tag in _TAGS:
        reading = read_clock(tags.get(tag, ""), now)
        if reading is None or reading.clock is None or (container, tag) in _NEVER:
            continue
        clock = reading.clock
        if clock.tzinfo is None:
            if (container, tag) not in _ONLY_WITH_OFFSET:
                yield "container_local", clock
        elif clock.tzinfo is not dt.UTC or tag == _APPLE_START:
            yield "container_offset", clock
        elif (container, tag) not in _ONLY_WITH_OFFSET:
            ends = tag == "creation_time" and _stamps_the_end(tags, container)
            yield "container_utc", clock - dt.timedelta(seconds=duration_s or 0.0) if ends else clock
    if container == "wav":
        yield from _from_broadcast_wav(tags, now)


def _from_broadcast_wav(tags: Mapping[str, str], now: dt.datetime) -> Iterator[tuple[str, dt.datetime]]:
    # The demuxer calls bext's two fields `date` and `creation_time`; the second holds nothing but the clock.
    date, time = tags.get("date", ""), tags.get("creation_time", "")
    reading = read_clock(f"{date} {time}", now) if _CLOCK_ONLY.fullmatch(time) else None
    if reading and reading.clock and reading.clock.tzinfo is None:
        yield "container_local", reading.clock


def _stamps_the_end(tags: Mapping[str, str], container: str) -> bool:
    if container != "mp4" or tags.get("encoder", "").startswith("Lavf"):
        return False
    android = any(tag.startswith("com.android.") for tag in tags)
    return android or _END_STAMPING_BRANDS.match(tags.get("major_brand", "")) is not None


def _from_name(file_name: str, now: dt.datetime) -> Iterator[tuple[str, dt.datetime]]:
    reading: Reading | None = read_clock(file_name.rpartition(".")[0] or file_name, now)
    if reading is not None:
        noon = dt.datetime.combine(reading.day, dt.time(12))
        yield ("file_name", reading.clock) if reading.clock else ("file_name_day", noon)


def _witness(source: str, clock: dt.datetime, local: ZoneInfo) -> _Witness:
    # A wall clock that was skipped (summer time begins) is read with the offset before the gap, one that came twice as
    # the first; both stay on their day.
    at = (clock if clock.tzinfo else clock.replace(tzinfo=local, fold=0)).astimezone(dt.UTC)
    return _Witness(source, at, at.astimezone(local).date())


def _contradicts(best: _Witness, other: _Witness) -> bool:
    # A file's time is later wherever the file was copied; only an earlier one contradicts, unless it is a zero.
    if other.day == best.day or (other.source == "file_time" and (other.at > best.at or other.day < EARLIEST)):
        return False
    # Two clocks a quarter of an hour apart at midnight mean the same evening.
    return other.source == "file_name_day" or abs(other.at - best.at) > dt.timedelta(minutes=15)


def _told(best: _Witness, against: _Witness) -> str:
    return (
        f"{_SAID[best.source]} says {best.day}, {_SAID[against.source]} says {against.day}; "
        f"{_SAID[best.source]} was believed."
    ).capitalize()


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            "time_zone_unknown", f"{name!r} is not a time zone; write an IANA name such as Europe/Berlin."
        ) from error
