"""Names of pages: what people said, as file names that every system and every link can bear.

Pure. What surprises: two names that differ only in capitals are one file on Windows and macOS, so they are one here.
"""

import re
import unicodedata
from collections.abc import Collection

LONGEST = 80
"""Characters; a path has to fit the 255 bytes of a file name in any script, with room for suffixes."""
# Forbidden on Windows, or with a meaning in Obsidian's links.
_FORBIDDEN = re.compile(r'[<>:"/\\|?*#^\[\]%\x00-\x1f\x7f]+')
_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))})


def safe(text: str) -> str:
    """Make a file name, without suffix, of any text; "Untitled" when nothing is left of it."""
    flat = unicodedata.normalize("NFC", text)
    visible = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in _FORBIDDEN.sub(" ", flat))
    name = " ".join(visible.split())[:LONGEST]
    name = name.encode()[: 2 * LONGEST].decode(errors="ignore").strip(". ")
    if name.partition(".")[0].strip().casefold() in _RESERVED:
        name = f"{name}_"
    return name or "Untitled"


def free(folder: str, name: str, taken: Collection[str]) -> str:
    """Give `<folder>/<name>.md`, numbered from 2 when its casefolded path is taken."""
    path, number = f"{folder}/{name}.md", 1
    while path.casefold() in taken:
        number += 1
        path = f"{folder}/{name} ({number}).md"
    return path


def beside(path: str) -> str:
    """Name the page on which a newer text lies when somebody edited ours."""
    return f"{path.removesuffix('.md')}{PROPOSAL}"


PROPOSAL = ".diary-new.md"
