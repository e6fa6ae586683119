"""Spoken words in Markdown: speech must not become markup.

Somebody who says "open bracket" ends up with a bracket, not with a link.
"""

import re

# Brackets, rules and what GitHub and Obsidian add: tags, mathematics, mentions.
_ACTIVE = re.compile(r"[\\`*_\[\]<>#|~&$@{}]|(?<=%)%|(?<==)=")
_LIST = re.compile(r"^(?:(\d+)([.)])|([-+]))(?=\s|$)")
# Bare addresses become links in GitHub's Markdown without any bracket.
_ADDRESS = re.compile(r"(:)(?=//)|(?<=www)(\.)|(?<=mailto)(:)|(?<=xmpp)(:)", re.IGNORECASE)


def escaped(text: str) -> str:
    """Make spoken words inert in Markdown and HTML; one line."""
    line = " ".join(text.split())
    line = _ACTIVE.sub(lambda found: f"\\{found[0]}", line)
    line = _ADDRESS.sub(lambda found: f"\\{found[0]}", line)
    return _LIST.sub(lambda found: f"{found[1]}\\{found[2]}" if found[1] else f"\\{found[3]}", line)
