"""The transcript as sentences that still know where they were said.

A `Passage` is an unbroken run of spoken words; cutting it gives a smaller passage, never other words. What a passage
means is cues.py's business. The surprise: a sentence may cross segments, because Whisper cuts by time. Evidence may
not, so a passage that crosses hands out its longest part. Nothing crosses a stretch that was not understood: the word
that turned the meaning may have been in it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from diary_pipeline.core.transcript import Segment, Transcript

# Longer silences end a sentence even where the model wrote no full stop.
PAUSE_S = 2.0
# No sentence is longer; what no full stop has closed by then (small models drop them for minutes) never was one.
LONGEST_WORDS = 60
# What no full stop closed is taken apart into its segments beyond this.
RUN_ON_WORDS = 25

_ABBREVIATIONS = ("mr", "mrs", "ms", "dr", "st", "prof", "jr", "sr", "vs", "approx", "e.g", "i.e")
_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s|$)|[。！？]+")
_DANGLING = re.compile(r"(?:[\s,]+(?:and|then|so|but|or|because|um|uh))+[\s,.]*$", re.IGNORECASE)
_FILLER = re.compile(
    r"(?:(?:okay|ok|so|um+|uh+|uhm|er+m?|hm+|mm+|yeah|and|but)\b[\s,.…-]*"
    # These open many an honest sentence ("right now", "like my mother"): filler only before a comma or full stop.
    r"|(?:well|alright|right|anyway|yes|oh|like|you know|i mean|let's see|dear diary|hello|hi|hey)\b\s*[,.…-]+\s*)+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Piece:
    """Characters `start` to `end` of one segment's text."""

    segment: Segment
    start: int
    end: int

    @property
    def text(self) -> str:
        """The words themselves."""
        return self.segment.text[self.start : self.end]


@dataclass(frozen=True)
class Evidence:
    """Where to listen: `quote` stands word for word in the segment, between the two times."""

    segment_id: int
    start_s: float
    end_s: float
    quote: str


@dataclass(frozen=True)
class Passage:
    """Words in the order in which they were said; its text is its pieces joined by spaces."""

    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """The speaker's own words."""
        return " ".join(p.text for p in self.pieces)

    @property
    def english(self) -> bool:
        """Tell whether cue rules, which are English, may read it."""
        return all(p.segment.language in (None, "en") for p in self.pieces)

    @property
    def start_s(self) -> float:
        """Seconds at which its first segment starts."""
        return self.pieces[0].segment.start_s

    def cut(self, start: int, end: int) -> "Passage":
        """Keep characters `start` to `end` of its text, without blanks at the ends."""
        kept, at = [], 0
        for piece in self.pieces:
            length = piece.end - piece.start
            first, last = max(start - at, 0), min(end - at, length)
            if first < last and piece.text[first:last].strip():
                kept.append(_trimmed(Piece(piece.segment, piece.start + first, piece.start + last)))
            at += length + 1
        return Passage(tuple(kept))

    def evidence(self, at: int | None = None) -> Evidence:
        """Point at its part in one segment: the one that holds character `at`, else the longest."""
        piece = max(self.pieces, key=lambda p: p.end - p.start) if at is None else self._piece(at)
        start_s, end_s = _times(piece)
        return Evidence(piece.segment.id, start_s, end_s, piece.text)

    def _piece(self, at: int) -> Piece:
        for piece in self.pieces:
            if at < piece.end - piece.start:
                return piece
            at -= piece.end - piece.start + 1
        return self.pieces[-1]


def sentences(transcript: Transcript) -> list[Passage]:
    """Split what was said into sentences, without the fillers that open them."""
    found: list[Passage] = []
    opened: list[Piece] = []
    lost = [s.start_s for s in transcript.segments if s.kind == "inaudible"]
    for segment in transcript.speech:
        interrupted = opened and any(opened[-1].segment.start_s < at < segment.start_s for at in lost)
        if opened and (interrupted or not _continues(opened, segment)):
            found += _unclosed(opened)
            opened = []
        for piece, closed in _parts(segment):
            opened.append(piece)
            if closed:
                found.append(Passage(tuple(opened)))
                opened = []
    found += _unclosed(opened)
    return [said for said in map(without_filler, found) if said.pieces] or found


def without_filler(passage: Passage) -> Passage:
    """Drop "okay so, um" from the front; what is only filler loses nothing else and comes back empty."""
    text = passage.text
    opening = _FILLER.match(text)
    return passage.cut(opening.end(), len(text)) if opening else passage


def _parts(segment: Segment) -> Iterator[tuple[Piece, bool]]:
    """Pieces of one segment, and whether a full stop closed each."""
    text, start = segment.text, 0
    for stop in _END.finditer(text):
        if _closes(text, stop.end()) and text[start : stop.end()].strip():
            yield _trimmed(Piece(segment, start, stop.end())), True
            start = stop.end()
    if text[start:].strip():
        yield _trimmed(Piece(segment, start, len(text))), False


def _closes(text: str, end: int) -> bool:
    """Tell a sentence's end from "Mrs. Weber", "J. Smith" and "at 6 p.m. we left"."""
    last = text[:end].rsplit(maxsplit=1)[-1]
    abbreviated = last[:-1].casefold() in _ABBREVIATIONS or re.fullmatch(r"[A-HJ-Z]\.", last)
    return not abbreviated and not text[end:].lstrip()[:1].islower()


def _continues(opened: Sequence[Piece], following: Segment) -> bool:
    last = opened[-1].segment
    if following.start_s - last.end_s > PAUSE_S or following.language != last.language:
        return False
    first = following.text.split(maxsplit=1)[0]
    # Whisper writes a capital where a sentence begins; in German nouns have one too.
    begins = first[0].isupper() and first.split("'")[0].split("’")[0] != "I" and following.language != "de"
    return not begins and _words(opened) < LONGEST_WORDS


def _unclosed(opened: Sequence[Piece]) -> list[Passage]:
    if _words(opened) > RUN_ON_WORDS:
        return [_undangled(Passage((piece,))) for piece in opened]
    return [_undangled(Passage(tuple(opened)))] if opened else []


def _undangled(passage: Passage) -> Passage:
    ending = _DANGLING.search(passage.text)
    return passage.cut(0, ending.start()) if ending and ending.start() else passage


def _words(pieces: Sequence[Piece]) -> int:
    return sum(len(p.text.split()) for p in pieces)


def _trimmed(piece: Piece) -> Piece:
    text = piece.text
    before, after = len(text) - len(text.lstrip()), len(text) - len(text.rstrip())
    return Piece(piece.segment, piece.start + before, piece.end - after)


def _times(piece: Piece) -> tuple[float, float]:
    """Seconds of a piece: from the words it holds, else of its whole segment."""
    segment, at = piece.segment, 0
    inside = []
    for word in segment.words:
        spoken = word.text.strip()
        found = segment.text.find(spoken, at) if spoken else -1
        if found < 0:
            continue
        at = found + len(spoken)
        if at > piece.start and found < piece.end:
            inside.append(word)
    if inside:
        start_s, end_s = max(inside[0].start_s, segment.start_s), min(inside[-1].end_s, segment.end_s)
        if start_s < end_s:
            return start_s, end_s
    return segment.start_s, segment.end_s
