"""Heard -> meant: words that a model keeps getting wrong, put right as their owner spelled it. Pure.

Whole words only and letter for letter, capitals too; nothing is guessed, or a rule for one word would change others. A
word is what stands between blanks, without the marks around it: a rule for `don` leaves `don't` and `don-key` alone,
and in `(confu i),` the brackets and the comma stay. Where no blank shows the end of a word (Japanese), the letters are
enough. Longer rules go first, what was put in is not looked at again, and no rule reaches over the end of a segment.

What surprises: nobody knows when a word was spoken that was not heard. The words that a rule replaces become one word
with the time from the first to the last of them and their lowest probability, even if several are meant.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from diary_pipeline.core.languages import UNSPACED
from diary_pipeline.core.transcript import Segment, Word


@dataclass(frozen=True)
class _Swap:
    start: int
    end: int
    meant: str


def replaced(segments: Iterable[Segment], pairs: Sequence[tuple[str, str]]) -> tuple[Segment, ...]:
    """Put what is meant in place of what was heard; `raw_text` keeps what was heard where that changes the text."""
    rules = [rule for rule in sorted(pairs, key=lambda pair: (-len(pair[0]), pair)) if rule[0].split()]
    return tuple(_put_right(segment, rules) for segment in segments)


def _put_right(segment: Segment, rules: Sequence[tuple[str, str]]) -> Segment:
    swaps = _swaps(segment, rules)
    text = _swapped(segment.text, 0, len(segment.text), swaps)
    if text == segment.text:
        return segment
    raw = segment.text if segment.raw_text is None else segment.raw_text
    return replace(segment, text=text, raw_text=raw, words=tuple(_words(segment, swaps)))


def _swaps(segment: Segment, rules: Sequence[tuple[str, str]]) -> list[_Swap]:
    text, found = segment.text, list[_Swap]()
    for heard, meant in rules:
        parts = heard.split()
        if parts[0] not in text:
            continue
        spelled = r"\s+".join(map(re.escape, parts))
        # Looking ahead finds overlapping places too: one that is no whole word must not hide one that is.
        for place in re.finditer(f"(?=({spelled}))", text):
            start, end = place.span(1)
            free = all(end <= other.start or other.end <= start for other in found)
            if free and (segment.language in UNSPACED or _is_whole(text, start, end)):
                found.append(_Swap(start, end, meant))
    return sorted(found, key=lambda swap: swap.start)


def _is_whole(text: str, start: int, end: int) -> bool:
    around = "".join([*re.findall(r"\S*$", text[:start]), *re.findall(r"^\S*", text[end:])])
    # By category, because the vowel signs of many scripts are no \w and still part of their word.
    return all(unicodedata.category(c)[0] in "PS" for c in around)


def _swapped(text: str, start: int, end: int, swaps: Iterable[_Swap]) -> str:
    """Return `text[start:end]` with the swaps made that lie in it."""
    parts, at = [], start
    for swap in swaps:
        if start <= swap.start and swap.end <= end:
            parts += [text[at : swap.start], swap.meant]
            at = swap.end
    return "".join([*parts, text[at:end]])


def _words(segment: Segment, swaps: Sequence[_Swap]) -> Iterator[Word]:
    places = _places(segment)
    if places is None:  # an engine whose words are not those of its text
        yield from segment.words
        return
    group: list[tuple[int, int, Word]] = []
    for place in [*places, None]:
        if group and (place is None or not any(s.start < group[-1][1] and place[0] < s.end for s in swaps)):
            yield _merged(segment.text, group, swaps)
            group = []
        if place is not None:
            group.append(place)


def _merged(text: str, group: Sequence[tuple[int, int, Word]], swaps: Iterable[_Swap]) -> Word:
    said = _swapped(text, group[0][0], group[-1][1], swaps)
    sure = [word.probability for *_, word in group if word.probability is not None]
    return Word(said, group[0][2].start_s, group[-1][2].end_s, min(sure, default=None))


def _places(segment: Segment) -> list[tuple[int, int, Word]] | None:
    """Return the characters of the text that each word is; None when text and words do not agree."""
    places, at = [], 0
    for word in segment.words:
        at = len(segment.text) - len(segment.text[at:].lstrip())
        if not segment.text.startswith(word.text, at):
            return None
        places.append((at, at + len(word.text), word))
        at += len(word.text)
    return places
