"""Dates and clocks written in text: file names and container tags. Which of them to believe is recorded_at's business.

Pure. A reading is an instant (it carried an offset), a wall clock (somebody's local time) or a bare day. What cannot
be a date, such as month 13 or a counter that looks like one, is not a reading.

What surprises: day before month is read only with dots (`07.03.2026`); `07-03-2026` means March in one country and July
in another, so it is read only where the other order is impossible.
"""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = rf"(?P<name>{'|'.join(_MONTHS)})[a-z]*\.?"
_CLOCK = (
    r"(?:(?:[ T_.,-]|\s|at|um|\bà)*?"
    r"(?:(?P<H>[01]?\d|2[0-3])[:.\-_h](?P<M>[0-5]\d)(?:[:.\-_m](?P<S>[0-5]\d)(?:[.,]\d{1,9})?s?)?"
    r"|(?P<h2>[01]\d|2[0-3])(?P<m2>[0-5]\d)(?P<s2>[0-5]\d)?(?:\d{3})?)"
    r"(?!\d)\s?(?P<half>[ap]\.?m\b)?\s?(?P<zone>Z(?![a-z])|[+-]\d{2}:?\d{2}(?!\d))?)?"
)
_DATES = (
    r"(?<!\d)(?P<y>\d{4})(?P<sep>[-._ /])(?P<m>\d{1,2})(?P=sep)(?P<d>\d{1,2})(?!\d)",
    r"(?<!\d)(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})(?=\D|$|\d{6}(?:\d{3})?(?!\d))",
    r"(?<!\d)(?P<d>\d{1,2})\.\s?(?P<m>\d{1,2})\.\s?(?P<y>\d{4})(?!\d)",
    r"(?<!\d)(?P<d>\d{1,2})(?P<sep>[-_/])(?P<m>\d{1,2})(?P=sep)(?P<y>\d{4})(?!\d)",
    rf"(?<!\d)(?P<d>\d{{1,2}})(?:st|nd|rd|th)?[ ._-]*{_MONTH}[ .,_-]*(?P<y>\d{{4}})(?!\d)",
    rf"(?<![a-z]){_MONTH}[ ._-]*(?P<d>\d{{1,2}})(?:st|nd|rd|th)?[ .,_-]+(?P<y>\d{{4}})(?!\d)",
    r"(?<!\d)(?P<y>\d{2})(?P<m>\d{2})(?P<d>\d{2})(?=[-_ ]\d{4}(?:\d{2})?(?!\d))",
)
_STYLES = tuple(re.compile(date + _CLOCK, re.IGNORECASE) for date in _DATES)
_ORDER_UNKNOWN, _SHORT_YEAR = _STYLES[3], _STYLES[6]
_EPOCH_MS = re.compile(r"(?<!\d)\d{13}(?!\d)")
# A recorder without a battery starts at 1970, 1980 or the first day of 2000.
EARLIEST = dt.date(2000, 1, 2)
_FUTURE = dt.timedelta(days=2)


@dataclass(frozen=True)
class Reading:
    """What a text says about when. `clock` is None for a bare day; an aware `clock` is an instant."""

    day: dt.date
    clock: dt.datetime | None = None


def read_clock(text: str, now: dt.datetime) -> Reading | None:
    """Find the best date in a text: one with a clock before one without, else the first; None when there is none."""
    readings = [*_from_dates(text), *_from_epoch(text)]
    possible = [r for r in readings if EARLIEST <= r.day <= (now + _FUTURE).date()]
    return next((r for r in possible if r.clock), possible[0] if possible else None)


def _from_dates(text: str) -> Iterator[Reading]:
    for style in _STYLES:
        for found in style.finditer(text):
            part = found.groupdict()
            month = _MONTHS.index(part["name"].lower()) + 1 if part.get("name") else int(part["m"])
            year, day = int(part["y"]), int(part["d"])
            if style is _ORDER_UNKNOWN:
                if max(month, day) <= 12 and month != day:
                    continue
                month, day = (day, month) if month > 12 else (month, day)
            if style is _SHORT_YEAR:
                year += 2000
            try:
                date = dt.date(year, month, day)
            except ValueError:
                continue
            # `260307_0012`: some recorders write a clock there, others count; the day is right either way.
            counted = style is _SHORT_YEAR and not part["s2"]
            yield Reading(date, None if counted else _clock(date, part))


def _clock(date: dt.date, part: dict[str, str | None]) -> dt.datetime | None:
    hour, minute, second = part["H"] or part["h2"], part["M"] or part["m2"], part["S"] or part["s2"]
    if hour is None or minute is None:
        return None
    of_day = int(hour)
    if half := (part["half"] or "").lower():
        if not 1 <= of_day <= 12:
            return None
        of_day = of_day % 12 + (12 if half.startswith("p") else 0)
    clock = dt.datetime.combine(date, dt.time(of_day, int(minute), int(second or 0)))
    match (part["zone"] or "").upper().replace(":", ""):
        case "":
            return clock
        case "Z":
            return clock.replace(tzinfo=dt.UTC)
        case offset:
            ahead = dt.timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))
            if ahead > dt.timedelta(hours=14) or int(offset[3:]) % 15:
                return clock  # a counter, not an offset
            return clock.replace(tzinfo=dt.timezone(-ahead if offset[0] == "-" else ahead))


def _from_epoch(text: str) -> Iterator[Reading]:
    for found in _EPOCH_MS.finditer(text):
        at = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=int(found[0]))
        yield Reading(at.date(), at)
