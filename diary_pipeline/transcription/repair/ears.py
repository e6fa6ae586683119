"""What repair asks of whoever listens again.

Engines implement it; when it is asked is ladder.py's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.speech.windows import Window


@dataclass(frozen=True)
class Stretch:
    """A part of a window in one language; samples of the window's clock."""

    start: int
    end: int
    language: str
    probability: float


class Ears(Protocol):
    """One way to listen again."""

    @property
    def model_sha256(self) -> str:
        """The weights that listen."""

    def listen(self, window: Window, *, language: str | None, vocabulary: Sequence[str] = ()) -> HeardWindow | None:
        """Hear a window anew; None when these ears do not know the language. Without a language they find one."""

    def languages(self, window: Window, owned: Sequence[str]) -> tuple[Stretch, ...]:
        """Cut a window where its language changes; fewer than two stretches: it does not, or that cannot be told."""
