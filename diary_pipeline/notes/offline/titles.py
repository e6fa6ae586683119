"""A title for an entry: a short run of the speaker's own words, cut where it stays true.

Nothing is put together: a heading made of two topics says something that nobody said. Among the phrases that can be cut
safely the one wins that holds most of what the entry keeps naming; early ones first, because people open with what
they came to say. What leans on words before it ("he approved it"), only asks, or speaks of the recording itself comes
last.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from diary_pipeline.notes.evidence.grounding import content_stems
from diary_pipeline.notes.language.cues import leans_back, told
from diary_pipeline.notes.language.english import DANGLING, DAYS, MONTHS, is_past, tokens
from diary_pipeline.notes.language.sentences import Passage

LONGEST = 60
LONGEST_GIVEN = 90
"""Characters; a title that somebody typed may be longer than one of ours."""

# Judged on the demo diaries; only their order matters.
_LEAD = 0.2
_RATHER, _CUT, _RATHER_NOT, _HARDLY = 1.25, 0.9, 0.5, 0.1

_CLAUSE_END = re.compile(r"[,;:]\s|\s[-–]\s|\s(?=(?:and|so|because|which|where|while|after|before|when)\b)")
# What follows these takes back or conditions what stands before.
_TURN = re.compile(r"^\W*(?:and\s+)?(?:but|if|unless|until|except|though|although|or|not|yet|instead)\b", re.IGNORECASE)
_DAY, _MONTH = "|".join(DAYS), "|".join(MONTHS)
_TODAY = re.compile(
    rf"^(?:(?:(?:today|it)(?:'s|\s+is)\s+[^,.]{{0,30}}\b(?:{_MONTH})(?=,|\s+and\b)|today|(?:on\s+|this\s+)?(?:{_DAY})(?:\s+(?:morning|afternoon|evening|night))?|this\s+(?:morning|afternoon|evening)"
    r"|then|now|finally|afterwards),?\s+(?:and\s+)?(?!(?:is|was|has|had)\b))+",
    re.IGNORECASE,
)
_AFTER_TODAY = re.compile(
    r"\b(?:today|tonight|yesterday|this\s+(?:morning|afternoon|evening))(?=\s+(?:for|with|at|in|after|by|on)\b)", re.I
)
_OF_THE_RECORDING = re.compile(
    r"\b(?:note\s+to\s+(?:my)?self|voice\s+(?:memo|note)|(?:my|dear)\s+diary|record(?:ing)?\s+(?:this|a|my)|testing|thank\s+you|good\s*night|"
    r"that(?:'s|\s+is|\s+was)\s+(?:all|everything|it)|where\s+(?:do|should)\s+I|don't\s+know\s+(?:what|where))\b"
    rf"|^(?:it|today)(?:'s|\s+is)\s+(?:\w+\s+){{0,2}}(?:{_DAY}|morning|evening|night|late|early|\w+\s+o'clock|\w+\s+of)\b",
    re.IGNORECASE,
)
_SUBJECT = re.compile(r"^(?:I|we)\s+(?P<verb>[^\W\d_]+)\b", re.IGNORECASE)
_STATE = frozenset(("was", "were", "had", "did", "felt", "thought"))


def title_of(said: Sequence[Passage], english: bool, given: str | None) -> str:
    """The given title, else the most telling phrase that can be cut from one sentence safely."""
    if given and given.strip():
        return " ".join(given.split())[:LONGEST_GIVEN].rstrip()
    counted = Counter(stem for p in said for stem in content_stems(p.text, "en" if english else ""))
    phrases = [
        (_worth(phrase, p, counted, at / len(said), english) * trust, phrase)
        for at, p in enumerate(said)
        for phrase, trust in _phrases(p, english)
    ]
    phrase = max(phrases, key=lambda pair: pair[0], default=(0.0, ""))[1]
    return phrase[:1].upper() + phrase[1:]


def of_the_recording(text: str) -> bool:
    """Tell whether a sentence is about the making of the entry, or only its greeting or goodbye."""
    return bool(_OF_THE_RECORDING.search(text))


def _worth(phrase: str, passage: Passage, counted: Counter[str], at: float, english: bool) -> float:
    weight = 0.1 + sum(math.log1p(counted[stem]) for stem in content_stems(phrase, "en" if english else ""))
    weight = math.sqrt(weight) * (1 + math.exp(-at / _LEAD))
    if passage.text.rstrip().endswith(("?", "？")):
        weight *= _HARDLY
    if not english:
        return weight
    if leans_back(phrase):
        weight *= _RATHER_NOT
    weight *= {"action": _RATHER_NOT, "event": _RATHER}.get(told(passage.text) or "", 1.0)
    return weight * (_HARDLY if of_the_recording(phrase) else 1.0)


def _phrases(passage: Passage, english: bool) -> Iterator[tuple[str, float]]:
    """What can be cut from a sentence, and how willingly we do."""
    text = " ".join(passage.text.split())
    if not english:
        yield from ((phrase, trust) for phrase, trust in ((_whole(text), 1.0), (_words(text), _HARDLY)) if phrase)
        return
    text = _opened(text)
    if whole := _whole(text):
        yield whole, 1.0
    elif clause := _clause(text) or _until_today(text):
        yield clause, _CUT
    elif words := _words(text):  # of a full stop alone none are left
        yield words, _HARDLY


def _until_today(text: str) -> str:
    end = _AFTER_TODAY.search(text)
    return text[: end.end()] if end and end.end() <= LONGEST else ""


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
    while len(words) > 1 and (not (last := tokens(words[-1])) or (last[-1] in DANGLING and words[-1] != "May")):
        words.pop()
    return " ".join(words).rstrip(" .!,;")


def _opens_condition(phrase: str) -> bool:
    return bool(
        re.match(r"(?:if|when|unless|although|though|because|while|after|before|since|as)\b", phrase, re.IGNORECASE)
    )
