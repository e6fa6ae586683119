"""Lines of what was said, for every format alike: clean, joined, measured, and the clock beside them.

Pure. What a format does with them is formats.py's business. What surprises: a line is measured in columns and not in
characters, because a Chinese or Japanese one takes two and a combining mark takes none.
"""

import unicodedata
from collections.abc import Iterable

INAUDIBLE = "[inaudible]"


def clean(text: str) -> str:
    """Make text one line without control characters: no file format can be broken by what was said."""
    kept = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cs", "Cn"))
    return " ".join(kept.split())


def joined(texts: Iterable[str]) -> str:
    """Join sentences: by a space, but not where both sides are written without spaces."""
    line = ""
    for text in filter(None, texts):
        line += f" {text}" if line and not (is_wide(line[-1]) and is_wide(text[0])) else text
    return line


def columns(text: str) -> int:
    """Count the columns that a text takes on a screen."""
    return sum(_columns(c) for c in text)


def is_wide(character: str) -> bool:
    """Say whether a character is Chinese, Japanese or Korean full width: it takes two columns."""
    return unicodedata.east_asian_width(character) in ("W", "F")


def clock(at_s: float) -> str:
    """Write a time of a recording as people say it: `0:12`, `1:02:05`."""
    minutes, seconds = divmod(int(at_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if is_wide(character) else 1
