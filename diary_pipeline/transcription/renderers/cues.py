"""Cues: what was said in pieces that fit a screen, in whole milliseconds.

Pure. How a subtitle format writes them is formats.py's business.

What surprises: a cue does not always begin with its first word. A model may put many words at one instant, and then
they share the time there is.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from diary_pipeline.core.transcript import Segment, Transcript
from diary_pipeline.transcription.renderers.lines import INAUDIBLE, clean, columns
from diary_pipeline.transcription.renderers.units import LINE, Unit, milliseconds, units_of

# Netflix's guide for timed text: two lines, shown for five sixths of a second to seven seconds.
LONGEST_MS = 7_000
SHORTEST_MS = 833
"""A shorter cue joins a neighbour or stays longer, wherever there is room."""
PAUSE_S = 1.0
"""A cue does not reach over a longer silence."""
BREATH_MS = 300
"""A pause between words at which a cue may as well end."""
_CLAUSE_ENDS = tuple(".,;:!?…。、，；：！？؟،؛।")


@dataclass(frozen=True)
class Cue:
    """Lines that are shown together; at most two."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


def cues_of(transcript: Transcript) -> Iterator[Cue]:
    """Cut a transcript into cues, in order and not overlapping; an inaudible stretch is one cue, silence is none."""
    stretches = list(_stretches(transcript))
    begins = [*(milliseconds(some[0].start_s) for some in stretches), milliseconds(transcript.duration_s)]
    at = 0
    for segments, begin, until in zip(stretches, begins, begins[1:], strict=False):
        start = max(begin, at)
        if segments[0].kind == "inaudible":
            end = max(milliseconds(segments[-1].end_s), min(until, start + SHORTEST_MS), start + 1)
            cues = [Cue(start, end, (INAUDIBLE,))]
        else:
            chunks = _joined([chunk for segment in segments for chunk in _cut(units_of(segment))])
            cues = list(_timed(chunks, start, until))
        yield from cues
        at = cues[-1].end_ms


def _stretches(transcript: Transcript) -> Iterator[Sequence[Segment]]:
    # Segments that may share a cue: of one kind, and no pause between them.
    stretch: list[Segment] = []
    for segment in transcript.segments:
        if segment.kind == "silence" or (segment.kind == "speech" and not clean(segment.text)):
            continue
        if stretch and (stretch[-1].kind != segment.kind or segment.start_s - stretch[-1].end_s >= PAUSE_S):
            yield stretch
            stretch = []
        stretch.append(segment)
    if stretch:
        yield stretch


def _timed(chunks: Sequence[Sequence[Unit]], start: int, until: int) -> Iterator[Cue]:
    # Each begins with its first word, unless that leaves it or a neighbour less than its share of the time.
    share = max(1, min(SHORTEST_MS, (until - start) // len(chunks)))
    begins = [max(start, chunk[0].start_ms) for chunk in chunks]
    for i in range(1, len(begins)):
        begins[i] = max(begins[i], begins[i - 1] + share)
    borders = [*begins, max(until, start + share * len(chunks))]
    for i in reversed(range(len(begins))):
        borders[i] = min(borders[i], borders[i + 1] - share)
    for chunk, begin, border in zip(chunks, borders, borders[1:], strict=False):
        end = min(max(chunk[-1].end_ms, begin + SHORTEST_MS), begin + LONGEST_MS, border)
        yield Cue(begin, end, _lines(chunk) or (_text(chunk),))


def _cut(units: Sequence[Unit]) -> Iterator[Sequence[Unit]]:
    # In halves until each fits: at the end of a clause or a pause in the middle part, else in the middle.
    if len(units) < 2 or _fits(units):
        yield units
        return
    reached = list(itertools.accumulate(columns(u.text) + u.spaced for u in units))
    middle = reached[-1] / 2

    def worth(i: int) -> tuple[bool, bool, float]:
        before, after = units[i - 1], units[i]
        off = abs(reached[i - 1] - middle)
        pause = after.start_ms - before.end_ms >= BREATH_MS
        central = off <= middle / 2
        return central, central and (pause or before.text.endswith(_CLAUSE_ENDS)), -off

    at = max(range(1, len(units)), key=worth)
    yield from _cut(units[:at])
    yield from _cut(units[at:])


def _joined(chunks: Sequence[Sequence[Unit]]) -> list[Sequence[Unit]]:
    # "Yes." would flash by: it is shown with its neighbour.
    kept: list[Sequence[Unit]] = []
    for chunk in chunks:
        both = [*kept[-1], *chunk] if kept else chunk
        if kept and min(_lasts_ms(kept[-1]), _lasts_ms(chunk)) < SHORTEST_MS and _fits(both):
            kept[-1] = both
        else:
            kept.append(chunk)
    return kept


def _fits(units: Sequence[Unit]) -> bool:
    return _lasts_ms(units) <= LONGEST_MS and _lines(units) is not None


def _lasts_ms(units: Sequence[Unit]) -> int:
    return units[-1].end_ms - units[0].start_ms


def _lines(units: Sequence[Unit]) -> tuple[str, ...] | None:
    # One line, or the two that differ least; None: they do not fit.
    widths = [columns(u.text) + u.spaced for u in units]
    total = sum(widths) - units[0].spaced
    if total <= LINE:
        return (_text(units),)
    if total > 2 * LINE + 1:
        return None
    best: tuple[int, int] | None = None
    first = -int(units[0].spaced)
    for i in range(1, len(units)):
        first += widths[i - 1]
        second = total - first - units[i].spaced
        if first <= LINE and second <= LINE:
            best = min(best or (total, 0), (abs(first - second), i))
    return (_text(units[: best[1]]), _text(units[best[1] :])) if best else None


def _text(units: Sequence[Unit]) -> str:
    # A unit may be cut at a blank of its own, which then ends a line.
    return "".join(f" {u.text}" if u.spaced and i else u.text for i, u in enumerate(units)).strip()
