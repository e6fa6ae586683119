"""The clauses of what was said that a claim is made from. English.

What a difference between the two means is asked elsewhere: told_differently.py and fields.py.
"""

import re
from collections.abc import Sequence

from diary_pipeline.notes.evidence.clauses import Clause, clauses, straight
from diary_pipeline.notes.evidence.grounding import root, roots
from diary_pipeline.notes.language.english import is_past

_TOKEN = re.compile(r"[^\W_]+(?:['’-][^\W\d_]+)*")
_HALF = 0.5


def own_clauses(text: str, source: str, *, least: float = 1.0) -> list[Clause]:
    """Find the clauses of a source that a claim is made from: those that share `least` of what the closest shares.

    A fragment ("and order a lamp") is handed out with what it goes on from.
    """
    wanted = roots(text)
    cut = clauses(source)
    shared = [len(wanted & roots(c.text)) for c in cut]
    best = max(shared, default=0)
    return [_whole(cut, n) for n, score in enumerate(shared) if best and score >= max(1, least * best)]


def mostly_from(text: str, own: Sequence[Clause]) -> bool:
    """Tell whether these clauses hold more than half of what a claim tells."""
    wanted = roots(text)
    held = frozenset[str]().union(*(roots(c.text) for c in own))
    return bool(wanted) and len(wanted & held) > _HALF * len(wanted)


def past_in_both(clause: Clause, text: str) -> bool:
    """Tell whether the clause itself holds, in the past tense, what the claim tells in it ("I promised")."""
    pasts = {root(w) for w in map(str.casefold, _TOKEN.findall(straight(clause.text))) if is_past(w)}
    return bool(pasts & {root(w) for w in map(str.casefold, _TOKEN.findall(straight(text))) if is_past(w)})


def _whole(cut: Sequence[Clause], at: int) -> Clause:
    if not cut[at].fragment:
        return cut[at]
    before = [c for c in cut[:at] if not c.fragment and not c.subordinate]
    still_open = [c for c in before if c.open and not cut[at].past]
    return Clause(f"{(still_open or before)[-1].text} {cut[at].text}") if before else cut[at]
