"""Windows: up to 30 s of speech that one model call sees, cut from audio that streams by.

Pure but for the probabilities it is handed. Holds one block, the speech since the last settled span and one open
window, so memory does not grow with the recording.

What surprises: a window has a clock of its own that counts speech only. `Window.place` maps it back, and an end that
lies on the border of two spans belongs to the span that holds the sample before it; otherwise a word would swallow
the pause.
"""

import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from diary_pipeline.transcription.span import RATE, Span
from diary_pipeline.transcription.speech.spans import FRAME, SpanFinder, SpeechRules
from diary_pipeline.transcription.transcriber import Block


class SpeechProbabilities(Protocol):
    """Speech probability of each frame of 512 samples, in order."""

    def push(self, block: Block) -> list[float]:
        """Return what is known after this block."""

    def close(self) -> list[float]:
        """Return the last one."""


@dataclass(frozen=True)
class Window:
    """Speech of one recording, its pauses left out."""

    audio: Block
    spans: tuple[Span, ...]
    """Where the audio lies in the recording; in order, not overlapping, their lengths add up to the audio's."""
    offset: int
    """Samples of speech in all windows before this one."""
    speech_probability: float = 1.0
    """Mean over the frames of its spans, their padding included; clear speech gave 0.68 to 0.81."""

    @property
    def length(self) -> int:
        """Samples of speech."""
        return len(self.audio)

    def place(self, start: int, end: int) -> Span:
        """Map a stretch of the window's clock to the recording: it lies in the one span that holds its middle.

        Model times are multiples of 20 ms and may stick out of their span; what sticks out is cut off, so that no word
        swallows a pause.
        """
        borders = _borders(self.spans)
        middle = min(max(0, (start + end) // 2), self.length - 1)
        index = bisect.bisect_right(borders, middle) - 1
        span, before = self.spans[index], borders[index]
        first, last = (min(max(0, at - before), span.length) for at in (start, end))
        return Span(span.start + first, span.start + max(first, last))

    def clock(self, sample: int) -> int:
        """Map a sample of the recording to the window's clock; outside its spans, to the nearest border."""
        before = 0
        for span in self.spans:
            if sample <= span.end:
                return before + max(0, sample - span.start)
            before += span.length
        return before


def _borders(spans: tuple[Span, ...]) -> list[int]:
    borders, clock = [], 0
    for span in spans:
        borders.append(clock)
        clock += span.length
    return borders


class WindowCutter:
    """Takes blocks, gives windows as soon as they are full; `samples` counts what came in."""

    def __init__(self, speech: SpeechProbabilities, rules: SpeechRules | None = None) -> None:
        self.samples = 0
        self._speech = speech
        self._rules = rules or SpeechRules()
        self._finder = SpanFinder(self._rules)
        self._kept = np.zeros(0, np.float32)
        self._kept_from = 0
        self._probabilities: list[float] = []
        self._first_frame = 0
        self._open: list[tuple[Span, Block, float]] = []
        self._offset = 0

    def push(self, block: Block) -> list[Window]:
        """Take the next block of the recording."""
        self.samples += len(block)
        self._kept = np.concatenate([self._kept, block])
        done = self._frames(self._speech.push(block))
        if (unneeded := self._finder.needed_from - self._kept_from) > 0:
            self._kept, self._kept_from = self._kept[unneeded:].copy(), self._kept_from + unneeded
            frames = self._kept_from // FRAME - self._first_frame
            del self._probabilities[:frames]
            self._first_frame += frames
        return done

    def close(self) -> list[Window]:
        """Return the windows that the end of the recording completes."""
        done = self._frames(self._speech.close())
        for span in self._finder.close(self.samples):
            done += self._add(span)
        return done + self._cut()

    def _frames(self, probabilities: list[float]) -> list[Window]:
        done: list[Window] = []
        for probability in probabilities:
            self._probabilities.append(probability)
            for span in self._finder.frame(probability):
                done += self._add(span)
        return done

    def _add(self, span: Span) -> list[Window]:
        full = sum(s.length for s, _, _ in self._open) + span.length > self._rules.max_s * RATE
        done = self._cut() if full else []
        audio = self._kept[span.start - self._kept_from : span.end - self._kept_from].copy()
        first, last = (at // FRAME - self._first_frame for at in (span.start, span.end + FRAME - 1))
        self._open.append((span, audio, sum(self._probabilities[first:last])))
        return done

    def _cut(self) -> list[Window]:
        if not self._open:
            return []
        audio = np.concatenate([part for _, part, _ in self._open])
        frames = len(audio) / FRAME
        probability = min(1.0, sum(sure for _, _, sure in self._open) / frames) if frames else 0.0
        window = Window(audio, tuple(span for span, _, _ in self._open), self._offset, probability)
        self._offset += len(audio)
        self._open = []
        return [window]


def windows(blocks: Iterable[Block], cutter: WindowCutter) -> Iterator[Window]:
    """Cut a whole recording."""
    for block in blocks:
        yield from cutter.push(block)
    yield from cutter.close()
