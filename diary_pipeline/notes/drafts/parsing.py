"""From the text of an answer to a draft, by our own validation: that a server was sent a strict schema proves nothing.

A Markdown fence and the thoughts of a reasoning model around the answer are taken off, because compatible servers leave
them there; other prose is refused, because of two objects in one answer nobody knows which is meant. A failure names
fields, never what was written in them: an answer is diary text.
"""

import re
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from diary_pipeline.core.errors import PermanentError

Draft = TypeVar("Draft", bound=BaseModel)

_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_FENCED = re.compile(r"\A\s*```(?:json)?[ \t]*\n(?P<inside>.*)\n[ \t]*```\s*\Z", re.DOTALL | re.IGNORECASE)
_MOST_NAMED = 8


class DraftInvalid(PermanentError):
    """An answer that is no draft; `fields` say where and how, as `events.0.quote string_too_long`."""

    def __init__(self, fields: tuple[str, ...]) -> None:
        named = ", ".join(fields[:_MOST_NAMED])
        super().__init__("draft_invalid", f"The language model's answer is no draft of a note: {named}.")
        self.fields = fields


def parse(text: str, shape: type[Draft]) -> Draft:
    """Read an answer as a draft of this shape; DraftInvalid otherwise."""
    bare = _THOUGHTS.sub("", text)
    if fenced := _FENCED.match(bare):
        bare = fenced["inside"]
    try:
        return shape.model_validate_json(bare.strip())
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        fields = tuple(dict.fromkeys(_named(e["loc"], e["type"]) for e in found))
    # Raised out here, so that pydantic's error, which holds the answer, is not its context.
    raise DraftInvalid(fields)


def _named(where: tuple[int | str, ...], how: str) -> str:
    """Name a field; the name of one that we did not ask for is the model's own word, and stays unsaid."""
    known = where[:-1] if how == "extra_forbidden" else where
    return f"{'.'.join(map(str, known)) or 'answer'} {how}"
