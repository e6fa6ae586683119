"""What has no place in a note's text: markup, addresses, and the talk of machines about themselves."""

import re
from collections.abc import Iterable

_MARKUP = re.compile(
    r"(?:https?|ftp|javascript|data):\S|\bwww\.\S|!?\[[^\]\n]*\]\([^)\n]*\)|<\|?/?[a-z!][^>\n]*>|<\||\|>|```|&(?:#\d+|[a-z]+);",
    re.IGNORECASE,
)
_MACHINE = re.compile(
    r"\bas\s+an?\s+(?:AI|language\s+model|assistant)\b|\bthe\s+(?:transcript|transcription|speaker)\b"
    r"|\bthe\s+(?:diary|diary\s+entry)\s+(?:records|describes|mentions|details|discusses|tells|captures|reflects)\b"
    r"|\b(?:previous|prior|above)\s+instructions\b|\bsystem\s+prompt\b",
    re.IGNORECASE,
)


def is_plain(text: str) -> bool:
    """Tell whether a text can be lifted without a second thought."""
    return not any(True for _ in stains(text))


def stains(text: str) -> Iterable[str]:
    """The places in a text that are markup, an address or a machine's phrase."""
    return (found[0] for pattern in (_MARKUP, _MACHINE) for found in pattern.finditer(text))
