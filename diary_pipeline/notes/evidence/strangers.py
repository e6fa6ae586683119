"""Relatives and days of the week that a text names and nobody spoke of. English words.

They are no names to the rules of names: a relative has no capital, and a weekday may be written by whoever knows the
date. So a day counts as known when it is that of the note, of the day before or after, or of a date that was said.
"""

import datetime as dt
import re

from diary_pipeline.notes.evidence.grounding import Said, normalise
from diary_pipeline.notes.language.english import DAYS, listed
from diary_pipeline.notes.language.spoken_dates import spoken_dates

_ALIKE = tuple(
    frozenset(group.split())
    for group in (
        "mother mum mom mama mummy mommy",
        "father dad papa daddy",
        "grandmother grandma granny nana",
        "grandfather grandpa granddad grandad",
        *listed("sister brother husband wife son daughter aunt uncle cousin nephew niece"),
    )
)
_FOLK = {word: group for group in _ALIKE for word in group}
_ONE_DAY = dt.timedelta(days=1)


def strange_relations(text: str, said: Said) -> list[str]:
    """Give the relatives of a text of whom nobody spoke, under any of their names."""
    told = [word.removesuffix("'s") for word in normalise(text).split()]
    return [word for word in told if word in _FOLK and not _FOLK[word] & said.words]


def strange_days(text: str, said: Said, note_date: dt.date) -> list[str]:
    """Give the days of the week of a text that were neither said nor follow from a date that was."""
    told = [day for day in DAYS if re.search(rf"\b{day}s?\b", text.casefold())]
    if not told:
        return []
    named = {date.day for date in spoken_dates(said.transcript.text, note_date)}
    days = {note_date, note_date - _ONE_DAY, note_date + _ONE_DAY, *named}
    known = {f"{day:%A}".casefold() for day in days}
    return [day for day in told if day not in said.words and f"{day}s" not in said.words and day not in known]
