"""Dates that were spoken, by grammar: "by Friday", "the fifth of December", "in two weeks", "this weekend".

A period resolves to its last day, because a to-do "this weekend" is not late on Saturday. Dates without a year lie
ahead ("the fifth of December" said in March is the coming one). What has two readings ("next Friday" on a Tuesday)
resolves to nothing: the words stay in the item, and no wrong date goes into anybody's calendar.
"""

import calendar
import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from diary_pipeline.notes.language.english import DAYS, MONTHS, listed

_NTH = listed("""
    first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth
    sixteenth seventeenth eighteenth nineteenth twentieth
""")
ORDINALS = (
    {word: n for n, word in enumerate(_NTH, start=1)}
    | {f"twenty {word}": 20 + n for n, word in enumerate(_NTH[:9], start=1)}
    | {"thirtieth": 30, "thirty first": 31}
)
_COUNTS = (
    {"a": 1, "an": 1, "a couple of": 2}
    | {w: n for n, w in enumerate(listed("one two three four five six seven eight nine ten eleven twelve"), start=1)}
    | {"fourteen": 14, "fifteen": 15, "twenty": 20, "thirty": 30}
)
_ORDINAL = "|".join(sorted((w.replace(" ", "[ -]") for w in ORDINALS), key=len, reverse=True))
_NUMBERED = rf"(?:\d{{1,2}}(?:st|nd|rd|th)|{_ORDINAL})"
_NUMBER = rf"(?:\d{{1,2}}(?:st|nd|rd|th)?|{_ORDINAL})"
_COUNT = "|".join(sorted(_COUNTS, key=len, reverse=True))
_DAY, _MONTH = "|".join(DAYS), "|".join(MONTHS)
_NTH_DAY = r"first|second|third|fourth|last"
_FORMS = (
    rf"(?:the\s+)?(?P<nth>{_NTH_DAY})\s+(?P<nth_day>{_DAY})\s+(?:in|of)\s+(?P<nth_month>{_MONTH})",
    rf"(?P<weeks>\d{{1,2}}|{_COUNT})\s+weeks?\s+(?:(?:on|from)\s+)?(?P<weeks_from>{_DAY}|tomorrow|today)",
    rf"(?:on\s+)?(?P<week_later>{_DAY}|tomorrow|today)\s+week",
    rf"(?:the\s+)?(?P<day_first>{_NUMBER})\s+(?:of\s+)?(?P<month_second>{_MONTH})",
    rf"(?P<month_first>{_MONTH})\s+(?:the\s+)?(?P<day_second>{_NUMBER})",
    rf"(?P<named>{_DAY}),?\s+the\s+(?P<named_day>{_NUMBERED})",
    rf"(?:the\s+)?end\s+of\s+(?P<end_of>{_MONTH}|(?:the|this|next)\s+(?:week|month|year))",
    rf"(?:the\s+)?last\s+week\s+of\s+(?P<last_week_of>{_MONTH})",
    rf"(?:on|by|before|until|till)\s+the\s+(?P<bare_day>{_NUMBERED})(?!\s+(?:floor|time|day|week|try|attempt|one|of|half|{_DAY}))",
    rf"(?:in|within)\s+(?P<count>\d{{1,2}}|{_COUNT})\s+(?P<unit>days?|weeks?|months?|fortnight)(?:'s|’s)?(?!\s+of\b)",
    rf"(?P<count_from>\d{{1,2}}|{_COUNT})\s+(?P<unit_from>days?|weeks?|months?)\s+from\s+(?:now|today)",
    r"(?P<relative>(?:the\s+)?day\s+after\s+tomorrow|(?:the\s+)?day\s+before\s+yesterday|today|tonight|tomorrow|yesterday"
    r"|this\s+(?:morning|afternoon|evening))",
    r"(?P<period>(?:this|next)\s+(?:week(?:end)?|month)|(?:at|on|over)\s+the\s+weekend)",
    rf"(?P<which>this\s+coming|this|next|last|coming|on|by|before|until|till)\s+(?P<weekday>{_DAY})(?!\s+(?:the|week)\b)",
    rf"(?<!from\s)(?<!every\s)(?<!each\s)(?P<bare_weekday>{_DAY})(?=\s+(?:morning|afternoon|evening|night)\b|\s*[.,;!?]|\s*$)",
)
_DATE = re.compile(rf"\b(?:{'|'.join(_FORMS)})(?:,?\s+(?P<year>20\d\d))?\b", re.IGNORECASE)
_SAID_DAY = (
    rf"(?:(?P<of_week>{_DAY}),?\s+)?(?P<said>(?:the\s+)?{_NUMBER}\s+(?:of\s+)?(?:{_MONTH})(?:,?\s+20\d\d)?"
    rf"|(?:{_MONTH})\s+(?:the\s+)?{_NUMBER}(?:,?\s+20\d\d)?)\b"
)
_TODAY_IS = re.compile(
    rf"\b(?:today\s+is|today's|it(?:'s|\s+is)(?:\s+today)?|this\s+is|today,)\s+{_SAID_DAY}(?!,?\s+(?:tomorrow|soon|next|in\s))",
    re.IGNORECASE,
)
# A diary may open like a page: "Tuesday, the third of March."
_HEAD = re.compile(
    rf"^\W*(?:(?:okay|ok|so|um|uh|well|hello|hi|dear\s+diary)\b\W*)*{_SAID_DAY}(?=\s*(?:[.!;:]|$))", re.IGNORECASE
)
_HEAD_DAYS = 7
OPENING_SEGMENTS = 20
"""Where an entry may say what day it is; short segments make many of three sentences."""
_SOMEBODYS = re.compile(
    r"\b(?:said|says|told|thinks?|thought|if|when|until|wish|whether|that|imagine)\b[^.!?]*$", re.IGNORECASE
)
_TAKEN_BACK = re.compile(r"[\s,.]*(?:no|wait|sorry|i\s+mean|or\s+rather|actually)\b", re.IGNORECASE)
_WEEK = dt.timedelta(days=7)


@dataclass(frozen=True)
class SpokenDate:
    """Characters `start` to `end` of a text, and the day they mean."""

    start: int
    end: int
    day: dt.date


def spoken_dates(text: str, today: dt.date) -> list[SpokenDate]:
    """Resolve every date in `text` that has one reading on the day it was spoken."""
    return list(_dates(text, today))


def diary_day(text: str, recorded_day: dt.date) -> dt.date:
    """The day an entry says it is about ("today is the fifth of March"), else the day it was recorded."""
    text = text.replace("’", "'")
    for told in _TODAY_IS.finditer(text):
        if not _SOMEBODYS.search(text[: told.start()]):
            return _told_day(told, recorded_day) or recorded_day
    head = _HEAD.match(text)
    day = _told_day(head, recorded_day) if head else None
    return day if day and abs(day - recorded_day).days <= _HEAD_DAYS else recorded_day


@lru_cache(maxsize=4096)  # each rule asks for the dates of the same few sentences
def _dates(text: str, today: dt.date) -> tuple[SpokenDate, ...]:
    return tuple(
        SpokenDate(said.start(), said.end(), day)
        for said in _DATE.finditer(text.replace("’", "'"))
        if (day := _resolve(_parts(said), today))
    )


def _told_day(told: re.Match[str], recorded_day: dt.date) -> dt.date | None:
    """The year nearest to the recording; nothing where the words contradict or correct themselves."""
    form = _DATE.fullmatch(told["said"])
    said = _parts(form) if form else {}
    number, month = said.get("day_first") or said.get("day_second"), said.get("month_second") or said.get("month_first")
    if not number or not month or _TAKEN_BACK.match(told.string, told.end()):
        return None
    years = [int(said["year"])] if "year" in said else [recorded_day.year + n for n in (-1, 0, 1)]
    days = [day for year in years if (day := _date(year, MONTHS.index(month) + 1, _number(number)))]
    day = min(days, key=lambda day: abs(day - recorded_day), default=None)
    of_week = (told["of_week"] or "").casefold()
    return None if day and of_week and DAYS[day.weekday()] != of_week else day


def _parts(form: re.Match[str]) -> dict[str, str]:
    return {name: words.casefold() for name, words in form.groupdict().items() if words}


def _resolve(said: dict[str, str], today: dt.date) -> dt.date | None:
    for names, meaning in _MEANINGS:
        if all(name in said or name == "year" for name in names):
            return meaning(*(said.get(name, "") for name in names), today=today)
    return None


def _in_month(number: str, month: str, year: str, *, today: dt.date) -> dt.date | None:
    if year:
        return _date(int(year), MONTHS.index(month) + 1, _number(number))
    days = (_date(today.year + n, MONTHS.index(month) + 1, _number(number)) for n in range(5))
    return next((day for day in days if day and day >= today), None)


def _weekday_and_number(weekday: str, number: str, *, today: dt.date) -> dt.date | None:
    """The next month in which that number falls on that weekday, if it is one of the coming three."""
    days = (_date(*_month(today, n), _number(number)) for n in range(4))
    return next((day for day in days if day and day >= today and day.weekday() == DAYS.index(weekday)), None)


def _nth_weekday(nth: str, weekday: str, month: str, *, today: dt.date) -> dt.date | None:
    for year in (today.year, today.year + 1):
        first = dt.date(year, MONTHS.index(month) + 1, 1)
        days = [first + dt.timedelta(days=n) for n in range(calendar.monthrange(year, first.month)[1])]
        found = [day for day in days if day.weekday() == DAYS.index(weekday)]
        day = found[-1] if nth == "last" else found[ORDINALS[nth] - 1]
        if day >= today:
            return day
    return None


def _weeks_from(count: str, start: str, *, today: dt.date) -> dt.date | None:
    n = int(count) if count.isdigit() else _COUNTS[count]
    first = _weekday("on", start, today=today) if start in DAYS else _relative(start, today=today)
    return first + n * _WEEK if first else None


def _week_later(start: str, *, today: dt.date) -> dt.date | None:
    return _weeks_from("one", start, today=today)


def _number_only(number: str, *, today: dt.date) -> dt.date | None:
    days = (_date(*_month(today, n), _number(number)) for n in range(3))
    return next((day for day in days if day and day >= today), None)


def _end_of(what: str, *, today: dt.date) -> dt.date:
    if what in MONTHS:
        return _last_of_month(today.year + (MONTHS.index(what) + 1 < today.month), MONTHS.index(what) + 1)
    which, unit = what.split()
    later = 1 if which == "next" else 0
    if unit == "year":
        return dt.date(today.year + later, 12, 31)
    return _period(f"{'next' if later else 'this'} {unit}", today=today) or today


def _after(count: str, unit: str, *, today: dt.date) -> dt.date:
    n = int(count) if count.isdigit() else _COUNTS[count]
    if unit.startswith("month"):
        year, month = _month(today, n)
        return dt.date(year, month, min(today.day, calendar.monthrange(year, month)[1]))
    return today + dt.timedelta(days=n * {"d": 1, "w": 7, "f": 14}[unit[0]])


def _relative(words: str, *, today: dt.date) -> dt.date:
    offset = {"tomorrow": 1, "yesterday": -1}.get(words, 0)
    if words.startswith(("day ", "the day ")):
        offset = 2 if "after" in words else -2
    return today + dt.timedelta(days=offset)


def _period(words: str, *, today: dt.date) -> dt.date | None:
    sunday = today + dt.timedelta(days=6 - today.weekday())
    if words.endswith("month"):
        return _last_of_month(*_month(today, 1 if words.startswith("next") else 0))
    if words.endswith("week") and today.weekday() == 6:
        return None  # whose weeks begin on Sunday?
    if words.startswith("next") and words.endswith("weekend") and today.weekday() < 5:
        return None
    return sunday + _WEEK if words.startswith("next") else sunday


def _weekday(which: str, weekday: str, *, today: dt.date) -> dt.date | None:
    ahead = (DAYS.index(weekday) - today.weekday()) % 7
    if which == "last":
        return today + dt.timedelta(days=ahead - 7)
    if which == "next" and 0 < ahead <= 6 - today.weekday():
        return None
    if not ahead and which not in ("on", "next", "coming", "this coming"):
        return None
    return today + dt.timedelta(days=ahead or 7)


def _bare_weekday(weekday: str, *, today: dt.date) -> dt.date | None:
    return _weekday("by", weekday, today=today)


_MEANINGS: tuple[tuple[tuple[str, ...], Callable[..., dt.date | None]], ...] = (
    (("day_first", "month_second", "year"), _in_month),
    (("day_second", "month_first", "year"), _in_month),
    (("nth", "nth_day", "nth_month"), _nth_weekday),
    (("weeks", "weeks_from"), _weeks_from),
    (("week_later",), _week_later),
    (("named", "named_day"), _weekday_and_number),
    (("end_of",), _end_of),
    (("last_week_of",), _end_of),
    (("bare_day",), _number_only),
    (("count", "unit"), _after),
    (("count_from", "unit_from"), _after),
    (("relative",), _relative),
    (("period",), _period),
    (("which", "weekday"), _weekday),
    (("bare_weekday",), _bare_weekday),
)


def _number(said: str) -> int:
    digits = re.sub(r"\D", "", said)
    return int(digits) if digits else ORDINALS[said.replace("-", " ")]


def _date(year: int, month: int, day: int) -> dt.date | None:
    try:
        return dt.date(year, month, day)
    except ValueError:
        return None


def _month(today: dt.date, later: int) -> tuple[int, int]:
    years, month = divmod(today.month - 1 + later, 12)
    return today.year + years, month + 1


def _last_of_month(year: int, month: int) -> dt.date:
    return dt.date(year, month, calendar.monthrange(year, month)[1])
