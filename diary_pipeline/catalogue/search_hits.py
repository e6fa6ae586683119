"""From a document that was found to what people are shown: its best passage, marked, and the second it was said.

Which documents are shown, and in which order, is decided before. What surprises: FTS5 marks every word it found in the
whole text, so the best line is picked from its own marks and nothing is matched a second time by rules of ours.
"""

import dataclasses
import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from diary_pipeline.catalogue.search_documents import FIELDS
from diary_pipeline.catalogue.search_meaning import PASSAGE_WORDS, Close
from diary_pipeline.catalogue.search_ranking import Ranked

SNIPPET_WORDS = 24
OPEN, CLOSE = "\x02", "\x03"
"""Marks around what was found, in a snippet."""

_TIMED = ("said", "items")
_SHOWN = (*_TIMED, "summary", "people", "topics", "labels", "title")
"""Which of equally good passages is shown; the title last, because it is shown anyway. One that has its second goes
before one that has more of the words: people want to hear it."""
_MARKED = ", ".join(f"highlight(words, {n}, '{OPEN}', '{CLOSE}')" for n in range(len(FIELDS)))

HitKind = Literal["segment", "item", "note"]


@dataclass(frozen=True)
class Hit:
    """One recording, with its best passage."""

    recording_key: str
    user_id: str
    day: str
    title: str
    kind: HitKind
    """Where the snippet stands: in a spoken segment, in an item of the note, or elsewhere in the note."""
    snippet: str
    """With `OPEN` and `CLOSE` around what was found."""
    start_s: float | None
    """Seconds from the start of the recording; None: the passage has no single moment."""
    end_s: float | None
    segment_id: int | None
    score: float = 0.0
    """Larger is better; comparable within one search only."""
    is_near: bool = False
    """Whether another form of a word was found, and not the word itself."""
    is_by_meaning: bool = False
    """Whether only what it means was found."""


class _Passage(NamedTuple):
    field: str
    line_no: int
    text: str
    """With marks around what was found."""


def hit_by_words(index: sqlite3.Connection, found: Ranked) -> Hit:
    """Show the line with most of the words."""
    marked = index.execute(
        f"SELECT {_MARKED} FROM words WHERE words MATCH ? AND rowid = ?",  # noqa: S608 - names of this file
        [found.expression, found.document],
    ).fetchone()
    best = max(_passages(dict(zip(FIELDS, marked, strict=True))), key=_merit)  # of equals the first
    return dataclasses.replace(_hit(index, found.document, best), score=found.score, is_near=found.is_near)


def hit_by_meaning(index: sqlite3.Connection, found: Close) -> Hit:
    """Show the beginning of the passage that lies closest."""
    (text,) = index.execute(
        f"SELECT {found.field} FROM words WHERE rowid = ?",  # noqa: S608 - a field of search_meaning.py
        [found.document],
    ).fetchone()
    begins = " ".join(text.split("\n")[found.line :]).split(" ")[:PASSAGE_WORDS]
    passage = _Passage(found.field, found.line, " ".join(begins))
    return dataclasses.replace(_hit(index, found.document, passage), score=found.similarity, is_by_meaning=True)


def _hit(index: sqlite3.Connection, document: int, passage: _Passage) -> Hit:
    key, user_id, day, title, spots = index.execute(
        "SELECT recording_key, user_id, day, title, spots FROM documents WHERE id = ?", [document]
    ).fetchone()
    spot = json.loads(spots).get(passage.field, [])[passage.line_no : passage.line_no + 1] or [(None, None, None)]
    segment_id, start_s, end_s = spot[0]
    kind: HitKind = "segment" if passage.field == "said" else "item" if passage.field == "items" else "note"
    return Hit(key, user_id, day, title, kind, _snippet(passage.text), start_s, end_s, segment_id)


def _merit(passage: _Passage) -> tuple[bool, int]:
    """Weigh a line: whether something that was found in it has its second, and how many different words were."""
    found = {part.partition(CLOSE)[0].casefold() for part in passage.text.split(OPEN)[1:]}
    return bool(found) and passage.field in _TIMED, len(found)


def _passages(marked: Mapping[str, str]) -> Iterator[_Passage]:
    for field in _SHOWN:
        is_open = False  # a phrase may go on over the end of a line
        for number, line in enumerate(marked[field].split("\n")):
            whole = f"{OPEN if is_open else ''}{line}"
            is_open = whole.rfind(OPEN) > whole.rfind(CLOSE)
            yield _Passage(field, number, f"{whole}{CLOSE if is_open else ''}")


def _snippet(line: str) -> str:
    words = line.split(" ")
    first = next((n for n, word in enumerate(words) if OPEN in word), 0)
    start = max(0, min(first - SNIPPET_WORDS // 3, len(words) - SNIPPET_WORDS))
    shown = " ".join(words[start : start + SNIPPET_WORDS])
    if shown.rfind(OPEN) > shown.rfind(CLOSE):
        shown += CLOSE
    return f"{'… ' if start else ''}{shown}{' …' if start + SNIPPET_WORDS < len(words) else ''}"
