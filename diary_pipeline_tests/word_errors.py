"""Word error rates: what was said against what was written, with spelling that nobody can hear folded away.

Case, punctuation, and numbers as words or digits are equal. Homophones stay errors.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import jiwer

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_NUMBERS: Mapping[str, int] = {word: n for n, word in enumerate(_ONES)} | {
    word: 10 * n for n, word in enumerate(_TENS, 2)
}
_ORDINALS: Mapping[str, int] = {
    "first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12,
    **{f"{word}th": n for word, n in _NUMBERS.items() if n not in (1, 2, 3, 5, 8, 9, 12)},
    **{f"{word[:-1]}ieth": n for word, n in _NUMBERS.items() if n >= 20},
}  # fmt: skip
_SCALES: Mapping[str, int] = {"hundred": 100, "thousand": 1000}
_CURRENCIES: Mapping[str, str] = {"$": "dollars", "£": "pounds", "€": "euros"}
_WORDS: Mapping[str, str] = {"cannot": "can not", "cant": "can not", "ok": "okay", "alright": "all right", "pm": "p m"}


@dataclass(frozen=True)
class Wer:
    """Errors and words of some recordings; rates add up by words, not by recordings."""

    errors: int
    words: int

    @property
    def rate(self) -> float:
        """Errors by words said."""
        return self.errors / max(1, self.words)

    def __add__(self, other: "Wer") -> "Wer":
        return Wer(self.errors + other.errors, self.words + other.words)


def word_errors(said: str, written: str) -> Wer:
    """Count substitutions, deletions and insertions."""
    reference, hypothesis = folded(said), folded(written)
    if not reference:
        return Wer(len(hypothesis.split()), 0)
    found = jiwer.process_words(reference, hypothesis or " ")
    return Wer(found.substitutions + found.deletions + found.insertions, len(reference.split()))


def folded(text: str) -> str:
    """Reduce a text to the words that can be heard."""
    low = re.sub(r"([$£€])\s*([\d,.]*\d)", lambda m: f"{m[2]} {_CURRENCIES[m[1]]}", text.lower())
    low = re.sub(r"(?<=\d),(?=\d{3}\b)", "", low).replace("%", " percent ").replace("’", "'")
    low = re.sub(r"(\d)(st|nd|rd|th)\b", r"\1", low)
    words = re.sub(r"[^\w\s]+", " ", low.replace("'", "")).split()
    return " ".join(_numbers(" ".join(_WORDS.get(w, w) for w in words).split()))


def _numbers(words: list[str]) -> list[str]:
    # "three hundred and forty two" -> 342; "half past four" -> "half past 4".
    out: list[str] = []
    total = last = 0
    open_number = False
    for i, word in enumerate(words):
        value = _NUMBERS.get(word, _ORDINALS.get(word))
        following = words[i + 1] if i + 1 < len(words) else ""
        joins = open_number and ((last in (100, 1000) and value is not None) or (last >= 20 and value and value < 10))
        if value is not None:
            if open_number and not joins:
                out.append(str(total))
                total = 0
            total, last, open_number = total + value, value, True
        elif word in _SCALES and (open_number or following in _NUMBERS or word == "hundred"):
            total, last, open_number = max(1, total) * _SCALES[word], _SCALES[word], True
        elif not (word == "and" and open_number and last in (100, 1000) and following in _NUMBERS):
            if open_number:
                out.append(str(total))
            total, last, open_number = 0, 0, False
            out.append(word)
    return [*out, str(total)] if open_number else out
