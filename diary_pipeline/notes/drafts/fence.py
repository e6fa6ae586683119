"""The block in which spoken words reach a model: numbered lines between two marks that nobody can speak.

The marks hold a hash of all that stands between them, so no speaker can say the closing one, and the same diary asks
the same question again. What local chat templates would read as their own (`<|im_end|>`, `[/INST]`, `</s>`) is broken
by a blank; a quote is found all the same, because marks do not count where quotes are looked for.
"""

import hashlib
import re
from collections.abc import Iterable

_CONTROL = re.compile(r"<(?=[|/!?\w<])|(?<=[|>])>|\|(?=>)|\[(?=/?[A-Z_]+\])")


def inert(text: str) -> str:
    """Give spoken words on one line, without anything that a chat template reads as the end of a turn."""
    return _CONTROL.sub(lambda found: f"{found[0]} ", " ".join(text.split()))


def fenced(name: str, lines: Iterable[str]) -> str:
    """Put lines between marks; they are inert already, and what was hidden in them has its placeholders."""
    inside = "\n".join(lines)
    mark = f"{name} {hashlib.sha256(inside.encode()).hexdigest()[:16]}"
    return f"<{mark}>\n{inside}\n</{mark}>"
