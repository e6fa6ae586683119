"""Cutting a window into smaller ones that together hold exactly its samples.

Pure. Why a window is cut is ladder.py's business.

What surprises: a cut may go through a span, which then lies in two pieces that touch.
"""

import itertools
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from diary_pipeline.transcription.span import RATE, Span
from diary_pipeline.transcription.speech.windows import Window

SHORTEST = 4 * RATE
"""Less context than this and Whisper guesses."""
LONGEST = 12 * RATE
HUSH = RATE // 10
"""Where nobody pauses, the quietest stretch of this length is the next best place to cut."""


def cut(window: Window, at: Iterable[int]) -> list[Window]:
    """Cut a window at these samples of its clock; ends and repetitions cut nothing."""
    borders = sorted({0, window.length, *(place for place in at if 0 < place < window.length)})
    pieces = []
    for start, end in itertools.pairwise(borders):
        spans, before = [], 0
        for span in window.spans:
            first, last = max(start - before, 0), min(end - before, span.length)
            if first < last:
                spans.append(Span(span.start + first, span.start + last))
            before += span.length
        audio = window.audio[start:end]
        pieces.append(replace(window, audio=audio, spans=tuple(spans), offset=window.offset + start))
    return pieces


def at_pauses(window: Window) -> list[Window]:
    """Cut a window at its pauses into pieces of 4 to 12 s, at its quietest moments where pauses are missing."""
    pauses = [window.clock(span.start) for span in window.spans[1:]]
    places: list[int] = []
    begin = 0
    while window.length - begin >= 2 * SHORTEST:
        low, high = begin + SHORTEST, min(begin + LONGEST, window.length - SHORTEST)
        place = next((p for p in pauses if low <= p <= high), None)
        if place is None:
            if window.length - begin <= LONGEST:
                break
            place = _quietest(window, low, high)
        places.append(place)
        begin = place
    return cut(window, places)


def _quietest(window: Window, low: int, high: int) -> int:
    count = max(1, (high - low) // HUSH)
    rows = window.audio[low : low + count * HUSH]
    if len(rows) < count * HUSH:
        return low
    return low + int(np.argmin(np.square(rows.reshape(count, HUSH)).sum(1))) * HUSH + HUSH // 2
