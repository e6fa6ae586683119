"""What was understood in one window of speech, before it becomes segments.

Plain data that survives JSON: an engine makes it, risk and repair judge it, checkpoints keep it. Cutting it into
segments is segments.py's business.

What surprises: the scores are the window's, because a model gives none for less.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from diary_pipeline.transcription.span import Span


@dataclass(frozen=True)
class PlacedWord:
    """A word on the recording's clock, as the model spelled it, with its space in front."""

    text: str
    at: Span
    probability: float | None
    """None: the engine does not say."""


@dataclass(frozen=True)
class HeardWindow:
    """What one engine made of one window, or of a part of it."""

    spans: tuple[Span, ...]
    """Where the speech lies in the recording; in order, not overlapping."""
    words: tuple[PlacedWord, ...] = ()
    language: str | None = None
    language_probability: float | None = None
    avg_logprob: float | None = None
    """None: the engine does not say; so with the other scores."""
    no_speech_prob: float | None = None
    compression_ratio: float | None = None
    risks: tuple[str, ...] = ()
    """Signals that are raised about it; empty: trusted."""
    refused: str | None = None
    """The code of the signal for which its text must not be believed: its spans become inaudible."""
    rung: str = "batched"
    """How it was heard: `batched`, `server`, or the rung of the repair ladder that heard it."""
    model_sha256: str | None = None
    """The weights that heard it."""
    tokens: tuple[int, ...] = ()
    """As the model gave them; empty: the engine has none, or it was heard before a restart."""

    @property
    def text(self) -> str:
        """Its words as one line."""
        return "".join(word.text for word in self.words).strip()

    @property
    def samples(self) -> int:
        """Samples of speech in its spans."""
        return sum(span.length for span in self.spans)


def partition(heard: Iterable[HeardWindow], spans: Iterable[Span]) -> bool:
    """Tell whether parts hold exactly the samples of these spans, in their order; a cut may go through a span."""
    parts = [span for part in heard for span in part.spans]
    return all(span.length > 0 for span in parts) and _joined(parts) == _joined(spans)


def _joined(spans: Iterable[Span]) -> list[Span]:
    joined: list[Span] = []
    for span in spans:
        if joined and joined[-1].end == span.start:
            joined[-1] = Span(joined[-1].start, span.end)
        else:
            joined.append(span)
    return joined
