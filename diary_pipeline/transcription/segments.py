"""From placed words to segments that account for every sample of a recording.

Pure integers until the very end: pieces partition [0, samples) by construction, seconds are made from their borders.
Judging what the words are worth is plausibility.py's business.

What surprises: without timestamp tokens a model's own segment is a whole window, in which 30 s of speech may span
minutes. So segments are cut here, at sentence ends and pauses, and never reach over a silence or out of their window.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from diary_pipeline.core.languages import UNSPACED
from diary_pipeline.core.transcript import Segment, SegmentKind, Word
from diary_pipeline.transcription.heard import HeardWindow, PlacedWord
from diary_pipeline.transcription.span import RATE, Span

SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", "؟", "।")
CLOSERS = "\"'”’)]»」』"
NOT_ENDS = frozenset({"mr.", "mrs.", "ms.", "dr.", "st.", "prof.", "e.g.", "i.e.", "vs."})
PAUSE = int(0.8 * RATE)
"""Words further apart are two segments; speakers pause this long between thoughts, not inside them."""
LONGEST = 15 * RATE
"""A segment that runs longer without a sentence end is cut at its widest pause, so that a reader can find the place."""
NOTHING_HEARD = "nothing_heard"
"""Why a stretch is inaudible in which somebody speaks and no word was understood."""
UNHEARD = 3 * RATE
"""Speech activity without a word for this long is inaudible; shorter, it is breath, or a word's edge."""
SLIVER = int(0.3 * RATE)
"""A shorter silence between padded spans is a pause for breath, not worth a line of its own."""
EDGE = int(0.4 * RATE)
"""What a segment keeps of an inaudible neighbour: the padding that speech activity adds."""


@dataclass(frozen=True)
class _Piece:
    at: Span
    kind: SegmentKind
    words: tuple[PlacedWord, ...] = ()
    window: HeardWindow | None = None
    reason: str | None = None


def segments_of(heard: Iterable[HeardWindow], samples: int) -> tuple[Segment, ...]:
    """Cut a recording of so many samples into speech, inaudible and silence, in order and without gaps."""
    pieces: list[_Piece] = []
    at = 0
    # In order of time: a sound without words may lie between two spans of one window.
    for run, window in sorted(((run, w) for w in heard for run in _runs(w.spans)), key=lambda found: found[0].start):
        if run.start > at:
            pieces.append(_Piece(Span(at, run.start), "silence"))
        if window.refused:
            pieces.append(_Piece(run, "inaudible", reason=window.refused))
        else:
            pieces.extend(_pieces(run, window))
        at = run.end
    if samples > at:
        pieces.append(_Piece(Span(at, samples), "silence"))
    return tuple(_segment(number, piece) for number, piece in enumerate(pieces))


def compression_ratio(text: str) -> float:
    """How much smaller zlib makes a text; repetition makes it large. As Whisper computes it."""
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw)) if raw else 0.0


def _runs(spans: Iterable[Span]) -> list[Span]:
    # Spans that touch, or nearly do, are one stretch of sound: their padding met in the middle of a short pause.
    runs: list[Span] = []
    for span in spans:
        if runs and span.start - runs[-1].end < SLIVER:
            runs[-1] = Span(runs[-1].start, span.end)
        elif span.length:
            runs.append(span)
    return runs


def _pieces(run: Span, window: HeardWindow) -> Iterator[_Piece]:
    inside = [w for w in window.words if run.start <= w.at.start and w.at.end <= run.end]
    groups = list(_sentences(inside if window.language in UNSPACED else _whole(inside)))
    at = run.start
    for piece, words in _without_empty(_bounds(run, groups)):
        if piece.start > at:
            yield _Piece(Span(at, piece.start), "inaudible", reason=NOTHING_HEARD)
        yield _Piece(piece, "speech", tuple(words), window)
        at = piece.end
    if at < run.end:
        yield _Piece(Span(at, run.end), "inaudible", reason=NOTHING_HEARD)


def _whole(words: Iterable[PlacedWord]) -> list[PlacedWord]:
    # Whisper cuts "80%", "3.5" and "well-known" where no blank stands; nobody looks for the word ".5".
    joined: list[PlacedWord] = []
    parts = 1
    for word in words:
        last = joined[-1] if joined else None
        if last is None or word.text[:1].isspace() or word.at.start - last.at.end >= PAUSE:
            joined.append(word)
            parts = 1
            continue
        sure = None
        if last.probability is not None and word.probability is not None:
            sure = (last.probability * parts + word.probability) / (parts + 1)
        joined[-1] = PlacedWord(last.text + word.text, Span(last.at.start, word.at.end), sure)
        parts += 1
    return joined


def _bounds(run: Span, groups: Sequence[list[PlacedWord]]) -> Iterator[tuple[Span, list[PlacedWord]]]:
    # Neighbours meet in the middle between their words, unless so much lies between that it was not understood.
    begin = run.start
    for group, following in zip(groups, [*groups[1:], None], strict=False):
        first, last = group[0].at.start, group[-1].at.end
        if first - begin > UNHEARD:
            begin = first - EDGE
        until = run.end if following is None else following[0].at.start
        if until - last > UNHEARD:
            yield Span(begin, last + EDGE), group
            begin = last
        else:
            end = run.end if following is None else (last + until) // 2
            yield Span(begin, end), group
            begin = end


def _without_empty(bounds: Iterable[tuple[Span, list[PlacedWord]]]) -> list[tuple[Span, list[PlacedWord]]]:
    # A model may put several words at one instant; a segment of no samples is none, so its words join a neighbour.
    kept: list[tuple[Span, list[PlacedWord]]] = []
    waiting: list[PlacedWord] = []
    for span, words in bounds:
        if span.length:
            kept.append((span, waiting + words))
            waiting = []
        elif kept:
            kept[-1] = (kept[-1][0], kept[-1][1] + words)
        else:
            waiting += words
    return kept


def _sentences(words: Sequence[PlacedWord]) -> Iterator[list[PlacedWord]]:
    group: list[PlacedWord] = []
    for word, following in zip(words, [*words[1:], None], strict=False):
        group.append(word)
        if following is None or _ends_sentence(word.text) or following.at.start - word.at.end >= PAUSE:
            yield from _short_enough(group)
            group = []


def _short_enough(group: list[PlacedWord]) -> Iterator[list[PlacedWord]]:
    if len(group) < 2 or group[-1].at.end - group[0].at.start <= LONGEST:
        yield group
        return
    # Equal pauses: the one nearest the middle, so that halves are halves.
    middle = len(group) / 2
    cut = max(range(1, len(group)), key=lambda i: (group[i].at.start - group[i - 1].at.end, -abs(i - middle)))
    yield from _short_enough(group[:cut])
    yield from _short_enough(group[cut:])


def _ends_sentence(text: str) -> bool:
    said = text.strip().rstrip(CLOSERS)
    return said.endswith(SENTENCE_ENDS) and said.lower() not in NOT_ENDS


def _segment(number: int, piece: _Piece) -> Segment:
    start_s, end_s = piece.at.start / RATE, piece.at.end / RATE
    if piece.window is None:
        return Segment(number, start_s, end_s, piece.kind, reason=piece.reason)
    return Segment(
        id=number,
        start_s=start_s,
        end_s=end_s,
        kind=piece.kind,
        text="".join(w.text for w in piece.words).strip(),
        language=piece.window.language,
        avg_logprob=piece.window.avg_logprob,
        no_speech_prob=piece.window.no_speech_prob,
        compression_ratio=piece.window.compression_ratio,
        words=tuple(Word(w.text.strip(), w.at.start / RATE, w.at.end / RATE, w.probability) for w in piece.words),
        language_probability=piece.window.language_probability,
        risks=piece.window.risks,
        rung=piece.window.rung,
        model_sha256=piece.window.model_sha256,
    )
