"""What a clause says about whether, when and who: negated or not, still to do or done, and whose doing it is. English.

Cue words in their order, no grammar. It is asked about a claim and about the words the claim comes from; what a
difference between the two means is told_differently.py's business. Broader than todos.py on purpose: that one finds
to-dos and must be sure, this one only has to believe a model that says it found one.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from diary_pipeline.notes.evidence.grounding import normalise, root, roots
from diary_pipeline.notes.language.english import DAYS, LONG_AGO, MONTHS, STOP_WORDS, has_past, is_past, listed
from diary_pipeline.notes.language.todos import is_todo

Who = Literal["speaker", "he", "she", "they", "named"]

_NO_STOP = r"(?<!\bMr)(?<!\bMs)(?<!\bDr)(?<!\bSt)(?<!\bMrs)(?<!\bProf)"
_SENTENCE = re.compile(
    r"(?<!\bMr\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\bMrs\.)(?<!\bProf\.)(?<=[.!?…])\s+|(?<=[。！？])"
)
_BREAK = re.compile(
    rf"{_NO_STOP}[.!?…;:]+\s+|,\s+|\s+(?=(?:but|because|although|though|while|whereas|unless|which|so)\s)"
    r"|\s+(?=and\s+(?:then\s+)?(?:i|we|he|she|they|it|you|there|my|the|that|this|nobody|everybody|[A-Z]\w+)\b)"
)
_OPEN = re.compile(
    r"\b(?:need|needs|have|has|ought|got|gotta|wants?|plan|plans|planning|hope|hoping|remember|forget|sure|time|try|aim|mean|intend)"
    r"\s+to\b|\b(?:must(?!\s+(?:be|have)\b)|should|will|shall|had\s+better|remind|to-?do|note\s+to\s+self|can't\s+forget)\b|\w'll\b"
    r"|(?<!was\s)(?<!were\s)\bgoing\s+to\b|\b(?:promised|agreed|arranged)\b"
    r"|\b(?:said|told\s+\w+)\s+(?:that\s+)?(?:i|we)(?:'d|\s+would)\b"
    r"|\b(?:is|are|it's)\s+(?:due|overdue|open)\b|\b(?:haven't|hasn't|have\s+not|has\s+not|didn't|still)\b.*\b(?:yet|still)\b"
    r"|\bstill\s+(?:need|have|must|owe)|\bsomeone\s+has\s+to\b",
    re.IGNORECASE,
)
REMINDER = re.compile(
    r"\b(?:must\s+not|mustn't|don't|do\s+not|can't|cannot|not)\s+forget\b|\bremind\s+me\b", re.IGNORECASE
)
_MUST = re.compile(
    r"\b(?:needs?|must(?!\s+be\b|\s+have\b)|should|ought|have\s+to|has\s+to|supposed\s+to|wants?\s+to|hopes?\s+to|wish(?:es)?|would\s+(?:love|like|rather)|i'll|we'll)\b"
    r"|\b(?:i|we)\s+(?:will|'m\s+going\s+to|am\s+going\s+to|are\s+going\s+to)\b",
    re.IGNORECASE,
)
# What somebody asked for, said or thought is an event, whatever it holds.
_HEARD = re.compile(r"\b(?:says?|asks?|tells?|thinks?|wants?\s+(?:me|us))\b", re.IGNORECASE)
# A day ahead is a cue only where nothing is told as past: "on Friday we went" is none.
_AHEAD = re.compile(
    rf"\b(?:tomorrow|tonight|this\s+weekend|next\s+(?:week|month|year|{'|'.join(DAYS)})|in\s+(?:{'|'.join(MONTHS)})"
    rf"|(?:by|before|until|on|this)\s+(?:{'|'.join(DAYS)})|by\s+the\s+(?:end|\w+th|\w+st)"
    r"|(?:with)?in\s+(?:a|one|two|three|four|\d+)\s+(?:days?|weeks?|months?))\b",
    re.IGNORECASE,
)
_WAS = re.compile(r"\b(?:was|were)\b(?!\s+(?:going|supposed|about)\s+to\b)", re.IGNORECASE)
_ARRANGED = re.compile(r"\b(?:promised|agreed|arranged)\b", re.IGNORECASE)
_PERFECT_DENIED = re.compile(r"\b(?:(?:have|has)\s+not|haven't|hasn't)\b", re.IGNORECASE)
_NO_OPEN = re.compile(
    r"\b(?:don't|doesn't|do\s+not|does\s+not|didn't|no\s+longer|never)\s+(?:\w+\s+)?(?:need|have|want|plan|got)\s+to\b"
    r"|\b(?:had|wanted|needed|used|was|were|supposed)\s+(?:\w+\s+)?to\b|\bwould\s+have\b|\bshould\s+have\b|\bshould've\b",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"\b(?:not|no|never|nothing|nobody|none|neither|nor|without|cannot|hardly)\b|\w+n't\b", re.IGNORECASE
)
# These hold a "not" and deny nothing, or deny only that it happened so far.
_NO_NEGATION = re.compile(
    r"\b(?:do\s+not|don't|can't|cannot|must\s+not|mustn't|didn't|never)\s+forget\b|\bnot\s+only\b|\bno\s+(?:later|more)\s+than\b"
    r"|\bwhy\s+(?:not|don't)\b|\b(?:no|sorry),\s|\bno\s+wait\b|\bnot\s+sure\b|\bno\s+doubt\b|\bno\s+idea\b|\bnothing\s+(?:but|else)\b"
    r"|\bcan't\s+(?:wait|believe|stop|remember)\b|\bcouldn't\s+(?:believe|stop|help)\b|\b(?:haven't|hasn't|not)\b.*\byet\b",
    re.IGNORECASE,
)
# What stands right behind these is denied; behind "nobody" stands who it is, not what they did not do.
_DENIAL = re.compile(r"\b(?:not|no|never|without|cannot|hardly)\b|\w+n't\b", re.IGNORECASE)
_SCOPE_WORDS = 4
_DENIES_TOO = re.compile(r"\btoo\s+\w+\s+to\b|\brather\s+than\b|\bfirst\s+time\b|\binstead\b", re.IGNORECASE)
_DENYING = frozenset(
    root(w)
    for w in listed("""
    owe skip miss missed avoid refuse decline fail forget forgot stop cancel without lack lacking quit unable against
    reject instead rather decide decided away off except barely hardly unhappy dislike hate postpone
    """)
)
_SPEAKER = re.compile(r"\b[Tt]he\s+(?:speaker|narrator|author|writer|diarist|user)(?P<own>['’]s)?\b")
_PRONOUNS: dict[str, Who] = {
    **dict.fromkeys(listed("i we me us my our mine myself ours i'm i've i'd i'll we're we've we'd we'll"), "speaker"),
    **dict.fromkeys(listed("he him his himself he's he'd he'll"), "he"),
    **dict.fromkeys(listed("she her hers herself she's she'd she'll"), "she"),
    **dict.fromkeys(listed("they them their theirs themselves they're they've they'd they'll"), "they"),
}
_SUBJECTS = frozenset(w for w in _PRONOUNS if w.split("'")[0] in ("i", "we", "he", "she", "they"))
_AUXILIARIES = frozenset(
    listed("""
    am is are was were be been have has had do does did will would shall should can could may might must to not never
    also just then still already finally really only even always probably going got need needs want wants needed
    wanted i'm didn't don't doesn't won't can't couldn't wasn't isn't haven't hasn't hadn't wouldn't shouldn't
    """)
)
_FINITE = frozenset(
    listed("is was has had does did will would shall should can could may might must isn't wasn't didn't")
)
_JOINING = frozenset(listed("and or but so then also because although though while which"))
_OPENERS = frozenset(listed("it there that this the my his her our their who it's that's there's you nobody everybody"))
_NOT_BEFORE_SUBJECT = frozenset(
    listed("with to for from of at in on about by near than like as mr mrs dr my his her their our the a")
)


@dataclass(frozen=True)
class Clause:
    """A piece of a sentence between two breaks."""

    text: str

    @property
    def negated(self) -> bool:
        """Tell whether something in it is denied."""
        plain = _NO_NEGATION.sub(" ", straight(self.text))
        return bool(_NEGATION.search(plain))

    @property
    def denied(self) -> bool:
        """Tell whether it holds a word of denial at all, be it "not yet"."""
        return bool(_NEGATION.search(straight(self.text)))

    @property
    def denying(self) -> bool:
        """Tell whether it denies by a verb ("skipped the gym"), which no negation shows."""
        return self.denied or bool(_DENIES_TOO.search(self.text) or roots(self.text) & _DENYING)

    @property
    def open(self) -> bool:
        """Tell whether it speaks of something still to come or to do."""
        text = straight(self.text)
        if is_todo(text):
            return True
        if _NO_OPEN.search(text):
            return False
        return bool(_OPEN.search(text)) or (bool(_AHEAD.search(text)) and not self.past)

    @property
    def due(self) -> bool:
        """Tell whether it speaks of what must, should or is meant to be, and tells nothing as past."""
        text = straight(self.text)
        return is_todo(text) or bool(_MUST.search(text) and not has_past(text) and not _HEARD.search(text))

    @property
    def fragment(self) -> bool:
        """Tell whether it goes on with the clause before it ("and order a lamp", "a proper letter")."""
        words = re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", straight(self.text))
        opener = [w for w in words[:3] if w.casefold() not in _JOINING][:1]
        return not opener or (opener[0].casefold() not in _SUBJECTS | _OPENERS and not opener[0][0].isupper())

    @property
    def subordinate(self) -> bool:
        """Tell whether it only explains the clause before it."""
        return bool(
            re.match(
                r"(?:because|although|though|while|which|since|if|when|that|so\s+that)\b", self.text, re.IGNORECASE
            )
        )

    @property
    def supposed(self) -> bool:
        """Tell whether it is told as possible and not as so."""
        return bool(re.search(r"\b(?:if|would|could|might|may|maybe|perhaps)\b", self.text, re.IGNORECASE))

    @property
    def past(self) -> bool:
        """Tell whether it tells something as having happened."""
        text = straight(self.text)
        return has_past(text) or bool(LONG_AGO.search(text) or _WAS.search(text))

    @property
    def happened(self) -> bool:
        """Tell whether it tells more as past than a promise or an appointment."""
        return has_past(_ARRANGED.sub(" ", straight(self.text))) and not _PERFECT_DENIED.search(straight(self.text))


def sentences_of(text: str) -> list[str]:
    """Split prose that somebody wrote into its sentences."""
    return [s.strip() for s in _SENTENCE.split(text) if s.strip()]


def straight(text: str) -> str:
    """Write apostrophes as the rules do."""
    return text.replace("’", "'")


@lru_cache(maxsize=1024)
def clauses(text: str) -> tuple[Clause, ...]:
    """Cut a text where a new statement may begin."""
    return tuple(Clause(part.strip()) for part in _BREAK.split(text) if part and part.strip())


def in_first_person(text: str) -> str:
    """Let "the speaker" be "I": small models write about the diarist in the third person."""
    return _SPEAKER.sub(lambda found: "my" if found["own"] else "I", straight(text))


def about_the_speaker(text: str) -> bool:
    """Tell whether a text speaks of the diarist in the third person, so that "they" may be the diarist too."""
    return bool(_SPEAKER.search(text))


def who_is(word: str) -> Who | None:
    """Name who a pronoun or a capitalised word stands for."""
    pronoun = _PRONOUNS.get(straight(word).casefold())
    return pronoun or ("named" if word[:1].isupper() and word.casefold() not in STOP_WORDS else None)


def denied_words(text: str, *, many: int = 1) -> frozenset[str]:
    """Give the roots of the first telling words, so `many` of them, behind each denial: what is denied."""
    found = set[str]()
    for clause in clauses(text):
        plain = _NO_NEGATION.sub(" ", straight(clause.text))
        for denial in _DENIAL.finditer(plain):
            scope = re.split(r"\b(?:that|but|because|whether|how|what)\b", plain[denial.end() :], maxsplit=1)[0]
            telling = [r for word in scope.split()[:_SCOPE_WORDS] if (r := roots(word))]
            found.update(*telling[:many])
    return frozenset(found)


def doers(text: str) -> dict[str, set[str]]:
    """Tell who does what: for the root of each verb behind a subject, the pronoun's class or the name."""
    found: dict[str, set[str]] = {}
    for clause in clauses(text):
        words = re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", straight(clause.text))
        for at, word in enumerate(words):
            if not _is_subject(words, at):
                continue
            who = _PRONOUNS.get(word.casefold()) or normalise(word).removesuffix("'s")
            verb = next((w for w in words[at + 1 : at + 6] if w.casefold() not in _AUXILIARIES), None)
            between = words[at + 1 : at + 6]
            if (
                verb
                and verb[:1].islower()
                and between.index(verb) <= 3
                and _is_verb(verb, between[: between.index(verb)])
            ):
                found.setdefault(root(normalise(verb)), set()).add(who)
    return found


def _is_subject(words: list[str], at: int) -> bool:
    word = words[at]
    if at and words[at - 1].casefold() in _NOT_BEFORE_SUBJECT and word.casefold() not in _SUBJECTS:
        return False
    if at + 1 < len(words) and words[at + 1].casefold() == "and":
        return False
    if at > 1 and words[at - 1].casefold() in ("and", "or") and words[at - 2][:1].isupper():
        return False
    if word.casefold() in _SUBJECTS:
        return True
    following = words[at + 1].casefold() if at + 1 < len(words) else ""
    return word[:1].isupper() and word.casefold() not in _AUXILIARIES and (is_past(following) or following in _FINITE)


def _is_verb(word: str, before: list[str]) -> bool:
    return bool(before) or is_past(word.casefold()) or word.endswith("s") or len(word) > 2
