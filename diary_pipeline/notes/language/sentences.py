"""The transcript as sentences that still know where they were said.

A `Passage` is an unbroken run of spoken words; cutting it gives a smaller passage, never other words. What a passage
means is cues.py's business. The surprise: a sentence may cross segments, because Whisper cuts by time. Evidence may
not, so a passage that crosses hands out its longest part. Nothing crosses a stretch that was not understood: the word
that turned the meaning may have been in it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from diary_pipeline.core.transcript import Segment, Transcript, Word
from diary_pipeline.notes.language.english import listed

# Longer silences end a sentence even where the model wrote no full stop.
PAUSE_S = 2.0
# No sentence is longer; what no full stop has closed by then (small models drop them for minutes) never was one.
LONGEST_WORDS = 60
# What no full stop closed is taken apart into its segments beyond this.
RUN_ON_WORDS = 25
# A sentence that a full stop did close is left whole up to this.
_LONG_WORDS = 40
_SHORTEST_PART_WORDS = 4
# Between two words: a breath is 0.2 to 0.4 s.
_HALT_S, _LONG_HALT_S = 0.6, 1.2
_CLAUSE_BEGINS = re.compile(
    r"\s(?=(?:(?:and|so)\s+(?:then\s+|now\s+|also\s+|anyway\s+|today\s+)?|then\s+|anyway\s+)(?:i|we|he|she|they|there)\b)",
    re.IGNORECASE,
)
# What was said, wished or only supposed may reach over the border: then there is none.
_REACH_WORDS = 22
_REACHES_ON = re.compile(
    r"\b(?:if|unless|whether|said|says|saying|told|tells|asked|thinks?|thought|hopes?|hoped|wish\w*|would|promised|dream\w*|imagin\w*)\b",
    re.IGNORECASE,
)

# Something always follows these; the others may end a sentence, and do before a word that opens one.
_ABBREVIATIONS = frozenset(listed("mr mrs ms dr prof rev sgt lt capt col mt vs approx e.g i.e z.b d.h u.a bzw"))
_PERHAPS_AN_END = re.compile(r"(?:st|jr|sr|etc|[a-hj-z]|(?!a\.m|p\.m)(?:[a-z]{1,2}\.)+[a-z])\.", re.IGNORECASE)
_OPENER = re.compile(
    r"\s*(?:I|It|He|She|We|They|You|The|This|That|There|Then|But|And|So|My|Our|His|Her|Their|After|When|Today|Yesterday|"
    r"Tomorrow|What|No|Yes)\b"
)
_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s|$)|[。！？]+")
_DANGLING = re.compile(r"(?:[\s,]+(?:and|then|so|but|or|because|um|uh))+[\s,.]*$", re.IGNORECASE)
_FILLER = re.compile(
    r"(?:(?:right,?\s+so|right\s+then|okay|ok|so|um+|uh+|uhm|er+m?|hm+|mm+|yeah|and|but)\b[\s,.…-]*"
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
    found = [part for said in found for part in _apart(said)]
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
        if _closes(segment, stop.end()) and text[start : stop.end()].strip():
            yield _trimmed(Piece(segment, start, stop.end())), True
            start = stop.end()
    if text[start:].strip():
        yield _trimmed(Piece(segment, start, len(text))), False


def _closes(segment: Segment, end: int) -> bool:
    """Tell a sentence's end from "Mrs. Weber", "J. Smith", "No. 5" and "at 6 p.m. we left"."""
    last, following = segment.text[:end].rsplit(maxsplit=1)[-1], segment.text[end:].lstrip()
    if last[:-1].casefold() in _ABBREVIATIONS or following[:1].islower():
        return False
    if re.fullmatch(r"no\.", last, re.IGNORECASE):
        return not following[:1].isdigit()
    if re.fullmatch(r"\d{1,2}\.", last) and segment.language == "de":
        return not following  # "am 3. März"
    return not _PERHAPS_AN_END.fullmatch(last) or not following or bool(_OPENER.match(following))


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


def _apart(passage: Passage) -> list[Passage]:
    """Cut what runs on without full stops where the speaker halted, or where a clause of its own begins."""
    text = passage.text
    closed = bool(_END.search(text))
    if len(text.split()) <= (_LONG_WORDS if closed else RUN_ON_WORDS):
        return [passage]
    halts = dict(_halts(passage))
    begins = {m.end() for m in _CLAUSE_BEGINS.finditer(text)} if passage.english else set()
    starts = [0]
    for at in sorted(begins.union(halts)):
        part = text[starts[-1] : at]
        far_enough = min(len(part.split()), len(text[at:].split())) >= _SHORTEST_PART_WORDS
        if far_enough and (halts.get(at, 0.0) >= _LONG_HALT_S or not _REACHES_ON.search(_last_words(part))):
            starts.append(at)
    parts = [passage.cut(start, end) for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    return [_undangled(part) for part in parts]


def _last_words(text: str) -> str:
    return " ".join(text.split()[-_REACH_WORDS:])


def _halts(passage: Passage) -> Iterator[tuple[int, float]]:
    """Characters at which a word begins after a silence, and how long that was."""
    at = 0
    for piece in passage.pieces:
        spoken = [(w, start) for w, start, end in _placed(piece.segment) if end > piece.start and start < piece.end]
        for (before, _), (word, start) in pairwise(spoken):
            if word.start_s - before.end_s >= _HALT_S and start > piece.start:
                yield at + start - piece.start, word.start_s - before.end_s
        at += piece.end - piece.start + 1


def _undangled(passage: Passage) -> Passage:
    ending = _DANGLING.search(passage.text)
    return passage.cut(0, ending.start()) if ending and ending.start() else passage


def _words(pieces: Sequence[Piece]) -> int:
    return sum(len(p.text.split()) for p in pieces)


def _trimmed(piece: Piece) -> Piece:
    text = piece.text
    before, after = len(text) - len(text.lstrip()), len(text) - len(text.rstrip())
    return Piece(piece.segment, piece.start + before, piece.end - after)


def _placed(segment: Segment) -> Iterator[tuple[Word, int, int]]:
    """The words of a segment that stand in its text, with their characters."""
    at = 0
    for word in segment.words:
        spoken = word.text.strip()
        found = segment.text.find(spoken, at) if spoken else -1
        if found >= 0:
            at = found + len(spoken)
            yield word, found, at


def _times(piece: Piece) -> tuple[float, float]:
    """Seconds of a piece: from the words it holds, else of its whole segment."""
    segment = piece.segment
    inside = [word for word, start, end in _placed(segment) if end > piece.start and start < piece.end]
    if inside:
        start_s, end_s = max(inside[0].start_s, segment.start_s), min(inside[-1].end_s, segment.end_s)
        if start_s < end_s:
            return start_s, end_s
    return segment.start_s, segment.end_s
