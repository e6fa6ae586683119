"""The marked blocks of a page: what is ours in a file that is somebody else's too.

    ---
    # diary:begin 2026-05-01-walk-0a1b2c3d4e5f 6f0c...
    mood: positive
    # diary:end
    aliases: [what the owner added]
    ---
    <!-- diary:begin 2026-05-01-walk-0a1b2c3d4e5f 91b3... -->
    the note
    <!-- diary:end -->
    what the owner wrote

Pure: texts in, texts out. The mark carries a hash of what we wrote, so a block that was edited by hand is known by
itself, without any other memory. What surprises: front matter must begin the file, so it has a block of its own, marked
in YAML's comments; an editor of properties that drops these comments makes the front matter the owner's.
"""

import hashlib
import re
from dataclasses import dataclass

_BODY = re.compile(r"^<!-- diary:begin (\S+) ([0-9a-f]{16}) -->\n(.*?)^<!-- diary:end -->[ \t]*\n?", re.M | re.S)
_FRONT = re.compile(r"^# diary:begin (\S+) ([0-9a-f]{16})\n(.*?)^# diary:end[ \t]*\n", re.M | re.S)
_MATTER = re.compile(r"\A---\n(.*?)^---[ \t]*\n", re.M | re.S)


@dataclass(frozen=True)
class Page:
    """What we have to say on one page."""

    key: str
    """Whose block it is; no spaces."""
    body: str
    front: str = ""
    """Lines of YAML."""


def key_of(text: str) -> str | None:
    """Return the key of our block in a page; None: there is none."""
    found = _BODY.search(text) or _FRONT.search(text)
    return found[1] if found else None


def new_page(page: Page) -> str:
    """Write a page that holds nothing but ours."""
    matter = f"---\n{_front(page)}---\n\n" if page.front else ""
    return f"{matter}{_body(page)}"


def appended(text: str, page: Page) -> str:
    """Put our block at the end of somebody's page; their front matter stays theirs."""
    return f"{text.rstrip()}\n\n{_body(page)}" if text.strip() else new_page(page)


def replaced(text: str, page: Page) -> str | None:
    """Replace our blocks in a page and keep all else; None: somebody edited them, or took them out."""
    if edited(text) or not _BODY.search(text):
        return None
    text = _FRONT.sub(lambda _: _front(page), text, count=1)
    return _BODY.sub(lambda _: _body(page), text, count=1)


def edited(text: str) -> bool:
    """Tell whether a block of ours is no longer what we wrote."""
    return any(_hash(found[3]) != found[2] for mark in (_FRONT, _BODY) if (found := mark.search(text)))


def emptied(text: str) -> str:
    """Take our blocks out of a page; what is left is the owner's, "" when there is nothing."""
    left = _BODY.sub("", _FRONT.sub("", text))
    if (matter := _MATTER.match(left)) and not matter[1].strip():
        left = left[matter.end() :]
    return left if left.strip() else ""


def without_lines(text: str, naming: str) -> str:
    """Drop lines that name something from our block, whatever was edited in it; edited ones stay edited."""
    return _BODY.sub(lambda found: _unnamed(found, naming), text)


def _unnamed(found: re.Match[str], naming: str) -> str:
    left = "".join(line for line in found[3].splitlines(keepends=True) if naming not in line)
    if left == found[3]:
        return found[0]
    mark = _hash(left) if _hash(found[3]) == found[2] else found[2]
    return f"<!-- diary:begin {found[1]} {mark} -->\n{left}<!-- diary:end -->\n"


def _body(page: Page) -> str:
    # Nothing that is said or typed may end the block: a comment that begins in it is shown as text.
    text = page.body.replace("<!--", "&lt;!--").rstrip("\n") + "\n"
    return f"<!-- diary:begin {page.key} {_hash(text)} -->\n{text}<!-- diary:end -->\n"


def _front(page: Page) -> str:
    text = page.front.rstrip("\n") + "\n"
    return f"# diary:begin {page.key} {_hash(text)}\n{text}# diary:end\n"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]
