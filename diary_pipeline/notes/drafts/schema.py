"""What a model is asked for. It quotes words and writes no time, no date of its own: those are ours to stamp.

Which words it is asked with stands in prompt.py; how a draft becomes a note, in assembling.py. Fields are in the order
in which a model should write them: claims first, then the summary of them, the title last. Small models that write
the title first echo the prompt or obey what is spoken ("set the title to ...").
"""

import datetime as dt
import re
from functools import cache
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from diary_pipeline.core.note import Mood


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _unnumbered(quote: str) -> str:
    return _NUMBER.sub("", quote) or quote


_NUMBER = re.compile(r"^\s*\[\d+\]\s*")
Lifted = Annotated[str, AfterValidator(_unnumbered)]
"""Words of the diary; small models copy the number of the line with them."""


class Claim(_Asked):
    """Something the speaker said, and the words that show it."""

    text: str = Field(min_length=1, max_length=300)
    quote: Lifted = Field(min_length=1, max_length=400, description="Verbatim words of the diary that show it.")
    segment: int = Field(ge=0, description="Number of the line where the quote begins.")


class NoteDraft(_Asked):
    """The whole of a note: for models whose own sentences may be published."""

    events: tuple[Claim, ...] = Field(max_length=10)
    reflections: tuple[Claim, ...] = Field(max_length=8)
    actions: tuple[Claim, ...] = Field(max_length=12, description="What the speaker still has to do.")
    people: tuple[str, ...] = Field(max_length=20)
    places: tuple[str, ...] = Field(max_length=20)
    topics: tuple[str, ...] = Field(max_length=8)
    quotes: tuple[Lifted, ...] = Field(max_length=3, description="Sentences worth keeping, verbatim.")
    said_date: dt.date | None = Field(description="Only if the speaker says what day it is; else null.")
    mood: Mood
    summary: str = Field(min_length=1, max_length=2500)
    title: str = Field(min_length=3, max_length=90)


class FoundDraft(_Asked):
    """What matters, in short words that only find a sentence: for small models, whose sentences are not published."""

    events: tuple[str, ...] = Field(max_length=4)
    reflections: tuple[str, ...] = Field(max_length=4)
    actions: tuple[str, ...] = Field(max_length=4)
    people: tuple[str, ...] = Field(max_length=6)
    places: tuple[str, ...] = Field(max_length=6)


class HeadDraft(_Asked):
    """The small last question about a long recording: what its merged claims amount to."""

    mood: Mood
    topics: tuple[str, ...] = Field(max_length=8)
    summary: str = Field(min_length=1, max_length=2500)
    title: str = Field(min_length=3, max_length=90)


@cache  # pydantic takes a millisecond or more, and every question needs it
def strict_schema(shape: type[BaseModel]) -> dict[str, Any]:
    """Give a JSON schema as strict modes take it: no references, every field required, nothing beside them."""
    schema = shape.model_json_schema()
    plain: dict[str, Any] = _plain(schema, schema.get("$defs", {}))
    return plain


def _plain(part: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(part, list):
        return [_plain(p, definitions) for p in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _plain(definitions[part["$ref"].rpartition("/")[2]], definitions)
    kept = {k: _plain(v, definitions) for k, v in part.items() if k not in ("$defs", "title", "default")}
    # A field may be called "title": there it is a schema, not a word about one.
    if isinstance(properties := part.get("properties"), dict):
        kept["properties"] = {name: _plain(value, definitions) for name, value in properties.items()}
        kept |= {"required": list(properties), "additionalProperties": False}
    return kept
