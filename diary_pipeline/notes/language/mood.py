"""How an entry feels, by the word list of VADER: one number for a text, one mood for an entry.

English only; entries in other languages are `neutral`, and the note says that it could not tell. VADER knows negation
and degree ("not very happy"), it knows no irony.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol, cast

from diary_pipeline.core.note import Mood

# Weaker sentences are the polite noise of speech ("okay", "nice", "sorry").
_STRONG = 0.25
# Share of a sentence that must be good, and bad, for both to count.
_DIVIDED = 0.12
# Words of grief and illness that VADER, made for short messages, lacks, and words of degree that it takes for bad ones;
# its scale is -4 to 4.
_LACKED = {"buried": -2.4, "burial": -2.2, "bury": -2.0, "miscarriage": -3.0, "chemotherapy": -1.8, "benign": 1.8}
_DEGREE = dict.fromkeys(("strangely", "ridiculously", "terribly", "awfully", "insanely"), 0.0)
# A word list misreads facts ("what I had missed", "cut it to twelve"): only loud ones count.
_STRONG_FACT = 0.45
_ENOUGH_FOR_VERY = 3
_FEW_FACTS = 3
# "A noise like a dying cow" is not liked.
_COMPARED = re.compile(
    r"(?<!\bI )(?<!\bwe )(?<!really )(?<!would )(?<!'d )(?<!n't )(?<!not )\blike\b|(?<=as I )like\b", re.IGNORECASE
)


class _Lexicon(Protocol):
    def polarity_scores(self, text: str) -> dict[str, float]: ...


def feeling(text: str) -> float:
    """Score a text from -1 (bad) to 1 (good)."""
    return _scores(text)["compound"]


def mood(own: Sequence[str], rest: Sequence[str]) -> Mood:
    """Name the mood of what was felt (`own`) and of what else was told; `mixed` when good and bad are both strong."""
    strong = [score for text in own for score in _both(text) if abs(score) > _STRONG]
    facts = [score for score in map(feeling, rest) if abs(score) > _STRONG_FACT]
    # One sad thing that was seen does not make a day of many other things a sad one.
    strong += facts if strong or len(facts) > 1 or len(rest) <= _FEW_FACTS else []
    if not strong:
        return "neutral"
    mean = sum(strong) / len(strong)
    good = sum(score > 0 for score in strong) / len(strong)
    if 0.3 < good < 0.7 and abs(mean) <= 0.4:
        return "mixed"
    if abs(mean) <= 0.15:
        return "neutral"
    very = abs(mean) > 0.6 and len(strong) >= _ENOUGH_FOR_VERY
    if mean > 0:
        return "very_positive" if very else "positive"
    return "very_negative" if very else "negative"


def _both(text: str) -> tuple[float, ...]:
    """The score of a text, or one for each side of "happy for her, but also a bit sad", which is no draw."""
    scores = _scores(text)
    divided = min(scores["pos"], scores["neg"]) >= _DIVIDED
    return (0.4, -0.4) if divided else (scores["compound"],)


def _scores(text: str) -> dict[str, float]:
    return _lexicon().polarity_scores(_COMPARED.sub("as", text))


@lru_cache(maxsize=1)
def _lexicon() -> _Lexicon:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()
    analyzer.lexicon.update(_LACKED | _DEGREE)
    return cast(_Lexicon, analyzer)
