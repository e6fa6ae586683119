"""Closed word classes of English that the rules of the offline writer lean on: lists, no rules.

Not names.py's lists of what is no person, and not the cues themselves. A word missing here costs an item, a word too
many costs a wrong one: when in doubt it stays out.
"""

import re
from itertools import pairwise


def listed(text: str) -> tuple[str, ...]:
    """Read a list of words that is written as text."""
    return tuple(text.split())


DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip

STOP_WORDS = frozenset(
    listed("""
    a about above after again all also am an and any are as at away back be because been before being below between
    both but by can could did do does doing done down during each either else even ever every few first for from
    further get gets getting go goes going gone good got had has have having he her here hers herself him himself his
    how however i if in into is it its itself just kind know last let like lot made make many may maybe me mean might
    more most much must my myself need never new next no nor not nothing now of off on once one only onto or other our
    ours out over own perhaps pretty quite rather really right said same say says see she should since so some someone
    something sometimes still such sure take than that the their them then there these they thing things think this
    those though through time to today too under until up upon us very want was way we well went were what when where
    whether which while who whole whom why will with within without would yeah yes yesterday yet you your yours okay
    ok um uh mm hmm oh day days bit little i'm i've i'd i'll it's that's there's don't didn't doesn't isn't wasn't
    can't couldn't won't wouldn't we're we've we'll he's she's they're you're let's
    """)
)

# Words that leave a phrase hanging when they end it.
DANGLING = STOP_WORDS - frozenset(
    listed("back away down off home today yesterday again well out me him her them us it")
)

NEGATIONS = frozenset(listed("not no never nothing nobody none neither nor hardly barely without cannot"))

_IRREGULAR_PAST = frozenset(
    listed("""
    died lied tied ate beat became began bent bit blew bought broke brought built burnt came caught chose clung crept
    cried cut did drank drew drove fed fell felt fled flew fought found forgot forgave froze gave got grew had heard
    held hid hit hung hurt kept knelt knew laid lay learnt led left lent let lit lost made meant met paid put quit ran
    rang rode rose said sang sank sat saw sent set shook shot shut slept slid sold spent spilt split spoke spread
    stood stole stuck struck sung swam swept taught threw told took tore understood was went wept were woke won wore
    wrote
    """)
)
# These stand as past and present alike; alone they do not show that something happened.
_EITHER_TENSE = frozenset(listed("beat bit cut hit hurt let lay put quit read set shut split spread"))
# They end like a past form and are none, or mostly describe a state.
_NO_PAST = frozenset(
    listed("""
    need indeed speed feed seed weed bed red shed breed bleed hundred naked sacred kindred embed tired excited worried
    bored scared interested exhausted annoyed relaxed stressed married ashamed disappointed overwhelmed confused
    relieved pleased supposed used frustrated embarrassed determined convinced inspired motivated depressed devastated
    terrified thrilled delighted surprised allowed limited detailed advanced related complicated united sled greed
    exceed proceed succeed
    """)
)

# What may stand between "I" and the verb that decides what a sentence is.
ADVERBS = (
    r"(?:(?:really|also|still|definitely|just|probably|certainly|absolutely|then|now|finally|maybe|first|honestly|truly|so|very|"
    r"quite|actually|always|deeply|kind of|sort of|a bit|a little|at least)\s+){0,2}"
)
LONG_AGO = re.compile(
    r"\bused\s+to\b|\bwhen\s+I\s+was\s+(?:a|an|young|little|small|still|in|at|\w+\s+years|three|four|five|six|seven|eight|nine|ten|eleven|"
    r"twelve|\w+teen|twenty\b|\d+)\b|\byears\s+ago\b|\bback\s+then\b"
    r"|\bas\s+a\s+(?:child|kid|boy|girl|teenager)\b|\bonce\s+upon\b",
    re.IGNORECASE,
)

_BEFORE_PARTICIPLE = frozenset(
    listed("""
    is are am be being get gets getting i'm it's he's she's that's they're we're you're a an the my our his her their
    this these so very stay stays stayed remain remains remained
    """)
)
_TOKEN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def tokens(text: str) -> list[str]:
    """Split into words, lower case, straight apostrophes."""
    return [w.replace("’", "'").casefold() for w in _TOKEN.findall(text)]


def is_past(word: str) -> bool:
    """Tell whether a word, in lower case, is a simple past form."""
    if word in ("wasn't", "weren't", "didn't", "hadn't"):
        return True
    if word in _IRREGULAR_PAST:
        return word not in _EITHER_TENSE
    return len(word) > 4 and word.endswith("ed") and word not in _NO_PAST


def has_past(text: str) -> bool:
    """Tell whether anything is told as having happened ("closed", but not "is closed" or "a closed door")."""
    words = tokens(text)
    return any(is_past(word) and before not in _BEFORE_PARTICIPLE for before, word in pairwise(["", *words]))
