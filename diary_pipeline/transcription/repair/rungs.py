"""The rungs of repair, by the names under which settings and transcripts know them.

Names only, so that whoever reads the settings loads no array library. What a rung does is ladder.py's business, what
each gains stands in docs/calibration.md.
"""

from typing import Literal

Rung = Literal["own_language", "other_model", "apart", "missed"]

LADDER: tuple[Rung, ...] = ("own_language", "other_model", "apart", "missed")
"""Each is tried when those before it gave nothing that is trusted; `missed` hears speech to which there are no words.

Hearing a window again with the same weights, at whatever temperature, gained not one word and is no rung."""
