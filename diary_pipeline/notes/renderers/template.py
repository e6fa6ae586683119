"""How an owner wants notes to look: sections, tone, language. Values that configuration makes and nothing changes.

`template_from` reads one at load and refuses what is wrong with a sentence. The layout is markdown.py's business, and
what a model is told of a template is drafts/prompt.py's. What a template says is its owner's own word: it reaches the
model as a rule, and is not fenced as a diary is.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from diary_pipeline.core.languages import KNOWN

Part = Literal["when", "mood", "summary", "event", "reflection", "action", "person", "place", "topic", "quote"]
PARTS: tuple[str, ...] = get_args(Part)

_LONGEST_HEADING = 60
_LONGEST_TONE = 300
_LONGEST_INSTRUCTIONS = 2000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_FIELDS = frozenset({"sections", "tone", "language", "instructions"})


@dataclass(frozen=True)
class Section:
    """What stands under one heading."""

    shows: tuple[Part, ...]
    heading: str | None = None
    """None: the usual one of its first part, in the language of the note."""


@dataclass(frozen=True)
class Template:
    """One form of a note."""

    name: str
    sections: tuple[Section, ...]
    tone: str = ""
    """A sentence for the model; the writers without one cannot follow it."""
    language: str | None = None
    """ISO 639-1; None: that of the owner, else the one that was spoken."""
    instructions: str = ""

    @property
    def layout(self) -> str:
        """12 hex that change when rendered notes look otherwise; what a model is told is the prompt's to count."""
        said = json.dumps([(section.shows, section.heading) for section in self.sections])
        return hashlib.sha256(said.encode()).hexdigest()[:12]

    @property
    def shown(self) -> frozenset[str]:
        """The parts that have a place in a section."""
        return frozenset(part for section in self.sections for part in section.shows)


_USUAL: tuple[Part, ...] = ("when", "mood", "event", "reflection", "action", "quote")
DEFAULT = Template("default", tuple(Section((part,)) for part in _USUAL))
"""The five sections, and quotes where there are any."""


@dataclass(frozen=True)
class Templates:
    """Those of one owner: the usual one, and others for recordings with a tag."""

    usual: Template = DEFAULT
    by_tag: Mapping[str, Template] = field(default_factory=dict)

    def of(self, tags: Sequence[str]) -> Template:
        """Choose by the first tag that has one."""
        return next((self.by_tag[tag] for tag in tags if tag in self.by_tag), self.usual)


def template_from(name: str, said: Mapping[str, Any]) -> Template:
    """Read a template from configuration; ValueError with a sentence for what cannot be one."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"Template {name!r} needs a name of letters, digits, dots, dashes and underscores, 40 at most."
        )
    if unknown := sorted(set(said) - _FIELDS):
        raise ValueError(f"Template {name!r} has no {unknown[0]!r}; it may have {', '.join(sorted(_FIELDS))}.")
    language = said.get("language")
    if language is not None and language not in KNOWN:
        raise ValueError(f"Template {name!r} has an unknown language {language!r}; use a code such as 'en'.")
    return Template(
        name,
        _sections(name, said.get("sections")),
        tone=_words(name, "tone", said.get("tone", ""), _LONGEST_TONE),
        language=language,
        instructions=_words(name, "instructions", said.get("instructions", ""), _LONGEST_INSTRUCTIONS),
    )


def _sections(name: str, said: Any) -> tuple[Section, ...]:
    if said is None:
        return DEFAULT.sections
    if not isinstance(said, Sequence) or isinstance(said, str) or not said:
        raise ValueError(f"Template {name!r} needs a list of sections, or none for the usual ones.")
    sections = tuple(_section(name, one) for one in said)
    parts = [part for section in sections for part in section.shows]
    if twice := next((part for part in parts if parts.count(part) > 1), None):
        raise ValueError(f"Template {name!r} shows {twice!r} in two places; show it in one.")
    return sections


def _section(name: str, said: Any) -> Section:
    if not isinstance(said, Mapping) or set(said) - {"heading", "shows"}:
        raise ValueError(f"Each section of template {name!r} is a table of 'heading' and 'shows', and of nothing else.")
    shows = said.get("shows")
    if not isinstance(shows, Sequence) or isinstance(shows, str) or not shows:
        raise ValueError(f"A section of template {name!r} needs 'shows', a list out of {', '.join(PARTS)}.")
    if unknown := next((part for part in shows if part not in PARTS), None):
        raise ValueError(f"Template {name!r} cannot show {unknown!r}; it may show {', '.join(PARTS)}.")
    heading = said.get("heading")
    if heading is not None and not _words(name, "heading", heading, _LONGEST_HEADING):
        raise ValueError(f"Template {name!r} has an empty heading; leave it out for the usual one.")
    return Section(tuple(shows), " ".join(heading.split()) if heading else None)


def _words(name: str, what: str, said: Any, longest: int) -> str:
    """Check words of a template, which a model or a reader gets to see."""
    if not isinstance(said, str) or len(said) > longest:
        raise ValueError(f"The {what} of template {name!r} is text of at most {longest} characters.")
    # Chat templates of local models read these as the end of a turn.
    if re.search(r"<\|?/?\w|\|>", said):
        raise ValueError(f"The {what} of template {name!r} holds markup such as <this>; write plain words.")
    return said.strip()
