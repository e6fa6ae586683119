"""Which claims say the same: models say things twice, and pieces of a long recording say them again.

A share of equal words is not enough. "I did not go" holds all of "I did go", and the rent of May is not that of June:
claims with other numbers or other negations are never one. Nor is a claim that tells much more than an earlier one.
"""

from collections.abc import Iterable, Sequence

from rapidfuzz import fuzz

from diary_pipeline.notes.evidence.grounding import normalise
from diary_pipeline.notes.evidence.numbers import numbers
from diary_pipeline.notes.language.english import DAYS, MONTHS, NEGATIONS, listed

_ALIKE = 90.0
"""Of 100, by the words that both hold; all of a short claim may stand in a long one ..."""
_AS_LONG = 60.0
"""... so that the rest must not be much: "call Tom" is "I need to call Tom", and not all that he is called about."""
_TURNS = NEGATIONS.union(
    DAYS,
    MONTHS,
    listed("nicht kein keine keinen nie niemand ne pas jamais rien sin nunca nada nessuno mai não nie geen niet"),
)


def distinct(claims: Iterable[str]) -> list[int]:
    """Give the indices of the claims that no earlier one says."""
    kept: list[int] = []
    seen: list[tuple[str, str, frozenset[object]]] = []
    for index, claim in enumerate(claims):
        plain = normalise(claim)
        told = (claim, plain, _turning(claim, plain))
        if not any(_same(told, other) for other in seen):
            kept.append(index)
            seen.append(told)
    return kept


def spelt_once(names: Iterable[str]) -> tuple[str, ...]:
    """Give names as they are spelt first, each once."""
    first: dict[str, str] = {}
    for name in names:
        if plain := normalise(name):
            first.setdefault(plain, name)
    return tuple(first.values())


def distinct_names(names: Sequence[str]) -> list[int]:
    """Give the indices of names, each once in its longest form ("Anna Weber", not "Anna" too)."""
    words = [tuple(normalise(name).split()) for name in names]
    longer = {i for i, name in enumerate(words) if any(set(name) < set(other) for other in words)}
    return [i for i, name in enumerate(words) if name and i not in longer and name not in words[:i]]


def _same(one: tuple[str, str, frozenset[object]], other: tuple[str, str, frozenset[object]]) -> bool:
    if one[1] == other[1]:
        return True
    alike = one[2] == other[2] and fuzz.token_set_ratio(one[1], other[1]) >= _ALIKE
    return alike and fuzz.token_sort_ratio(one[1], other[1]) >= _AS_LONG


def _turning(claim: str, plain: str) -> frozenset[object]:
    turns = {w for w in plain.split() if w in _TURNS or w.endswith("n't")}
    return frozenset[object](turns) | numbers(claim)
