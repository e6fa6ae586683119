"""Where words that a model quotes were said: the same words in the transcript, with segment and times.

A model never writes a time. What it quotes is looked for word by word, first exactly, then with what it misspelt; what
is handed out is always the transcript's own text, so a quote stands verbatim by construction. Whether a quote is about
its claim is not asked here. The surprise: evidence lies in one segment, so of a quote that crosses segments only the
part in the one that holds most of it comes back.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from rapidfuzz import fuzz

from diary_pipeline.core.transcript import Segment, Transcript
from diary_pipeline.notes.language.sentences import Passage, Piece

CUT_OFF = 80.0
"""On QMSum 93 % of quotes with one wrong word were found at 80, and 4 % of invented ones; at 85, 80 % and 2 %."""
_SHORTEST_FUZZY = 12
"""Characters; "I ran" is four fifths of "I can"."""
_NEAR_SEGMENTS = 2
_NEAR_BONUS = 5.0
"""A model names the wrong line more often than a worse place is the right one."""

# Written without blanks, so each character is looked up by itself: Thai, Lao, Burmese, Khmer, kana, Han.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_QUOTES = "'‘’`´"
_PART = rf"[^\s{_UNSPACED}{_QUOTES}\-‐‑–—/.,;:!?…\"“”„«»()\[\]{{}}<>|*_]+"
_TOKEN = re.compile(rf"[{_UNSPACED}]|{_PART}(?:[{_QUOTES}]{_PART})*")
_IS_UNSPACED = re.compile(rf"[{_UNSPACED}]")


@dataclass(frozen=True)
class Snapped:
    """Words of one segment, verbatim, beginning at character `start` of its text; `score` 100 is exact."""

    segment_id: int
    start_s: float
    end_s: float
    quote: str
    score: float
    start: int

    @property
    def end(self) -> int:
        """Character of the segment's text behind the quote."""
        return self.start + len(self.quote)


@dataclass(frozen=True)
class _Run:
    """Words `first` to `last` of a text, the last one excluded."""

    first: int
    last: int
    score: float


class Snapper:
    """A transcript indexed once; every quote is a search of its words."""

    def __init__(self, transcript: Transcript) -> None:
        self._speech: Sequence[Segment] = transcript.speech
        self._segment_of: list[int] = []
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._first_word: list[int] = []
        """Number of the first word of each segment."""
        words: list[str] = []
        for number, segment in enumerate(self._speech):
            self._first_word.append(len(words))
            for word, start, end in _words(segment.text):
                words.append(word)
                self._segment_of.append(number)
                self._starts.append(start)
                self._ends.append(end)
        self._first_word.append(len(words))
        self._text, self._at = _joined(words)
        self._number = {segment.id: number for number, segment in enumerate(self._speech)}

    def snap(self, quote: str, *, near: int | None = None) -> Snapped | None:
        """Find a quote, of equal places the one nearest to segment `near`; None when it was not said."""
        wanted, _ = _joined([word for word, _, _ in _words(quote)])
        if not wanted:
            return None
        run = self._exact(wanted, near) or self._fuzzy(wanted, near)
        return self._stamped(run) if run else None

    def find(self, words: str) -> list[Snapped]:
        """Give every place where these words were said exactly, in order of time; possessives count."""
        wanted, _ = _joined([word for word, _, _ in _words(words)])
        return [self._stamped(run) for run in self._runs(wanted)] if wanted else []

    def _exact(self, wanted: str, near: int | None) -> _Run | None:
        return min(self._runs(wanted), key=lambda run: (self._far(run, near), run.first), default=None)

    def _runs(self, wanted: str) -> Iterator[_Run]:
        """Places where the words stand one behind the other, whole words only."""
        at = self._text.find(wanted)
        while at >= 0:
            first, last = bisect_left(self._at, at), bisect_left(self._at, at + len(wanted))
            behind = self._at[last] if last < len(self._at) else len(self._text)
            if first < len(self._at) and self._at[first] == at and behind - (at + len(wanted)) in (0, 1):
                yield _Run(first, last, 100.0)
            at = self._text.find(wanted, at + 1)

    def _fuzzy(self, wanted: str, near: int | None) -> _Run | None:
        if len(wanted) < _SHORTEST_FUZZY:
            return None
        anywhere = self._aligned(wanted, 0, len(self._at))
        number = self._number.get(near) if near is not None else None
        if anywhere is None or number is None:
            return anywhere
        first = self._first_word[max(0, number - _NEAR_SEGMENTS)]
        last = self._first_word[min(len(self._speech), number + _NEAR_SEGMENTS + 1)]
        nearby = self._aligned(wanted, first, last)
        return nearby if nearby and nearby.score + _NEAR_BONUS >= anywhere.score else anywhere

    def _aligned(self, wanted: str, first: int, last: int) -> _Run | None:
        """The words among `first` to `last` that resemble a quote most, if enough."""
        if first >= last:
            return None
        start = self._at[first]
        text = self._text[start : self._at[last] if last < len(self._at) else len(self._text)]
        if len(text) < len(wanted):
            # rapidfuzz looks for the shorter in the longer: it would find all of a short diary in a long invention.
            score = fuzz.ratio(wanted, text, score_cutoff=CUT_OFF)
            return _Run(first, last, score) if score else None
        found = fuzz.partial_ratio_alignment(wanted, text, score_cutoff=CUT_OFF)
        if found is None:
            return None
        begin = self._word_at(start + found.dest_start)
        stop = self._word_at(start + found.dest_end)
        return _Run(begin, stop, found.score) if begin < stop else None

    def _word_at(self, at: int) -> int:
        """The word whose beginning is nearest to a character: half of a word or more is taken whole."""
        before = max(0, bisect_right(self._at, at) - 1)
        begins = self._at[before]
        behind = self._at[before + 1] if before + 1 < len(self._at) else len(self._text)
        return before if at - begins < behind - at else before + 1

    def _far(self, run: _Run, near: int | None) -> int:
        return abs(self._speech[self._segment_of[run.first]].id - near) if near is not None else 0

    def _stamped(self, run: _Run) -> Snapped:
        parts = [list(words) for _, words in groupby(range(run.first, run.last), key=self._segment_of.__getitem__)]
        held = max(parts, key=lambda words: self._ends[words[-1]] - self._starts[words[0]])
        segment = self._speech[self._segment_of[held[0]]]
        start, end = self._starts[held[0]], self._ends[held[-1]]
        start_s, end_s = _times(segment, start, end)
        return Snapped(segment.id, start_s, end_s, segment.text[start:end], run.score, start)


def snap(quote: str, transcript: Transcript, *, near: int | None = None) -> Snapped | None:
    """Find one quote; for several of the same transcript keep a `Snapper`."""
    return Snapper(transcript).snap(quote, near=near)


def _words(text: str) -> Iterator[tuple[str, int, int]]:
    """Each word in its plainest form, with the characters of the text that it stands for."""
    for token in _TOKEN.finditer(text):
        if word := _plain(token[0]):
            end = token.end()
            # A vowel sign belongs to the character before it; cutting between them changes the word.
            while end < len(text) and unicodedata.category(text[end]).startswith("M"):
                end += 1
            yield word, token.start(), end


@lru_cache(maxsize=16_384)
def _plain(token: str) -> str:
    """Lower case without accents, apostrophes and the `'s` of an owner."""
    spelt = token if token.isascii() else unicodedata.normalize("NFKD", token)
    flat = "".join(c for c in spelt.casefold() if not unicodedata.combining(c) and not c.isspace())
    bare = re.sub(rf"[{_QUOTES}]", "", re.sub(rf"[{_QUOTES}]s$", "", flat))
    return bare if any(c.isalnum() for c in bare) else ""


def _joined(words: Sequence[str]) -> tuple[str, list[int]]:
    """The words as one text, blanks between those that are written with blanks, and where each begins."""
    text: list[str] = []
    at: list[int] = []
    length = 0
    unspaced = True
    for word in words:
        was, unspaced = unspaced, bool(_IS_UNSPACED.match(word))
        if text and not (was and unspaced):
            text.append(" ")
            length += 1
        at.append(length)
        text.append(word)
        length += len(word)
    return "".join(text), at


def _times(segment: Segment, start: int, end: int) -> tuple[float, float]:
    """Seconds of characters: of the words they are, else in proportion to the segment's text."""
    if segment.words:
        said = Passage((Piece(segment, start, end),)).evidence()
        return said.start_s, said.end_s
    length = (segment.end_s - segment.start_s) / len(segment.text)
    start_s, end_s = segment.start_s + start * length, min(segment.start_s + end * length, segment.end_s)
    return (start_s, end_s) if start_s < end_s else (segment.start_s, segment.end_s)
