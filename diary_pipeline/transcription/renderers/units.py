"""Units: the words of a segment, each with its time, none of them longer than a line.

Pure. Which units are shown together is cues.py's business.

What surprises: the text of a segment is the truth and its words only say when. Where they spell something else (a
replacement was made) or are missing, times are shared out by width between the nearest words that have one.
"""

import difflib
import itertools
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from diary_pipeline.core.transcript import Segment, Word
from diary_pipeline.transcription.renderers.lines import clean, columns, is_wide

LINE = 42
"""Columns of a line, by Netflix's guide for timed text."""


@dataclass(frozen=True)
class Unit:
    """What stays on one line: mostly a word."""

    text: str
    start_ms: int
    end_ms: int
    spaced: bool
    """A space stands in front of it, where it does not begin a line."""


@dataclass(frozen=True)
class _Token:
    text: str
    spaced: bool
    said_s: tuple[float, float] | None
    """None: nobody knows when."""


def milliseconds(at_s: float) -> int:
    """Round a time to what subtitle files can say."""
    return round(at_s * 1000)


def units_of(segment: Segment) -> list[Unit]:
    """Break a segment of speech into units, in order of time and inside the segment, whatever the engine said."""
    text = clean(segment.text)
    at, end = milliseconds(segment.start_s), milliseconds(segment.end_s)
    tokens = _along(text, segment.words) or _alike(text, segment.words)
    units: list[Unit] = []
    waiting: list[_Token] = []  # for the next word whose time is known
    for token in tokens:
        if token.said_s is None:
            waiting.append(token)
            continue
        begin, until = (min(max(at, milliseconds(said)), end) for said in token.said_s)
        units += [*_shared(waiting, at, begin), Unit(token.text, begin, max(begin, until), token.spaced)]
        waiting.clear()
        at = units[-1].end_ms
    units += _shared(waiting, at, end)
    return [part for unit in units for part in _breakable(unit)]


def _along(text: str, words: Iterable[Word]) -> list[_Token]:
    # The words of a text as they stand in it one after another; empty where they do not make up the whole of it.
    tokens: list[_Token] = []
    at = 0
    for word in words:
        said = clean(word.text)
        # A sentence that follows another begins with a space too, but in Chinese and Japanese.
        spaced = text.startswith(" ", at) if at else not is_wide(text[0])
        at += text.startswith(" ", at)
        if not text.startswith(said, at):
            return []
        at += len(said)
        last = tokens[-1] if tokens else None
        if last and last.said_s and said and not spaced and not _may_part(last.text[-1], said[0]):
            tokens[-1] = _Token(last.text + said, last.spaced, (last.said_s[0], word.end_s))
        elif said:
            tokens.append(_Token(said, spaced, (word.start_s, word.end_s)))
    return tokens if at == len(text) else []


def _alike(text: str, words: Sequence[Word]) -> list[_Token]:
    # The words of a text, with times where the engine spelled them so.
    said = [clean(word.text) for word in words]
    texts = text.split(" ")
    times: dict[int, tuple[float, float]] = {}
    for ours, theirs, size in difflib.SequenceMatcher(None, texts, said, autojunk=False).get_matching_blocks():
        times |= {ours + i: (words[theirs + i].start_s, words[theirs + i].end_s) for i in range(size)}
    return [_Token(one, i > 0 or not is_wide(one[0]), times.get(i)) for i, one in enumerate(texts)]


def _may_part(before: str, after: str) -> bool:
    # A line may end between two words that no space parts in scripts that write without any: never in "thirty-five".
    return unicodedata.category(after) == "Lo" and unicodedata.category(before) not in ("Ps", "Pi", "Pd")


def _shared(tokens: Sequence[_Token], start: int, end: int) -> Iterator[Unit]:
    widths = [max(1, columns(token.text)) for token in tokens]
    reached = itertools.accumulate(widths, initial=0)
    total = sum(widths) or 1
    borders = [start + (end - start) * width // total for width in reached]
    for token, begin, until in zip(tokens, borders, borders[1:], strict=False):
        yield Unit(token.text, begin, until, token.spaced)


def _breakable(unit: Unit) -> Iterable[Unit]:
    # What is longer than a line, an address or a sentence in Chinese, is broken where it must be.
    if columns(unit.text) <= LINE:
        return (unit,)
    parts = [""]
    for cluster in _clusters(unit.text):
        if parts[-1] and columns(parts[-1] + cluster) > LINE:
            parts.append("")
        parts[-1] += cluster
    tokens = [_Token(part, unit.spaced and not i, None) for i, part in enumerate(parts)]
    return _shared(tokens, unit.start_ms, unit.end_ms)


def _clusters(text: str) -> list[str]:
    # Characters with the marks and joiners that belong to them: a family of emoji is not torn apart.
    clusters: list[str] = []
    for c in text:
        mark = unicodedata.category(c) in ("Mn", "Mc", "Me", "Cf") or "\U0001f3fb" <= c <= "\U0001f3ff"
        if clusters and (mark or clusters[-1].endswith("\u200d")) and len(clusters[-1]) < 16:
            clusters[-1] += c
        else:
            clusters.append(c)
    return clusters
