"""What an entry keeps coming back to: words and pairs of words of more than one sentence, as they were said.

In English by a list of what is none; in other languages, for which we have no such list, only what an article precedes.
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import pairwise

from diary_pipeline.notes.language.english import DAYS, MONTHS, STOP_WORDS, is_past, listed
from diary_pipeline.notes.language.names import Mention
from diary_pipeline.notes.language.sentences import Passage

MOST = 5
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
# Only a noun follows these, so a word that never does is no topic ("called", "really").
_BEFORE_NOUN = frozenset(listed("a an the my our his her their this that these those some about for of new old"))
_LETTERS = re.compile(r"[^\W\d_]+")
_ARTICLES = {
    language: frozenset(listed(words))
    for language, words in {
        "de": "der die das den dem des ein eine einen einem einer mein meine unser unsere zum zur",
        "fr": "le la les l un une des du d mon ma mes notre nos son sa ses au aux cette ce cet ces",
        "es": "el la los las un una unos unas mi mis su sus nuestro nuestra nuestros nuestras del al este esta",
        "it": "il lo la i gli le l un uno una mio mia miei mie suo sua nostro nostra del della al alla nel nella",
        "pt": "o a os as um uma meu minha meus minhas seu sua nosso nossa do da no na ao",
        "nl": "de het een mijn onze ons zijn haar dit deze die",
    }.items()
}
_NO_TOPIC = STOP_WORDS.union(
    DAYS,
    MONTHS,
    listed("""
    people person someone everyone something week weeks month months year years morning afternoon evening night hour
    hours minute minutes moment end start beginning way part place point people stuff guy lots side rest fact idea
    reason whole first second third last old new big small little nice great same other many mother father mum mom dad
    sister brother wife husband son daughter friend friends boss doctor
    three four five seven eight nine eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty
    thirty forty fifty sixty seventy eighty ninety hundred thousand million dozen half quarter
    """),
)


def topics(sentences: Sequence[Passage], names: Collection[str]) -> list[Mention]:
    """Name up to five, the weightiest first."""
    named = {word.casefold() for name in names for word in name.split()}
    counted: Counter[tuple[str, ...]] = Counter()
    first: dict[tuple[str, ...], Mention] = {}
    for sentence in sentences:
        for phrase, mention, noun in _phrases(sentence, named):
            counted[phrase] += 1
            if noun:
                first.setdefault(phrase, mention)
    ranked = sorted((p for p, n in counted.items() if n >= 2 and p in first), key=lambda p: -counted[p] * len(p))
    chosen: list[tuple[str, ...]] = []
    for phrase in ranked:
        if not any(set(phrase) & set(other) for other in chosen):
            chosen.append(phrase)
    return [first[phrase] for phrase in chosen[:MOST]]


def nouns(sentences: Sequence[Passage], language: str) -> list[Mention]:
    """Name up to five words that stand behind an article and in two sentences; none where we know no articles."""
    articles = _ARTICLES.get(language, frozenset())
    first: dict[str, Mention] = {}
    counted: Counter[str] = Counter()
    for sentence in sentences:
        words = [(w[0].casefold(), w) for w in _LETTERS.finditer(sentence.text)]
        counted.update({plain for plain, _ in words})
        for (before, _), (plain, word) in pairwise(words):
            if (
                before in articles
                and plain not in articles
                and len(plain) > 3
                and (language != "de" or word[0].istitle())
            ):
                first.setdefault(plain, Mention(word[0], sentence, word.start()))
    ranked = sorted((plain for plain in first if counted[plain] >= 2), key=lambda plain: -counted[plain])
    return [first[plain] for plain in ranked[:MOST]]


def _phrases(sentence: Passage, named: set[str]) -> list[tuple[tuple[str, ...], Mention, bool]]:
    """Single words and pairs, each once in a sentence: (key without plural, as said, follows a noun's article)."""
    words = list(_WORD.finditer(sentence.text))
    plain = [w[0].casefold().replace("’", "'").removesuffix("'s") for w in words]
    found: dict[tuple[str, ...], tuple[Mention, bool]] = {}
    for length in (2, 1):
        for at in range(len(words) - length + 1):
            part = plain[at : at + length]
            if all(_may_be_topic(w, named) for w in part) and _unbroken(sentence.text, words[at : at + length]):
                as_said = (
                    sentence.text[words[at].start() : words[at + length - 1].end()]
                    .removesuffix("'s")
                    .removesuffix("’s")
                )
                noun = at > 0 and plain[at - 1] in _BEFORE_NOUN
                found.setdefault(
                    tuple(w.removesuffix("s") for w in part), (Mention(as_said, sentence, words[at].start()), noun)
                )
    return [(phrase, mention, noun) for phrase, (mention, noun) in found.items()]


def _may_be_topic(word: str, named: set[str]) -> bool:
    return (
        len(word) > 3 and word not in _NO_TOPIC and word not in named and not is_past(word) and not word.endswith("ly")
    )


def _unbroken(text: str, words: Sequence[re.Match[str]]) -> bool:
    return all(text[a.end() : b.start()] == " " for a, b in pairwise(words))
