"""Which windows share a model call.

Pure: what waits in, what goes next out. Making windows is frontend.py's business, hearing them is decoding.py's.

What surprises: windows of like length go together, because a call lasts as long as its longest text. So that a window
of odd length or in a rare language does not wait for ever, one that was passed over often enough leads the next batch.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

PASSED_OVER = 4
"""Batches that a window lets go before it; long recordings beside many short ones end early enough so."""


@dataclass(eq=False)
class Waiting:
    """A window on its way into a batch."""

    recording: Hashable
    index: int
    """Counts the windows of its recording from 0."""
    group: Hashable
    """Only windows of one group share a call: their prompts are alike."""
    samples: int
    alone: bool = False
    """At most one window of this recording in a call: it is what a killed worker repeats."""
    passed_over: int = 0


W = TypeVar("W", bound=Waiting)


def next_batch(waiting: Sequence[W], size: int) -> list[W]:
    """Choose at most `size` windows and count those that were passed over; empty when none waits."""
    allowed = _allowed(waiting)
    if not allowed:
        return []
    groups: dict[Hashable, list[W]] = {}
    for window in allowed:
        groups.setdefault(window.group, []).append(window)
    oldest = max(allowed, key=lambda w: w.passed_over)  # the first of equals: the one that came first
    if oldest.passed_over < PASSED_OVER:
        oldest = max(groups.values(), key=len)[0]
    alike = sorted(groups[oldest.group], key=lambda w: w.samples)
    middle = alike.index(oldest)
    start = max(0, min(middle - size // 2, len(alike) - size))
    chosen = alike[start : start + size]
    for window in allowed:
        window.passed_over += window not in chosen
    return chosen


def _allowed(waiting: Sequence[W]) -> list[W]:
    # Of a recording whose windows go alone, only the first: they must be finished in order.
    first: dict[Hashable, int] = {}
    for window in waiting:
        if window.alone:
            first[window.recording] = min(window.index, first.get(window.recording, window.index))
    return [w for w in waiting if not w.alone or w.index == first[w.recording]]
