"""What a to-do is about, as words that a later "I did it" must share: a verb, its object, and what is told beside it.

Reading only: which sentences are to-dos is todos.py's, which say that something is done completions.py's. The surprise:
verbs that people exchange freely are one ("phone", "ring" and "call"), and "Anna's" stays another word than "Anna",
because who called the plumber's wife did not call the plumber.
"""

import datetime as dt
import re
from collections.abc import Iterable

from diary_pipeline.core.note import Task
from diary_pipeline.notes.language.english import DAYS, STOP_WORDS, listed
from diary_pipeline.notes.language.spoken_dates import spoken_dates

_BASE_OF = dict(
    pair.split("/")
    for pair in listed("""
    ate/eat began/begin begun/begin bought/buy broke/break brought/bring built/build chose/choose chosen/choose
    did/do done/do drank/drink drew/draw drove/drive driven/drive fed/feed felt/feel found/find gave/give given/give
    got/get gotten/get hung/hang heard/hear held/hold kept/keep knew/know learnt/learn left/leave lent/lend lost/lose
    made/make met/meet paid/pay ran/run rang/ring read/read rode/ride said/say sang/sing saw/see seen/see sent/send
    sewn/sew showed/show shown/show sold/sell spoke/speak spoken/speak spent/spend stood/stand swam/swim swept/sweep
    taken/take taught/teach thought/think threw/throw thrown/throw told/tell took/take tried/try went/go woke/wake
    won/win wore/wear written/write wrote/write
    """)
)
_SAME = dict(
    pair.split("/")
    for pair in listed("""
    phone/call ring/call telephone/call reserve/book purchase/buy complete/finish repair/fix mend/fix mail/send
    post/send speak/talk
    """)
)
_PARTICLES = frozenset(listed("up back off out in away over down on through"))
_PREPOSITIONS = frozenset(
    listed("about for to with from at on in into of by near around regarding over under through onto")
)
_DETERMINERS = frozenset(listed("the a an my our his her their your its some this that these those another"))
_ENDS = frozenset(
    listed("because so before after when while until till if that which who where but since unless although and or")
)
# Words of degree and of time that say nothing about what is to be done.
_EMPTY = (STOP_WORDS - frozenset(listed("back"))).union(
    DAYS,
    listed("""
    soon later morning afternoon evening night noon midnight week weekend month year hour hours minute minutes finally
    already properly asap quickly please together anymore longer home mr mrs ms dr
    """),
)
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|[,;:.!?]")
_TITLE = re.compile(r"\b(Mr|Mrs|Ms|Dr|St|Prof)\.")
_CLOCK = re.compile(
    r"\s+(?:at|before|after|by|until|around)\s+(?:\d\S*|noon|midnight|lunch|dinner|breakfast|\w+\s+o'clock)\b"
)


def read_task(words: str, day: dt.date) -> Task | None:
    """Read "call the plumber about the tap tomorrow" from its verb on; None where it names nothing to do it to."""
    tokens = _tokens(words.replace("’", "'"), day)
    if not tokens or not tokens[0].isalpha():
        return None
    verb, rest = base_form(tokens[0].casefold()), _clause(tokens[1:])
    if rest and rest[0].casefold() in _PARTICLES and len(rest) > 1 and not _opens_place(rest):
        verb, rest = f"{verb} {rest[0].casefold()}", rest[1:]
    at = next((n for n, word in enumerate(rest) if word.casefold() in _PREPOSITIONS), len(rest))
    thing, beside = rest[:at], rest[at:]
    if len(thing) > 1 and thing[-1].casefold() in _PARTICLES:
        verb, thing = f"{verb} {thing[-1].casefold()}", thing[:-1]
    receiver, thing = _receiver(thing)
    direct, about = _stems(thing), _stems([*receiver, *beside])
    if not thing and not receiver and beside:  # "talk to Tom" and "talk about Tom" are two things to do
        joint = beside[0].casefold()
        verb = f"{verb} {'to' if joint == 'with' else joint}"
        until = next((n for n, w in enumerate(beside[1:], start=1) if w.casefold() in _PREPOSITIONS), len(beside))
        direct, about = _stems(beside[:until]), _stems([*receiver, *beside[until:]])
    return Task(verb, direct, about) if direct else None


def base_form(word: str) -> str:
    """Give the verb that a form in lower case belongs to, the same for all that mean the same."""
    known = _unended(_BASE_OF.get(word, word))
    return _SAME_UNENDED.get(known, known)


def _unended(word: str) -> str:
    """Cut a regular ending, the same way for "cancelled", "cancelling" and "cancel"."""
    for ending in ("ing", "ied", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 2:
            word = word.removesuffix(ending) + ("y" if ending == "ied" else "")
            break
    word = word.removesuffix("e") if len(word) > 3 else word
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


_SAME_UNENDED = {_unended(word): _unended(same) for word, same in _SAME.items()}


def _tokens(words: str, day: dt.date) -> list[str]:
    for said in reversed(spoken_dates(words, day)):
        words = f"{words[: said.start]} {words[said.end :]}"
    words = _TITLE.sub(r"\1", words)
    return _WORD.findall(_CLOCK.sub(" ", words))


def _clause(tokens: Iterable[str]) -> list[str]:
    kept: list[str] = []
    for token in tokens:
        if not token[0].isalnum() or token.casefold() in _ENDS:
            break
        kept.append(token)
    return kept


def _opens_place(rest: list[str]) -> bool:
    """Tell "in the garden", a place, from "up the parcel"."""
    return rest[0].casefold() in ("in", "on", "over", "through") and rest[1].casefold() in _DETERMINERS


def _receiver(thing: list[str]) -> tuple[list[str], list[str]]:
    """Part "Priya the photos" into who gets it and what."""
    for at in range(1, len(thing)):
        if thing[at].casefold() in _DETERMINERS and thing[at - 1].casefold() not in _DETERMINERS:
            return thing[:at], thing[at:]
    return [], thing


def _stems(words: Iterable[str]) -> tuple[str, ...]:
    plain = (w.casefold() for w in words)
    return tuple(
        dict.fromkeys(_singular(w) for w in plain if w not in _EMPTY and w not in _PREPOSITIONS and len(w) > 1)
    )


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is", "'s")) and len(word) > 3 else word
