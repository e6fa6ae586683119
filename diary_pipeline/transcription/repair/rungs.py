"""The rungs of repair, by the names under which settings and transcripts know them.

Names only, so that whoever reads the settings loads no array library. What a rung does is ladder.py's business, what
each gains stands in docs/calibration.md.
"""

from collections.abc import Collection
from typing import Literal

Rung = Literal["own_language", "other_model", "apart", "missed"]

LADDER: tuple[Rung, ...] = ("own_language", "other_model", "apart", "missed")
"""Each is tried when those before it gave nothing that is trusted; `missed` hears speech to which there are no words.

This is the only order: which rungs there are is a choice, a whole window before its parts is none.

Hearing a window again with the same weights, at whatever temperature, gained not one word and is no rung."""


def in_order(rungs: Collection[str]) -> tuple[Rung, ...]:
    """Put chosen rungs into the order in which they are tried, each once."""
    return tuple(rung for rung in LADDER if rung in rungs)
