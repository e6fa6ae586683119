"""Numbers as people say and write them: "25", "1,000", "twenty five", "half past four", "the third".

English words; digits in every language. What surprises: a phrase may have several readings ("three forty" is a price
or a time), and whoever says one of them has said the number.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from diary_pipeline.notes.language.english import listed
from diary_pipeline.notes.language.spoken_dates import ORDINALS

_DIGITS = re.compile(r"\d[\d,]*(?:\.\d+)?")
_WORD = re.compile(r"[a-z]+|[^\sa-z]")
_UNDER_TWENTY = listed("""
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
""")
_UNITS = {word: n for n, word in enumerate(_UNDER_TWENTY)}
_NTH = {word: n for word, n in ORDINALS.items() if " " not in word}
_TENS = {w: 10 * n for n, w in enumerate(listed("twenty thirty forty fifty sixty seventy eighty ninety"), start=2)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
NUMBER_WORDS = frozenset((*_UNITS, *_NTH, *_TENS, *_SCALES))
# "Half past four" is written 4:30, "a dozen" 12, "a fortnight" 14.
_HINTS = {"half": (30.0, 0.5), "quarter": (15.0, 45.0, 0.25, 25.0), "dozen": (12.0,), "fortnight": (14.0, 2.0)}


_SPAN = re.compile(r"(?P<hours>[\w-]+)\s+hours?\s+(?:and\s+)?(?P<minutes>[\w -]+?)\s+minutes?\b", re.IGNORECASE)


@lru_cache(maxsize=4096)
def number_readings(text: str) -> tuple[frozenset[float], ...]:
    """Give each number of a text, as the set of its readings."""
    digits = [frozenset((float(n.replace(",", "")),)) for n in _DIGITS.findall(text)]
    return (*digits, *_spelt(text.casefold().replace("-", " ")))


def numbers(text: str) -> frozenset[float]:
    """Give every number that a text can be read as."""
    return frozenset().union(*number_readings(text))


def hinted(text: str) -> frozenset[float]:
    """Give the numbers that words stand for which are none themselves, and an hour and twenty minutes as 80."""
    words = frozenset(n for word in _WORD.findall(text.casefold()) for n in _HINTS.get(word, ()))
    spans = (map(numbers, (span["hours"], span["minutes"])) for span in _SPAN.finditer(text))
    return words.union(60 * max(hours) + max(minutes) for hours, minutes in spans if hours and minutes)


def _spelt(text: str) -> Iterator[frozenset[float]]:
    groups: list[int] = []
    total = part = 0
    counting = False
    before = ""
    for word in [*_WORD.findall(text), "."]:
        value = _UNITS.get(word, _TENS.get(word, _NTH.get(word)))
        if value is not None:
            if counting and not _fits(part, value):
                groups.append(total + part)
                total = part = 0
            part += value
            counting = True
        elif word in _SCALES and (counting or before in ("a", "one")):
            counting = True
            part = max(part, 1) * _SCALES[word]
            if _SCALES[word] >= 1000:
                total, part = total + part, 0
        elif counting and word != "and":
            yield _readings([*groups, total + part])
            groups, total, part, counting = [], 0, 0, False
        before = word


def _fits(part: int, value: int) -> bool:
    """Tell whether a word goes on with a number ("twenty" "five") or begins another ("twenty" "twenty")."""
    return part % 100 == 0 or (part % 10 == 0 and part % 100 >= 20 and 0 < value < 10)


def _readings(groups: list[int]) -> frozenset[float]:
    joined = groups[0]
    for group in groups[1:]:
        joined = joined * (10 if group < 10 else 100) + group
    return frozenset((*map(float, groups), float(joined)))
