"""The fixed words of a rendered note in the languages we have them in; any other note is headed in English.

The words are tables of headings.toml, so that a language is added without code. Templates may name sections otherwise.
"""

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from pydantic import TypeAdapter


@dataclass(frozen=True)
class Headings:
    """What stands around the speaker's own words."""

    when: str
    mood: str
    summary: str
    events: str
    thoughts: str
    takeaways: str
    people: str
    places: str
    topics: str
    quotes: str
    due: str
    recorded: str
    by_file_time: str
    """Said where the instant is only a guess."""
    nothing: str
    """One honest line in a section about which nothing was said."""
    mood_unknown: str
    english_cues_only: str
    not_translated: str
    weekdays: tuple[str, str, str, str, str, str, str]
    moods: tuple[str, str, str, str, str, str]
    """Very negative, negative, neutral, mixed, positive, very positive."""


def headings(language: str) -> Headings:
    """The headings for a note's language, English where we have none."""
    known = _known()
    return known.get(language, known["en"])


@lru_cache(maxsize=1)
def _known() -> dict[str, Headings]:
    said = files("diary_pipeline.notes.renderers").joinpath("headings.toml").read_text("utf-8")
    return TypeAdapter(dict[str, Headings]).validate_python(tomllib.loads(said))
