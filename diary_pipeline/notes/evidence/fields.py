"""Whether a claim stands in the right field: an event happened, a thought was thought, an action is to do. English.

The most common error of small models, and a harmless one: what is told is true. That a claim was said, and said so, is
asked elsewhere.
"""

import re

from diary_pipeline.core.note import ItemKind
from diary_pipeline.notes.evidence.clauses import REMINDER, clauses, straight
from diary_pipeline.notes.evidence.sources import mostly_from, own_clauses, past_in_both
from diary_pipeline.notes.language.cues import told
from diary_pipeline.notes.language.mood import feeling

_MENTAL = re.compile(
    r"\b(?:think|thought|know|knew|remember|feel|felt|reali[sz]e|understand|understood|learn(?:ed|t)|believe|wish|hope|wonder|"
    r"mean|meant|decide|love|like|miss|forgot|notice|imagine|expect|lesson|promised\s+myself|regret|envy|envied|prefer|dream|"
    r"laugh|cried|cry|smile|blush|stung|hurts?|ashamed|shock|shy|dread|surprise|enjoy)\w*\b"
    r"|\b(?:should|ought|must)\s+(?:not\s+)?have\b|\bshouldn't\s+have\b|\bought\b|\bwould(?:n't)?\b|\b(?:I|we)\s+(?:said|say|told)\b"
    r"|\b(?:best|worst|better|worse|worth|important|strange|beautiful|unfair|too|enough)\b",
    re.IGNORECASE,
)
_RULE = re.compile(r"(?:don't|do\s+not|never|no\s+more)\b", re.IGNORECASE)
_OWN = re.compile(r"\b(?:I|me|my|we|us|our|I'm|I've|we're|we've)\b", re.IGNORECASE)
_FELT = 0.4


def misplaced(kind: ItemKind, text: str, spoken: str, *, lifted: bool) -> str | None:
    """Name why a claim from a segment (`spoken`) is not what its field asks for; None where it may be."""
    if kind == "action":
        return _no_action(text, spoken, lifted=lifted)
    if kind == "event" and _is_no_event(text, spoken):
        return "no_event"
    return "no_thought" if kind == "reflection" and _is_no_thought(text) else None


def _no_action(text: str, spoken: str, *, lifted: bool) -> str | None:
    own = own_clauses(text, spoken, least=0.5) or clauses(spoken)
    # What was lifted whole may go on over segments; its cue stands where it stands.
    told_so = clauses(text) if lifted else ()
    if REMINDER.search(straight(spoken)) or any(c.open for c in (*own, *told_so)):
        return None
    return "memory_as_action" if any(c.past for c in own) else "not_open"


def _is_no_event(text: str, spoken: str) -> bool:
    """Tell whether what a text says is still to do, wanted, needed or a rule."""
    own = [c for c in own_clauses(text, spoken, least=0.3) if not c.subordinate]
    return bool(own) and all(c.due and not past_in_both(c, text) for c in own) and mostly_from(text, own)


def _is_no_thought(text: str) -> bool:
    """Tell whether a text shows no feeling, thought, judgement or refusal of its speaker."""
    kind = told(text)
    if kind == "action" and not _MENTAL.search(straight(text)):
        return True
    if kind == "reflection" or _MENTAL.search(straight(text)) or _RULE.match(straight(text)):
        return False
    return not any((_OWN.search(c.text) and c.denied) or abs(feeling(c.text)) >= _FELT for c in clauses(text))
