"""Said, but differently: who or whether was turned, done and still to do were swapped, or what was taken back is told.

The hole of lexical checks: every word of "Tomasz paid the bill" was said where "I paid the bill" was, only not so.
English, in three looks that each prove little alone: a near copy is compared word by word, a clause by its polarity,
a verb by who does it. What no word shows ("I missed him at the burial" as "missed the burial") is for a judge.
"""

import difflib
import re
from collections.abc import Iterable, Sequence

from rapidfuzz import fuzz

from diary_pipeline.notes.evidence.clauses import (
    Clause,
    about_the_speaker,
    clauses,
    denied_words,
    doers,
    in_first_person,
    straight,
    who_is,
)
from diary_pipeline.notes.evidence.grounding import Said, normalise, roots
from diary_pipeline.notes.evidence.numbers import numbers
from diary_pipeline.notes.evidence.sources import mostly_from, own_clauses
from diary_pipeline.notes.language.english import DAYS, MONTHS, STOP_WORDS, listed
from diary_pipeline.notes.language.given_names import GIVEN_NAMES

# Below, a text is no copy of its source, and word by word it shows nothing.
_NEAR_COPY = 80.0
_SHORTEST_COPY = 4
_TOKEN = re.compile(r"[^\W_]+(?:['’-][^\W\d_]+)*")
_CORRECTED = re.compile(
    r"[,.;]?\s+(?:no|wait|no\s+wait|sorry|actually|i\s+mean|i\s+meant|or\s+rather|scratch\s+that|make\s+that|correction)"
    r"(?:,?\s+(?:no|wait|sorry|actually|i\s+mean|it\s+was|it's|that's))*,?\s+",
    re.IGNORECASE,
)
_REACH = 5


def turned(text: str, said: Said, near: Iterable[int], *, whole: str | None = None) -> list[str]:
    """Name what was turned in a claim (`person_turned`, `negation_turned`) against the segments it comes from.

    `whole` is the sentence that a part is of: who "they" are may stand elsewhere in it.
    """
    sources = [said.segments[i].text for i in near if said.english(i)]
    if not sources:
        return []
    claim = in_first_person(text)
    loose = about_the_speaker(whole or text)
    found = {code for source in sources for code in _in_copy(claim, source, loose=loose)}
    if _other_polarity(claim, sources):
        found.add("negation_turned")
    if _other_doer(claim, sources, loose=loose):
        found.add("person_turned")
    return sorted(found)


def told_as_done(text: str, sources: Sequence[str]) -> bool:
    """Tell whether something still to do is told as if it had happened."""
    told_so = clauses(text)
    if any(c.open or c.supposed for c in told_so) or not any(c.past for c in told_so):
        return False
    own = [clause for source in sources for clause in own_clauses(text, source, least=0.6)]
    return bool(own) and all(c.open and not c.happened for c in own) and mostly_from(text, own)


def told_as_open(text: str, sources: Sequence[str]) -> bool:
    """Tell whether something that happened is told as if it were still to do."""
    if not any(c.open and not c.past for c in clauses(text)):
        return False
    own = [clause for source in sources for clause in own_clauses(text, source)]
    return bool(own) and all(c.past and not c.open and not c.denied for c in own) and mostly_from(text, own)


def taken_back(text: str, spoken: str) -> bool:
    """Tell whether a claim holds the number, day or name that its speaker corrected in the same breath."""
    words = set(normalise(text).split())
    spoken = straight(spoken)
    for corrected in _CORRECTED.finditer(spoken):
        before = _TOKEN.findall(spoken[: corrected.start()])[-_REACH:]
        after = _TOKEN.findall(re.split(r"[.!?]", spoken[corrected.end() :], maxsplit=1)[0])[:_REACH]
        for kind in (_days, _numbers, _names):
            wrong, right = kind(before), kind(after)
            if wrong and right and wrong[-1] != right[0] and _holds(wrong[-1], words, text):
                return not _holds(right[0], words, text)
    return False


def _in_copy(claim: str, source: str, *, loose: bool) -> Iterable[str]:
    claimed, spoken = _TOKEN.findall(claim), _TOKEN.findall(straight(source))
    if claimed and claimed[0].casefold() not in GIVEN_NAMES:
        claimed[0] = claimed[0].casefold()  # its capital is the sentence's
    got, src = [_plain(w) for w in claimed], [_plain(w) for w in spoken]
    if len(got) < _SHORTEST_COPY:
        return
    line = " ".join(src)
    place = fuzz.partial_ratio_alignment(" ".join(got), line)
    if place is None or place.score < _NEAR_COPY:
        return
    first = line[: place.dest_start].count(" ")
    last = line[: place.dest_end].rstrip().count(" ") + 1
    src, spoken = src[first:last], spoken[first:last]
    for operation, a, b, c, d in difflib.SequenceMatcher(None, src, got, autojunk=False).get_opcodes():
        if operation == "equal":
            continue
        was, now = [who_is(w) for w in spoken[a:b]], [who_is(w) for w in claimed[c:d]]
        if _other_person([w for w in was if w], [w for w in now if w], loose=loose):
            yield "person_turned"
        if Clause(" ".join(spoken[a:b])).negated != Clause(" ".join(claimed[c:d])).negated and (
            Clause(" ".join(spoken)).negated != Clause(claim).negated
            and denied_words(claim) & roots(source) | denied_words(" ".join(spoken)) & roots(claim)
        ):
            yield "negation_turned"


def _other_person(was: Sequence[str], now: Sequence[str], *, loose: bool) -> bool:
    if not was or not now:
        return False
    before, after = was[0], now[0]
    if before == after or {before, after} <= {"named", "he", "she", "they"} - {"he", "she"}:
        return False
    if {before, after} == {"he", "she"}:
        return True
    if loose and "they" in (before, after):
        return False
    return "speaker" in (before, after)


def _other_polarity(claim: str, sources: Sequence[str]) -> bool:
    """Tell whether the clause that holds nearly all of a claim denies what the claim affirms, or the reverse."""
    for part in clauses(claim):
        wanted = roots(part.text)
        if len(wanted) < 2:
            continue
        own = [
            c for source in sources for c in clauses(source) if len(wanted & roots(c.text)) >= max(2, 0.7 * len(wanted))
        ]
        if (
            own
            and all(c.negated and _denies(c, wanted) for c in own)
            and not part.denying
            and not any(_open_yet(c) for c in own)
        ):
            return True
        spoken = frozenset[str]().union(*(roots(c.text) for c in own))
        if denied_words(part.text) & spoken and not any(c.denying for source in sources for c in clauses(source)):
            return True
    here, there = denied_words(claim), frozenset[str]().union(*map(denied_words, sources))
    if any(_affirmed(word, sources) and not any(c.denied for c in _with(word, sources)) for word in here - there):
        return True
    # "For the first time" and "too shy to" deny for all of a sentence, whatever comma stands between.
    if Clause(claim).denying:
        return False
    return any(_with(word, (claim,)) and not _affirmed(word, sources) for word in there - here)


def _denies(clause: Clause, wanted: frozenset[str]) -> bool:
    """Tell whether what a clause denies is what a claim is about; a denial without a telling word denies all of it."""
    denied = denied_words(clause.text, many=3)
    return not denied or bool(denied & wanted)


def _with(word: str, texts: Sequence[str]) -> list[Clause]:
    return [c for text in texts for c in clauses(text) if word in roots(c.text)]


def _affirmed(word: str, sources: Sequence[str]) -> bool:
    """Tell whether a source holds a word in a clause that denies nothing."""
    return any(not c.denying for c in _with(word, sources))


def _open_yet(clause: Clause) -> bool:
    """Tell "I haven't called him yet" and "I must not forget": denied, and a to-do all the same."""
    return bool(re.search(r"\byet\b|\bforget\b|\bstill\b", clause.text, re.IGNORECASE))


def _other_doer(claim: str, sources: Sequence[str], *, loose: bool) -> bool:
    did = doers(" . ".join(sources))
    for verb, who in doers(claim).items():
        spoken = did.get(verb, set())
        if not spoken or (spoken & who):
            continue
        if any(_cannot_be(a, b, loose=loose) for a in who for b in spoken) and not any(
            not _cannot_be(a, b, loose=loose) for a in who for b in spoken
        ):
            return True
    return False


def _cannot_be(told: str, spoken: str, *, loose: bool) -> bool:
    pronouns = {"speaker", "he", "she", "they"}
    if loose and "they" in (told, spoken):
        return False
    if "speaker" in (told, spoken):
        return True
    if told in pronouns and spoken in pronouns:
        return {told, spoken} == {"he", "she"}
    return told not in pronouns and spoken not in pronouns


def _plain(word: str) -> str:
    return normalise(word).replace(" ", "")


def _days(words: Sequence[str]) -> list[str]:
    return [w.casefold() for w in words if w.casefold() in (*DAYS, *MONTHS)]


def _numbers(words: Sequence[str]) -> list[float]:
    return [max(found) for w in words if (found := numbers(w)) and w.casefold() not in listed("one second")]


def _names(words: Sequence[str]) -> list[str]:
    return [normalise(w) for w in words if w[:1].isupper() and w.casefold() not in {*DAYS, *MONTHS, *STOP_WORDS}]


def _holds(value: object, words: set[str], text: str) -> bool:
    return value in words if isinstance(value, str) else value in numbers(text)
