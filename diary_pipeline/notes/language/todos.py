"""What is still to do, and by when. English, by cue words.

Precision first: a to-do that was missed can still be heard, a to-do that nobody has makes the note a liar. So what is
past ("I had to"), doubted ("not sure if I should"), habitual, already done or a phrase ("I have to say") is none.
Questions never come here, see cues.py.
"""

import datetime as dt
import re

from diary_pipeline.core.note import Task
from diary_pipeline.notes.language.english import ADVERBS, LONG_AGO, has_past
from diary_pipeline.notes.language.spoken_dates import SpokenDate, spoken_dates
from diary_pipeline.notes.language.tasks import read_task

_OPENING = r"(?:^|[,;:.]\s*|\b(?:and|also|please|so|then|but)\s+)"
_SAYING = (
    r"(?:say|admit|confess|laugh|smile|wonder|mention|add|note|tell you|be honest|apologi[sz]e|point out|stress)\b"
)
_DOABLE = (
    r"(?:call|ring|phone|email|write|text|message|book|buy|order|pay|send|ask|check|bring|take|pick|finish|fix|clean|"
    r"return|cancel|schedule|arrange|talk|speak|tell|visit|apply|submit|renew|print|look into|look up|prepare|cook|"
    r"bake|invite|remind|drop|reply|sign|register|water|wash|repair|practi[sc]e|start|stop|give|lend|help|meet|try|get)\b"
)
_OPEN_CUES = re.compile(
    "|".join(
        (
            rf"\b(?P<have>(?:I|we)(?:'ll|\s+will)?\s+{ADVERBS}(?:need|have|ought)\s+to\s+(?!{_SAYING}))",
            rf"\b(?:I|we)(?:'ve|\s+have)\s+{ADVERBS}got\s+to\s+(?!{_SAYING})",
            rf"\b(?:I|we)\s+{ADVERBS}gotta\s+",
            rf"\b(?:I|we)\s+{ADVERBS}(?:must|should)\s+{ADVERBS}(?:not\s+)?(?!have\b|be\b|feel\b|know\b|{_SAYING})\w",
            r"\b(?:I|we)(?:'d|\s+had)\s+better\s+(?!have\b|be\b|not\b)\w",
            r"\b(?:I|we)\s+(?:mustn't|shouldn't)\s+(?!have\b|be\b)",
            r"^(?:need\s+to|have\s+to|got\s+to|gotta|must)\s+(?!be\b|have\b)",
            rf"{_OPENING}(?:don't|do\s+not)\s+forget\b",
            rf"{_OPENING}remember\s+to\b",
            rf"{_OPENING}make\s+sure\s+(?:to|that|I|we)\b",
            rf"(?:{_OPENING}|\b(?:can|could)\s+you\s+)remind\s+me\s+(?:to|that|about)\b",
            r"\bI(?:'ve|\s+have)?\s+promised\b",
            r"\b(?:to-?do|action\s+item)s?\s*:|\bnote\s+to\s+self\b",
            # A bare order at the start, as people jot: "Ask Stefan about the invoice", not "Call with Stefan at ten".
            r"^(?:call|ask|buy|send|pay|book|email|order|return|cancel|renew|text|ring|pick\s+up)\s+"
            r"(?:(?:the|a|an|my|our|his|her|him|them|some|new|more)\b|(?-i:[A-Z]))",
            rf"\b(?:I|we)(?:'ll|\s+will|'m\s+going\s+to|\s+am\s+going\s+to|'re\s+going\s+to)\s+{ADVERBS}{_DOABLE}",
        )
    ),
    re.IGNORECASE,
)
# From the cue to the verb of what is to be done.
_LEAD = re.compile(
    r"[\s,;:.]*(?:(?:and|also|please|so|then|but)\s+)*"
    rf"(?:(?:I|we)(?:'(?:ll|ve|m|re|d)|\s+(?:will|had|am|are|have(?=\s+(?:\w+\s+)?got\b)))?\s+{ADVERBS})?"
    r"(?:(?:need|have|ought|got|going)\s+to\b|gotta\b|must\b|should\b|better\b|(?:don't|do\s+not)\s+forget\s+to\b|remember\s+to\b"
    r"|make\s+sure\s+(?:to|that\s+(?:I|we)|I|we)\b|(?:(?:can|could)\s+you\s+)?remind\s+me\s+to\b"
    r"|promised\s+(?:(?!to\b|I\b)\S+\s+){0,2}?(?:to\b|(?:that\s+)?I(?:'d|'ll|\s+would|\s+will)\b)"
    rf"|(?:to-?do|action\s+item)s?\s*:|note\s+to\s+self\W*)?\s*{ADVERBS}",
    re.IGNORECASE,
)
# A list, or a second thing to do: one "I did it" would settle only part of it.
_MORE = re.compile(
    r"\b(?:and|or)\s+(?!(?:I|we|he|she|they|it|that|this|you|there|then)\b)|(?<!^)\b(?:and|so|then)\s+(?:then\s+)?(?:I|we)\b"
    r".*\b(?:need|have|must|should|will|going)\b",
    re.IGNORECASE,
)
_NO_CLAIM_BEFORE = re.compile(
    r"\b(?:what|all|everything|anything|nothing|things?|lot|much|many|which|why|how|where|when|whenever|if|whether|whatever|unless|"
    r"until|before|than|as|like|fact\s+that|thought|felt|knew|wish(?:ed)?|doubt|don't\s+think|do\s+not\s+think|didn't\s+think|"
    r"don't\s+know\s+that|not\s+sure|not\s+that|hate\s+that|or|nor)\s+$|\b(?:thinks|believes|reckons|suggests|suggested|insists)\s+(?:that\s+)?$"
    r"|\b(?:somebody|someone|everybody|everyone|people|they)\s+(?:say|said|says|told\s+\w+)\s+(?:that\s+)?$|\bused\s+to\b|\bI\s+(?:told|said|explained|mentioned)\b",
    re.IGNORECASE,
)
_DONE = re.compile(
    r"\bwhich\s+I\s+(?:did|have|finally)\b|\band\s+I\s+(?:did|finally\s+did|already|kept)\b|\bI(?:'ve|\s+have)\s+already\b"
    r"|\bbut\s+I\s+(?:forgot|didn't|did\s+not|couldn't|could\s+not|won't|will\s+not|don't|do\s+not|can't|cannot)\b|\bbut\s+not\b",
    re.IGNORECASE,
)
_HABIT = re.compile(
    r"\b(?:every|each)\s+(?:single\s+)?(?:day|morning|evening|night|week|month|year|time)\b|\b(?:always|usually|whenever|often)\b",
    re.IGNORECASE,
)
_SIGN_OFF = re.compile(
    r"\b(?:go|stop|leave|run|sleep)(?:\s+(?:now|here|soon|to\s+bed|to\s+sleep))*\s*[.!]*$", re.IGNORECASE
)
_FINAL = re.compile(r"\b(?:by|before|until|till)\b", re.IGNORECASE)
_TAKEN_BACK = re.compile(
    r"(?:I\s+(?:probably\s+|already\s+|definitely\s+|just\s+)?(?:won't|will\s+not|did|didn't|did\s+not|have)\b|never\s+mind\b|or\s+not\b)"
    r"(?:\s+\w+){0,2}\W*$",
    re.IGNORECASE,
)
_SUBORDINATE = re.compile(
    r"\b(?:whether|if|that|who|which|because|when|what|why|how|or|otherwise|but)\b", re.IGNORECASE
)
_OPENS_WITH_DATE = re.compile(r"\W*(?:(?:and|so|then|also|but|now|well|okay)\b\W*)*", re.IGNORECASE)
_CONDITION = re.compile(r"\b(?:if|unless|in\s+case)\b", re.IGNORECASE)
_LONG_WORDS = 18
_CORRECTION = re.compile(
    r"(?:no|wait|sorry|actually|i mean|i meant|correction|scratch that|or rather)\b", re.IGNORECASE
)


def is_todo(text: str) -> bool:
    """Tell whether a sentence names something its speaker still has to do."""
    return _open_cue(text.replace("’", "'")) is not None


def due_date(text: str, today: dt.date) -> dt.date | None:
    """The day a to-do is due, if exactly one was said with it; of several, the one behind "by" or "before"."""
    text = text.replace("’", "'")
    cue = _open_cue(text)
    if cue is None:
        return None
    said = [date for date in spoken_dates(text, today) if date.day >= today and _belongs(date, cue, text)]
    if len({date.day for date in said}) > 1:
        said = [date for date in said if _FINAL.search(text[: date.start][-8:] + text[date.start : date.end])]
    days = {date.day for date in said}
    return days.pop() if len(days) == 1 else None


def task_of(text: str, today: dt.date) -> Task | None:
    """Read what a to-do asks for; None where that is more than one thing, a "not", or nothing that has a name."""
    text = text.replace("’", "'")
    cue = _open_cue(text)
    if cue is None and not re.match(_DOABLE, text, re.IGNORECASE):
        return None
    wanted = text[cue.start() :] if cue else text
    lead = _LEAD.match(wanted)
    wanted = wanted[lead.end() :] if lead else wanted
    if _MORE.search(wanted) or not re.match(r"(?!not\b|never\b)[^\W\d_]", wanted):
        return None
    return read_task(wanted, today)


def asked_for(text: str) -> tuple[int, int]:
    """Where the to-do itself stands in long speech without commas: from its cue on, unless a condition is before it."""
    plain = text.replace("’", "'")
    cue = _open_cue(plain)
    if cue is None or len(text.split()) <= _LONG_WORDS or re.search(r"[,;]", plain[: cue.start()]):
        return 0, len(text)
    if _CONDITION.search(plain[: cue.start()]):
        return 0, len(text)
    return cue.start(), len(text)


def takes_back(text: str) -> bool:
    """Tell whether a short sentence says that the to-do before it will not be done, or is."""
    return bool(_TAKEN_BACK.match(text.replace("’", "'")))


def opens_correction(text: str) -> bool:
    """Tell whether a sentence takes back the one before it ("No, Tuesday.")."""
    return bool(_CORRECTION.match(text))


def _open_cue(text: str) -> re.Match[str] | None:
    if _DONE.search(text) or LONG_AGO.search(text) or (len(text.split()) <= 8 and _SIGN_OFF.search(text)):
        return None
    for cue in _OPEN_CUES.finditer(text):
        if not _NO_CLAIM_BEFORE.search(text[: cue.start()]) and not (cue["have"] and _HABIT.search(text)):
            return cue
    return None


def _belongs(date: SpokenDate, cue: re.Match[str], text: str) -> bool:
    """Tell whether a date is the to-do's own ("call on Monday"), not another's ("the letter that came on Monday")."""
    if date.start >= cue.end():
        between = text[cue.end() : date.start]
        return not has_past(between) and ("promised" in cue[0] or not _SUBORDINATE.search(between))
    before = text[: date.start]
    return not text[date.end : cue.start()].strip(" ,") and bool(_OPENS_WITH_DATE.fullmatch(before))
