"""Was it said? Words, numbers and names of a text, looked up in a transcript.

Deterministic and without a model: it catches foreign names, numbers and sentences, not a turned negation. On QMSum
with planted errors it caught 99 % of names and 91 % of added numbers while flagging 1 % of what people had written.
What is done about a finding is checks.py's business.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from diary_pipeline.core.transcript import Transcript
from diary_pipeline.notes.language.english import DAYS, MONTHS, STOP_WORDS, listed

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+(?:'[^\W\d_]+)?")
_SPELT = re.compile(r"\b[a-z](?: [a-z]\b)+")
_DIGITS = re.compile(r"\d[\d,]*(?:\.\d+)?")
_CAPITALISED = re.compile(r"(?<![\w'’])[^\W\d_][\w'’-]*")
_UNDER_TWENTY = listed("""
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
""")
_UNITS = {word: n for n, word in enumerate(_UNDER_TWENTY)}
_TENS = {w: 10 * n for n, w in enumerate(listed("twenty thirty forty fifty sixty seventy eighty ninety"), start=2)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_SUFFIXES = (
    ("sses", "ss"), ("ies", "i"), ("ational", "ate"), ("ization", "ize"), ("fulness", "ful"), ("ousness", "ous"),
    ("ation", "at"), ("ments", ""), ("ment", ""), ("ingly", ""), ("edly", ""), ("ings", ""), ("ing", ""), ("ied", "i"),
    ("ed", ""), ("ers", "er"), ("ly", ""), ("es", ""), ("s", ""), ("e", ""), ("y", "i"),
)  # fmt: skip

_NO_NAMES = STOP_WORDS.union(DAYS, MONTHS, ("i",))

# Short segments hold too few words to carry a sentence; a far wider window holds a whole short diary.
_NEIGHBOURHOOD_WORDS = 40


def normalise(text: str) -> str:
    """Lower case words without accents and punctuation; spelt letters join ("t v" is "tv")."""
    flat = unicodedata.normalize("NFKD", text).replace("’", "'").casefold()
    words = _WORD.findall("".join(c for c in flat if not unicodedata.combining(c)))
    return _SPELT.sub(lambda spelt: spelt[0].replace(" ", ""), " ".join(words))


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """Cut English endings; crude, but the same for both sides of a comparison."""
    word = word.removesuffix("'s")
    for suffix, instead in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word.removesuffix(suffix) + instead
    return word


def content_stems(text: str, language: str = "en") -> frozenset[str]:
    """The words that carry meaning; in languages without a list of ours, words longer than three letters."""
    words = normalise(text).split()
    if language == "en":
        return frozenset(stem(w) for w in words if _carries(w))
    return frozenset(w for w in words if len(w) > 3 or _is_ideograph(w))


def numbers(text: str) -> frozenset[float]:
    """Every number said or written: "25", "3.5", "1,000", "twenty five", "two hundred and six"."""
    found = {float(n.replace(",", "")) for n in _DIGITS.findall(text)}
    total = part = 0
    counting = False
    for word in [*normalise(text.replace("-", " ")).split(), "."]:
        if word in _UNITS or word in _TENS:
            part += _UNITS.get(word, 0) + _TENS.get(word, 0)
            counting = True
        elif counting and word in _SCALES:
            part = max(part, 1) * _SCALES[word]
            if _SCALES[word] >= 1000:
                total, part = total + part, 0
        elif counting and word != "and":
            found.add(float(total + part))
            total = part = 0
            counting = False
    return frozenset(found)


def names_in(text: str) -> list[str]:
    """Capitalised words that do not open a sentence, weekdays and months apart."""
    found = []
    for word in _CAPITALISED.finditer(text):
        opens = not word.start() or re.search(r"[.!?…:\"“(]\s*$", text[: word.start()])
        plain = word[0].casefold().removesuffix("'s").removesuffix("’s")
        if word[0][0].isupper() and not opens and normalise(plain) not in _NO_NAMES:
            found.append(word[0])
    return found


class Said:
    """A transcript, indexed once; every question is a look-up."""

    def __init__(self, transcript: Transcript) -> None:
        segments = [normalise(s.text).split() for s in transcript.speech]
        self.words = frozenset(_bare(w) for words in segments for w in words)
        self.numbers = numbers(transcript.text)
        self.count = sum(len(words) for words in segments)
        self._windows = [frozenset(stem(w) for w in window) for window in _neighbourhoods(segments)]
        self._counted = Counter(stem(w) for words in segments for w in words)
        held = Counter(found for window in self._windows for found in window)
        self._weight = {found: math.log1p(len(self._windows) / n) for found, n in held.items()}
        self._unheard = math.log1p(max(1, len(self._windows)))

    def has_name(self, name: str) -> bool:
        """Tell whether every word of a name was said, give or take a plural or a possessive."""
        words = [_bare(w) for w in normalise(name).split() if w not in STOP_WORDS]
        return all(w in self.words or w.removesuffix("s") in self.words or f"{w}s" in self.words for w in words)

    def support(self, sentence: str) -> float:
        """Weighted share (0 to 1) of a sentence's content that was said in one neighbourhood."""
        wanted = {stem(w) for w in normalise(sentence).split() if _carries(w)}
        if not wanted:
            return 1.0
        total = sum(self._weight.get(w, self._unheard) for w in wanted)
        return max((sum(self._weight[w] for w in wanted & window) for window in self._windows), default=0.0) / total

    def coverage(self, text: str, heaviest: int = 80) -> float:
        """Share of the most frequent content words that a text takes up."""
        content = [(w, n) for w, n in self._counted.most_common() if _carries(w)][:heaviest]
        taken = {stem(w) for w in normalise(text).split()}
        return sum(n for w, n in content if w in taken) / max(1, sum(n for _, n in content))


def _carries(word: str) -> bool:
    return (len(word) > 2 or _is_ideograph(word)) and word not in STOP_WORDS


def _is_ideograph(word: str) -> bool:
    return ord(word[0]) > 0x2E80


def _bare(word: str) -> str:
    return word.removesuffix("'s").removesuffix("'")


def _neighbourhoods(segments: list[list[str]]) -> Iterable[list[str]]:
    """Each segment with its neighbours, wider where segments are very short."""
    for middle in range(len(segments)):
        reach = 1
        while True:
            window = [w for words in segments[max(0, middle - reach) : middle + reach + 1] for w in words]
            if len(window) >= _NEIGHBOURHOOD_WORDS or reach >= len(segments):
                break
            reach += 1
        yield window
