"""Which recordings have the words, best first: filters, weights, and what is done where words are common or few.

Reads the search file only. What a person may type is search_words.py's business, which passage is shown
search_hits.py's.

What surprises: of words that stand nearly everywhere only the `RANKED` latest recordings are ranked, because SQLite
ranks all that match before it gives the first one.
"""

import sqlite3
from dataclasses import dataclass
from typing import NamedTuple

from diary_pipeline.catalogue.search_documents import FIELDS
from diary_pipeline.catalogue.search_words import Words, all_of, in_field

RANKED = 20_000
"""Recordings that one search ranks at most."""

_WEIGHTS = {"title": 8.0, "summary": 3.0, "items": 3.0, "people": 5.0, "topics": 4.0, "labels": 4.0, "said": 1.0}
"""What a word counts by where it stands: a title is about something, speech passes many things."""
_RANK = f"bm25(words, {', '.join(str(_WEIGHTS[name]) for name in FIELDS)})"


@dataclass(frozen=True)
class Filters:
    """What a hit must be besides; everything is optional."""

    user_id: str | None = None
    since: str | None = None
    """First day, as YYYY-MM-DD."""
    until: str | None = None
    """Last day."""
    person: str | None = None
    """A word or more of somebody's name."""
    topic: str | None = None
    language: str | None = None
    """ISO 639-1, of the speech or of the note."""

    @property
    def names(self) -> str:
        """What must stand among the people and the topics, in FTS5's words; "" for anything."""
        return all_of([in_field("people", self.person or ""), in_field("topics", self.topic or "")])

    @property
    def conditions(self) -> tuple[str, list[object]]:
        """What a row of `documents` must fulfil, as SQL that begins with AND or is empty, and its values."""
        wanted = (
            ("documents.user_id = ?", self.user_id),
            ("documents.day >= ?", self.since),
            ("documents.day <= ?", self.until),
            ("instr(' ' || documents.languages || ' ', ' ' || ? || ' ')", self.language),
        )
        said = [(condition, value) for condition, value in wanted if value is not None]
        return "".join(f" AND {condition}" for condition, _ in said), [value for _, value in said]


ANY = Filters()


class Ranked(NamedTuple):
    """A document that matches."""

    document: int
    score: float
    """Larger is better."""
    expression: str
    """What it matches, in FTS5's words."""
    is_near: bool
    """Whether another form of a word was found, and not the word itself."""


def by_words(
    index: sqlite3.Connection, words: Words, filters: Filters, limit: int, most: int = RANKED
) -> tuple[list[Ranked], bool]:
    """Rank recordings that have all the words, and say whether only the latest `most` of them were.

    Where they do not fill `limit`, those that have other forms of the words follow.
    """
    ranked: list[Ranked] = []
    is_cut = False
    for wanted in dict.fromkeys((words, words.widened)):
        expression = all_of([wanted.expression, filters.names])
        if expression and len(ranked) < limit:
            found, cut = _ranked(index, expression, filters, limit, most)
            known = {one.document for one in ranked}
            fresh = ((number, score) for number, score in found if number not in known)
            ranked += [Ranked(number, score, expression, wanted != words) for number, score in fresh]
            is_cut |= cut
    return ranked[:limit], is_cut


def _ranked(
    index: sqlite3.Connection, expression: str, filters: Filters, limit: int, most: int
) -> tuple[list[tuple[int, float]], bool]:
    where, values = filters.conditions
    # CROSS: SQLite knows no statistics of FTS5, and would else ask it anew for each document of an owner.
    matching = (
        f"FROM words CROSS JOIN documents ON documents.id = words.rowid WHERE words MATCH ? AND words.rowid > ?{where}"
    )
    known = [expression, 0, *values]
    (allowed,) = index.execute(f"SELECT count(*) FROM documents WHERE true{where}", values).fetchone()  # noqa: S608
    if allowed > most:
        last = index.execute(f"SELECT words.rowid {matching} ORDER BY words.rowid DESC LIMIT 1 OFFSET {most}", known)
        known[1] = next((row[0] for row in last), 0)
    ranked = index.execute(
        f"SELECT words.rowid, {_RANK} AS rank_ {matching} ORDER BY rank_, documents.day DESC, words.rowid DESC LIMIT ?",
        [*known, limit],
    )
    return [(number, -rank) for number, rank in ranked], known[1] != 0
