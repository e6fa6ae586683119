"""What a speaker says is done, or will not be done: "I finally called the plumber", "I decided not to go". English.

It only reads; which earlier to-do that settles is decided where all entries lie together, in the catalogue. Precision
first: a to-do that stays open can be ticked off by hand, one that is wrongly done is forgotten. So who did it must be
the speaker, in a statement without "not", "almost", "if", "but" or somebody's word for it.
"""

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence

from diary_pipeline.core.note import Completion, Outcome, Task
from diary_pipeline.notes.language.english import ADVERBS, DAYS, LONG_AGO, is_past, listed
from diary_pipeline.notes.language.sentences import Passage
from diary_pipeline.notes.language.spoken_dates import spoken_dates
from diary_pipeline.notes.language.tasks import base_form, read_task

_LONGEST_WORDS = 30
"""What is longer was never one clear statement."""

_WHEN = (
    rf"(?:(?:(?:on\s+)?(?:{'|'.join(DAYS)})(?:\s+(?:morning|afternoon|evening))?|the\s+day\s+before\s+yesterday|today|tonight|yesterday|this\s+(?:morning|afternoon|evening)|last\s+night|then|later|afterwards|finally|at\s+last|also|first)"
    r",?\s+){0,2}"
)
_CLAUSE = rf"(?:^|[.;:]\s*|,\s*(?:and\s+|so\s+|then\s+)?|\b(?:and|so|then)\s+){_WHEN}"
_REACHED = (
    r"(?:managed\s+to|was\s+able\s+to|were\s+able\s+to|remembered\s+to"
    r"|(?P<gerund>got\s+a?round\s+to|finished)(?=\s+\w+ing\b)|did(?!\s+(?:the|my|our|a|it|that|not)\b))"
)
_DONE = re.compile(
    rf"{_CLAUSE}(?:I|we)(?P<have>'ve|\s+have)?\s+{ADVERBS}(?:already\s+)?(?:(?P<reached>{_REACHED})\s+)?(?P<task>(?P<verb>[a-z]+)\b.*)",
    re.IGNORECASE,
)
_JOTTED = re.compile(
    r"^(?:finally\s+|also\s+)?(?P<task>(?P<verb>[a-z]+)\s+(?:up\s+|off\s+|back\s+|out\s+)?"
    r"(?:(?:the|a|an|my|our|his|her|their|all|some)\b|(?-i:[A-Z][a-z])).*)",
    re.IGNORECASE,
)
_AND_ALSO = re.compile(r"\band\s+(?:then\s+|also\s+|finally\s+)?(?P<task>(?P<verb>[a-z]+)\b.*)", re.IGNORECASE)
_ITS_END = r"(?=\s*(?:[.,;!]|$)|\s+(?:and|today|now|at\s+last|yesterday|tonight)\b)"
_THING_DONE = re.compile(
    rf"{_CLAUSE}(?:and\s+)?(?P<thing>(?:(?:all\s+)?(?:the|my|our|both)|(?-i:[A-Z])[a-z]+'s)\s+(?:[\w'-]+\s+){{1,4}}?)(?:is|are|has\s+been|have\s+been)\s+"
    rf"(?:(?:finally|already|now|all|both)\s+)*(?P<verb>done|ready|[a-z]+ed|sent|paid|written|made|bought|taken|given|sold|sewn|built|cut){_ITS_END}",
    re.IGNORECASE,
)
_DROPPED = re.compile(
    rf"{_CLAUSE}(?:(?:I|we)(?:'ve|\s+have)?\s+{ADVERBS}(?:decided|chosen|chose|agreed)\s+(?:not\s+to|against)"
    r"|(?:I|we)(?:'m|'re|\s+am|\s+are)\s+not\s+going\s+to(?=.*\b(?:after\s+all|any\s*more|any\s+longer)\b)"
    r"|(?:I|we)\s+(?:won't|will\s+not)(?=.*\b(?:after\s+all|any\s*more|any\s+longer)\b)"
    r"|(?:I|we)\s+(?:don't|do\s+not)\s+(?:need|have)\s+to(?=.*\b(?:after\s+all|any\s*more|any\s+longer)\b)"
    r"|(?:I|we)\s+no\s+longer\s+(?:need|have|want)\s+to)\s+(?P<task>(?P<verb>[a-z]+)\b.*)",
    re.IGNORECASE,
)
_UNREAL = re.compile(
    r"\b(?:if|unless|wish|would|should|could|might|may|almost|nearly|half(?!\s+past)|partly|dream\w*|imagin\w*|pretend\w*|maybe|perhaps|probably|hope\w*|"
    r"whether|whenever|until|till|but|except|supposed|used\s+to|always|usually|often|sometimes|hardly|barely|instead|"
    r"every|each|begun|began|started|tried|wanted|meant|planned|promised|offered|forgot|failed|refused|agreed\s+to|in\s+my\s+(?:mind|head))\b",
    re.IGNORECASE,
)
_DENIED = re.compile(r"\b(?:not|never|no|nobody|nothing|neither|nor|none|without)\b|n't\b", re.IGNORECASE)
_EARLIER = re.compile(
    r"\b(?:last|previous)\s+(?:week|weekend|month|year|time|summer|winter|spring|autumn|fall)\b|\bago\b|\bonce\b|\bin\s+(?:19|20)\d\d\b|\bas\s+a\s+\w+\b"
    r"|\bback\s+(?:in|when)\b|\bearlier\s+this\b|\bbefore\s+(?:Christmas|Easter|the)\b",
    re.IGNORECASE,
)
_SOMEBODYS_WORD = re.compile(
    r"\b(?:said|says|told|tells|asked|asks|heard|thinks?|thought|believes?|remember|that|when|while|after|before|because|since|as|who|which|"
    r"what|how|why|where)\b",
    re.IGNORECASE,
)
_STATES = frozenset(listed("was were had felt thought knew loved hated liked"))
# What goes on with a list of things, and does not begin to tell something else.
_IN_A_LIST = re.compile(
    r"(?:(?:the|a|an|my|our|his|her|their|some|two|three|four|five|six)\s+(?:[\w'-]+\s*){1,2}|[\w'-]+)(?:\s+(?:for|to|from|at|of|in|with)\b.*)?\W*$",
    re.IGNORECASE,
)
# Beside the past forms: only behind "have" do these say that something happened.
_PARTICIPLES = frozenset(
    listed("done written taken given spoken seen driven gone shown thrown chosen drawn sewn read put cut set")
)
_APPOINTED = re.compile(r"\b(?:for|until|till|by)\s+$", re.IGNORECASE)
"""Before a day that is not when it was done: "I booked the dentist for Friday"."""
# Who has finished a thing has written, prepared or made it.
_MAKING = tuple(base_form(verb) for verb in ("finish", "do", "prepare", "make", "write", "draft", "read"))
_ENDED = frozenset(base_form(verb) for verb in ("finish", "do", "ready"))


def completions(said: Sequence[Passage], day: dt.date) -> tuple[Completion, ...]:
    """Find what the speaker says is done or dropped, in the order in which it was said."""
    return tuple(completion for passage in said for completion in _told(passage, day))


def _told(passage: Passage, day: dt.date) -> Iterator[Completion]:
    text = passage.text.replace("’", "'")
    if text.rstrip("\"') ").endswith("?") or len(text.split()) > _LONGEST_WORDS or _UNREAL.search(text):
        return
    if LONG_AGO.search(text) or _EARLIER.search(text) or (when := _day(text, day)) is None:
        return
    evidence = passage.evidence()
    found = dict.fromkeys([*_dropped(text, day), *_done(text, day)])
    for outcome, task in found:
        verbs = _MAKING if task.verb in _ENDED else (task.verb,)
        yield Completion(
            passage.text,
            evidence.segment_id,
            evidence.start_s,
            evidence.end_s,
            evidence.quote,
            outcome,
            when,
            verbs,
            task.object,
            task.about,
        )


def _dropped(text: str, day: dt.date) -> Iterator[tuple[Outcome, Task]]:
    for found in _DROPPED.finditer(text):
        if not _SOMEBODYS_WORD.search(text[: found.start()]) and (task := read_task(found["task"], day)):
            yield "dropped", task


def _done(text: str, day: dt.date) -> Iterator[tuple[Outcome, Task]]:
    for wording in (*_by_me(text), *_things(text)):
        for task in _each(wording, day):
            yield "done", task


def _by_me(text: str) -> Iterator[str]:
    """What I did, from its verb on."""
    at = 0
    while found := _DONE.search(text, at):
        if _SOMEBODYS_WORD.search(text[: found.start()]):
            return
        if _happened(found) and not _DENIED.search(re.split(r"[,.;:!]", found["task"])[0]):
            yield found["task"]
            for more in _AND_ALSO.finditer(found["task"]):
                if is_past(more["verb"].casefold()) and not _DENIED.search(found["task"]):
                    yield more["task"]
        at = found.start("task")
    jotted = _JOTTED.match(text)
    if jotted and is_past(jotted["verb"].casefold()) and not _DENIED.search(text):
        yield jotted["task"]


def _happened(found: re.Match[str]) -> bool:
    verb = found["verb"].casefold()
    if verb in _STATES:
        return False
    if found["reached"]:
        return not found["gerund"] or verb.endswith("ing")
    if found["have"]:
        return is_past(verb) or verb in _PARTICIPLES
    return is_past(verb)


def _things(text: str) -> Iterator[str]:
    """What is said to be done, as if I had done it."""
    for found in _THING_DONE.finditer(text):
        if not _SOMEBODYS_WORD.search(text[: found.start()]) and found["verb"].casefold() not in ("called", "named"):
            yield f"{found['verb']} {found['thing']}"


def _each(wording: str, day: dt.date) -> Iterable[Task]:
    """The tasks of "bought the goggles and a towel"."""
    verb, _, rest = wording.partition(" ")
    parts = re.split(r"\s*,?\s+and\s+|,\s+", re.split(r"[.;:!]", rest)[0])
    for at, part in enumerate(parts):
        if at and not _IN_A_LIST.match(part):
            return
        if task := read_task(f"{verb} {part}", day):
            yield task


def _day(text: str, day: dt.date) -> dt.date | None:
    """The day it was done: the entry's unless one was said; None where that cannot be told."""
    said = {d.day for d in spoken_dates(text, day) if not _APPOINTED.search(text[: d.start])}
    # "On Monday I called" looks back, the grammar of dates looks ahead.
    past = {d if d <= day else d - dt.timedelta(days=7) for d in said if d <= day + dt.timedelta(days=7)}
    if len(past) < len(said) or len(past) > 1:
        return None
    return past.pop() if past else day
