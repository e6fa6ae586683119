"""A title for an entry: a short run of the speaker's own words, cut where it stays true.

Nothing is put together: a heading made of two topics says something that nobody said.
"""

import re
from collections.abc import Sequence

from diary_pipeline.notes.language.english import DANGLING, is_past, tokens
from diary_pipeline.notes.language.sentences import Passage

LONGEST = 60
LONGEST_GIVEN = 90
"""Characters; a title that somebody typed may be longer than one of ours."""

_CLAUSE_END = re.compile(r"[,;:]\s|\s[-–]\s|\s(?=(?:and|so|because|which|where|while|after|before|when)\b)")
# What follows these takes back or conditions what stands before.
_TURN = re.compile(r"^\W*(?:and\s+)?(?:but|if|unless|until|except|though|although|or|not|yet|instead)\b", re.IGNORECASE)
_TODAY = re.compile(r"^(?:(?:today|this\s+(?:morning|afternoon|evening)|then|now|finally),?\s+)+", re.IGNORECASE)
_SUBJECT = re.compile(r"^(?:I|we)\s+(?P<verb>[^\W\d_]+)\b", re.IGNORECASE)
_STATE = frozenset(("was", "were", "had", "did", "felt", "thought"))


def title_of(candidates: Sequence[Passage], given: str | None) -> str:
    """The given title, else a phrase of the first candidate that can be cut safely."""
    if given and given.strip():
        return " ".join(given.split())[:LONGEST_GIVEN].rstrip()
    for cut in (_whole, _clause, _words):
        for passage in candidates:
            if phrase := cut(_opened(" ".join(passage.text.split()))):
                return phrase[0].upper() + phrase[1:]
    return ""


def _opened(text: str) -> str:
    """Drop the words that every entry opens with: "today", and "I" before what I did."""
    text = _TODAY.sub("", text)
    subject = _SUBJECT.match(text)
    if subject and is_past(subject["verb"].casefold()) and subject["verb"].casefold() not in _STATE:
        text = text[subject.start("verb") :]
    return text


def _whole(text: str) -> str:
    bare = text.rstrip(" .!…,;")
    return bare if len(bare) <= LONGEST and len(bare.split()) >= 2 and not bare.endswith("?") else ""


def _clause(text: str) -> str:
    for end in reversed([m.start() for m in _CLAUSE_END.finditer(text)]):
        phrase = _undangled(text[:end])
        if (
            len(phrase) <= LONGEST
            and len(phrase.split()) >= 3
            and not _TURN.match(text[end:])
            and not _opens_condition(phrase)
        ):
            return phrase
    return ""


def _words(text: str) -> str:
    if len(text) <= LONGEST:
        return text.rstrip(" .!,;")
    if " " not in text[: LONGEST - 1]:
        return text[: LONGEST - 1] + "…"
    return _undangled(text[: LONGEST - 1].rpartition(" ")[0]) + "…"


def _undangled(phrase: str) -> str:
    words = phrase.rstrip(" .!,;").split()
    while len(words) > 1 and (not (last := tokens(words[-1])) or last[-1] in DANGLING):
        words.pop()
    return " ".join(words).rstrip(" .!,;")


def _opens_condition(phrase: str) -> bool:
    return bool(
        re.match(r"(?:if|when|unless|although|though|because|while|after|before|since|as)\b", phrase, re.IGNORECASE)
    )
