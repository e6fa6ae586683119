"""Where the words of a text lie in a window, from whatever times are known.

Pure. For engines that give times of words, of sentences, or none at all; Whisper's own aligning is decoding.py's
business.

What surprises: the text is what was said, and the timed words are only looked up in it. Servers give words without
their punctuation, or in pieces (" play", "ground", "."), and a transcript made of those would not read as the text.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from diary_pipeline.transcription.heard import PlacedWord
from diary_pipeline.transcription.span import Span
from diary_pipeline.transcription.speech.windows import Window


@dataclass(frozen=True)
class Timed:
    """A piece of text with samples of the window's clock; a word begins with its space, as Whisper writes it."""

    text: str
    start: int
    end: int
    probability: float | None = None
    """None: nobody said."""


def laid(text: str, start: int, end: int, *, spaced: bool = True, probability: float | None = None) -> list[Timed]:
    """Give each word its share of a stretch by its letters: a guess, for text that came without times."""
    words = [" " + word for word in text.split()] if spaced else re.findall(r"\s*\S", text)
    letters = sum(len(word.strip()) for word in words)
    found: list[Timed] = []
    spoken = 0
    for word in words:
        said = spoken + len(word.strip())
        times = (start + (end - start) * spoken // letters, start + (end - start) * said // letters)
        found.append(Timed(word, *times, probability))
        spoken = said
    return found


def aligned(text: str, parts: Iterable[Timed], *, spaced: bool = True) -> list[Timed] | None:
    """Cut a text at its timed parts; None when they do not spell it, letter for letter but for case and punctuation.

    Parts that meet inside a word are one word, where words are `spaced`.
    """
    found: list[tuple[int, int, Timed]] = []
    at = 0
    for part in parts:
        letters = [c.lower() for c in part.text if c.isalnum()]
        positions = list(itertools.islice((i for i in range(at, len(text)) if text[i].isalnum()), len(letters)))
        if [text[i].lower() for i in positions] != letters:
            return None
        if positions:
            at = positions[-1] + 1
            found.append((positions[0], at, part))
    if any(c.isalnum() for c in text[at:]):
        return None
    return _cut(text, found, spaced)


def placed(window: Window, timed: Iterable[Timed]) -> tuple[PlacedWord, ...]:
    """Put timed words onto the recording's clock; each lies in one span, and none overlaps the one before it."""
    words: list[PlacedWord] = []
    before = 0
    for word in timed:
        at = window.place(word.start, word.end)
        start = max(at.start, before)
        before = max(start, at.end)
        words.append(PlacedWord(word.text, Span(start, before), word.probability))
    return tuple(words)


def _cut(text: str, found: Sequence[tuple[int, int, Timed]], spaced: bool) -> list[Timed]:
    words: list[Timed] = []
    begin = 0
    joined: list[Timed] = []
    for number, (_, last, part) in enumerate(found):
        joined.append(part)
        until = found[number + 1][0] if number + 1 < len(found) else len(text)
        gap = text[last:until]
        space = gap.find(" ") if number + 1 < len(found) else len(gap)
        if space < 0 and spaced:
            continue
        end = last + (space if space >= 0 else len(gap))
        said = text[begin:end]
        words.append(Timed(said if begin or not spaced else " " + said.lstrip(), *_times(joined), _probability(joined)))
        begin, joined = end, []
    return words


def _times(parts: Sequence[Timed]) -> tuple[int, int]:
    return parts[0].start, parts[-1].end


def _probability(parts: Sequence[Timed]) -> float | None:
    known = [part.probability for part in parts if part.probability is not None]
    return sum(known) / len(known) if len(known) == len(parts) else None
