"""How big and how long an audio file may be. Values come from settings; the defaults here are the product's promise."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AudioLimits:
    """Bounds of one recording, all inclusive."""

    max_size_bytes: int = 500_000_000
    min_s: float = 0.3
    """Below a third of a second nobody has said a word."""
    max_s: float = 24 * 3600.0


DEFAULT_LIMITS = AudioLimits()
