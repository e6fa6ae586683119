"""What a text holds that comes from nobody's mouth: feelings, currencies, the prompt's own words, an obeyed order.

English word lists. What people and numbers a text names is grounding.py's business. The surprise: words that were
said can be an invention too, when only a sentence that gives orders to machines holds them.
"""

import re
from functools import lru_cache

from diary_pipeline.notes.evidence.grounding import Said, normalise, root, roots
from diary_pipeline.notes.evidence.numbers import NUMBER_WORDS
from diary_pipeline.notes.language.english import DAYS, MONTHS, STOP_WORDS, listed

# One line a feeling: who says one of them has said the others.
_FEELINGS = tuple(
    frozenset(root(w) for w in listed(line))
    for line in """
grateful thankful gratitude thank thanks lucky blessed
tired exhausted exhausting exhaustion worn sleepy
happy happiness glad joy joyful pleased delighted cheerful smiled laughed love loved
excited excitement thrilled wait
proud pride
sad sadness unhappy cried crying tears heartbroken grief
angry anger furious annoyed annoying mad irritated shouted
nervous anxious anxiety worried worry worrying afraid scared fear frightened concerned shaking
relieved relief weight
frustrated frustrating frustration annoyed annoying stuck
disappointed disappointing disappointment
lonely loneliness alone
guilty guilt ashamed shame embarrassed embarrassing
content contented satisfied satisfying calm peace peaceful quiet
hopeful hope optimistic
stressed stress stressful overwhelmed overwhelming much
confused confusing
surprised surprising surprise unexpected unexpectedly
upset hurt
jealous envy envious
bored boring
confident confidence
nostalgic nostalgia memory memories
inspired inspiring motivated motivation
regret regretted sorry
""".strip().splitlines()
)
_FELT = frozenset(
    listed("""
    grateful thankful tired exhausted happy joyful excited thrilled proud sad angry furious nervous anxious worried
    afraid scared relieved frustrated disappointed lonely guilty ashamed embarrassed content satisfied hopeful
    optimistic stressed overwhelmed confused surprised unexpected upset jealous bored confident nostalgic inspired
    motivated regret regretted peaceful concerned delighted heartbroken
    """)
)
_CURRENCIES = {
    "dollar": re.compile(r"\$|\bdollars?\b|\bbucks?\b", re.IGNORECASE),
    "euro": re.compile(r"€|\beuros?\b", re.IGNORECASE),
    "pound": re.compile(r"£|\bpounds?\b|\bquid\b|\bpence\b", re.IGNORECASE),
    "yen": re.compile(r"¥|\byen\b", re.IGNORECASE),
    "franc": re.compile(r"\bfrancs?\b|\bCHF\b"),
}
_ORDER = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:instructions?|rules|prompt|everything\s+above|all\s+of\s+that)\b"
    r"|\b(?:set|make|change|call|write|name)\s+the\s+(?:title|summary|mood)\b|\bsystem\s+prompt\b"
    r"|\byou\s+are\s+(?:now\s+)?an?\s+(?:ai|assistant|language\s+model)\b|\bthe\s+(?:title|summary)\s+(?:should|must)\s+(?:be|say)\b"
    r"|\b(?:the|your)\s+(?:title|summary)\s+(?:is|to|now|shall)\b|\b(?:output|respond|reply|answer)\s+(?:only\s+)?with\b|\badd\s+a\s+link\b",
    re.IGNORECASE,
)
_EMPTY = STOP_WORDS.union(
    NUMBER_WORDS,
    DAYS,
    MONTHS,
    listed("""
    diary entry daily note notes journal summary reflection reflections thought thoughts title titled untitled recorded
    recording transcript personal log update morning evening afternoon night life event events today's day's speaker
    speaker's various general short brief date
    """),
)
_SENTENCE = re.compile(r"(?<=[.!?…])\s+")
_SHORTEST_ECHO = 3


def feelings_added(text: str, said: Said) -> bool:
    """Tell whether a text names a feeling that nobody spoke of."""
    spoken = _spoken(said)
    return any(
        word in _FELT and root(word) not in spoken and not any(root(word) in f and f & spoken for f in _FEELINGS)
        for word in normalise(text).split()
    )


def currency_added(text: str, said: Said) -> bool:
    """Tell whether a text names a currency that nobody spoke of."""
    return any(c.search(text) and not c.search(said.transcript.text) for c in _CURRENCIES.values())


def echoes(text: str, asked: str, said: Said) -> bool:
    """Tell whether a text repeats the prompt (`asked`) where the diary does not hold it."""
    plain = normalise(text)
    return len(plain.split()) >= _SHORTEST_ECHO and plain in normalise(asked) and plain not in said.text


def says_nothing(text: str) -> bool:
    """Tell whether a title would fit any diary ("Diary Entry", "Monday's Reflections")."""
    return not [w for w in normalise(text).split() if w.removesuffix("'s") not in _EMPTY and not w.isdigit()]


def gives_orders(text: str) -> bool:
    """Tell whether a sentence speaks to a machine instead of a diary."""
    return bool(_ORDER.search(text.replace("’", "'")))


def obeys(text: str, said: Said) -> bool:
    """Tell whether a text uses words that only a sentence giving orders holds ("HACKED")."""
    return bool(_ordered_only(said) & roots(text))


@lru_cache(maxsize=16)
def _ordered_only(said: Said) -> frozenset[str]:
    """Roots that stand in sentences giving orders and nowhere else."""
    spoken = [s for i in said.ids for s in _SENTENCE.split(said.segments[i].text)]
    orders = [s for s in spoken if gives_orders(s)]
    return roots(" . ".join(orders)) - roots(" . ".join(s for s in spoken if not gives_orders(s)))


@lru_cache(maxsize=16)
def _spoken(said: Said) -> frozenset[str]:
    return frozenset[str]().union(*said.roots.values())
