"""Search in what is published: ranked recordings, each with the passage that fits best and the second it was said.

Reads the search file; what is in it and how it follows the catalogue is search_index.py's business, what a person may
type search_words.py's.

What surprises: of words that stand nearly everywhere only the `RANKED` latest recordings are ranked, because SQLite
ranks all that match before it gives the first one.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from diary_pipeline.catalogue.query import query
from diary_pipeline.catalogue.search_documents import FIELDS
from diary_pipeline.catalogue.search_index import reading, watermark
from diary_pipeline.catalogue.search_words import all_of, in_field, read_words
from diary_pipeline.core.errors import NotFound

RANKED = 20_000
"""Recordings that one search ranks at most."""
SNIPPET_WORDS = 24
OPEN, CLOSE = "\x02", "\x03"
"""Marks around what was found, in a snippet."""

_WEIGHTS = {"title": 8.0, "summary": 3.0, "items": 3.0, "people": 5.0, "topics": 4.0, "labels": 4.0, "said": 1.0}
"""What a word counts by where it stands: a title is about something, speech passes many things."""
_TIMED = ("said", "items")
_SHOWN = (*_TIMED, "summary", "people", "topics", "labels", "title")
"""Which of equally good passages is shown; the title last, because it is shown anyway. One that has its second goes
before one that has more of the words: people want to hear it."""
_RANK = f"bm25(words, {', '.join(str(_WEIGHTS[name]) for name in FIELDS)})"
_MARKED = ", ".join(f"highlight(words, {n}, '{OPEN}', '{CLOSE}')" for n in range(len(FIELDS)))

HitKind = Literal["segment", "item", "note"]


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
    score: float
    """Larger is better; comparable within one search only."""


@dataclass(frozen=True)
class Found:
    """The answer to one search."""

    hits: tuple[Hit, ...]
    is_behind: bool = False
    """Whether the catalogue knows more than the search file yet."""
    is_cut: bool = False
    """Whether more than `RANKED` recordings matched, of which the latest were ranked."""


def search(path: Path, live: Path, typed: str, filters: Filters = Filters(), limit: int = 20) -> Found:
    """Find recordings whose note or speech has all the words, best first; NotFound where nothing is indexed yet."""
    reached = watermark(path)
    if reached is None:
        raise NotFound("search_missing", f"There is no search file at {path} yet: `diary publish` makes it.")
    is_behind = reached < _published(live)
    expression = expression_of(typed, filters)
    if not expression:
        return Found((), is_behind)
    with contextlib.closing(reading(path)) as index:
        ranked, is_cut = _ranked(index, expression, filters, limit)
        hits = tuple(_hit(index, expression, number, score) for number, score in ranked)
    return Found(hits, is_behind, is_cut)


def expression_of(typed: str, filters: Filters) -> str:
    """Give the whole of what must match in FTS5's words; "" where nothing is looked for."""
    names = [in_field("people", filters.person or ""), in_field("topics", filters.topic or "")]
    return all_of([read_words(typed).expression, *names])


def conditions(filters: Filters) -> tuple[str, list[object]]:
    """Give what a row of `documents` must fulfil, as SQL that begins with AND or is empty, and its values."""
    wanted = (
        ("documents.user_id = ?", filters.user_id),
        ("documents.day >= ?", filters.since),
        ("documents.day <= ?", filters.until),
        ("instr(' ' || documents.languages || ' ', ' ' || ? || ' ')", filters.language),
    )
    said = [(condition, value) for condition, value in wanted if value is not None]
    return "".join(f" AND {condition}" for condition, _ in said), [value for _, value in said]


def _published(live: Path) -> int:
    return int(query(live, "SELECT watermark FROM catalogue_state").rows[0][0])


def _ranked(
    index: sqlite3.Connection, expression: str, filters: Filters, limit: int
) -> tuple[list[tuple[int, float]], bool]:
    """Give the best documents with their scores, and whether some that match were not ranked."""
    where, values = conditions(filters)
    # CROSS: whoever knows no statistics of FTS5 may otherwise ask it anew for each document of an owner.
    matching = (
        "FROM words CROSS JOIN documents ON documents.id = words.rowid "
        f"WHERE words MATCH ? AND words.rowid > ?{where}"
    )
    known = [expression, 0, *values]
    last = index.execute(f"SELECT words.rowid {matching} ORDER BY words.rowid DESC LIMIT 1 OFFSET {RANKED}", known)
    known[1] = cut = next((row[0] for row in last), 0)
    ranked = index.execute(
        f"SELECT words.rowid, {_RANK} AS rank_ {matching} ORDER BY rank_, documents.day DESC, words.rowid DESC LIMIT ?",
        [*known, limit],
    )
    return [(number, -rank) for number, rank in ranked], bool(cut)


def _hit(index: sqlite3.Connection, expression: str, number: int, score: float) -> Hit:
    row = index.execute(
        f"SELECT recording_key, user_id, day, documents.title, spots, {_MARKED} "
        "FROM words CROSS JOIN documents ON documents.id = words.rowid WHERE words MATCH ? AND words.rowid = ?",
        [expression, number],
    ).fetchone()
    key, user_id, day, title, spots, *marked = row
    passages = _passages(dict(zip(FIELDS, marked, strict=True)))
    _, _, field, line_no, line = max(passages, key=lambda passage: passage[:2])
    spot = json.loads(spots).get(field, [])[line_no : line_no + 1] or [(None, None, None)]
    segment_id, start_s, end_s = spot[0]
    kind: HitKind = "segment" if field == "said" else "item" if field == "items" else "note"
    return Hit(key, user_id, day, title, kind, _snippet(line), start_s, end_s, segment_id, score)


def _passages(marked: dict[str, str]) -> Iterator[tuple[bool, int, str, int, str]]:
    """Give each line: whether something that was found in it has its second, and how many different words were."""
    for field in _SHOWN:
        is_open = False  # a phrase may go on over the end of a line
        for number, line in enumerate(marked[field].split("\n")):
            whole = f"{OPEN if is_open else ''}{line}"
            is_open = whole.rfind(OPEN) > whole.rfind(CLOSE)
            whole += CLOSE if is_open else ""
            found = len(set(_found_in(whole)))
            yield bool(found) and field in _TIMED, found, field, number, whole


def _found_in(line: str) -> Iterator[str]:
    for part in line.split(OPEN)[1:]:
        yield part.partition(CLOSE)[0].casefold()


def _snippet(line: str) -> str:
    words = line.split(" ")
    first = next((n for n, word in enumerate(words) if OPEN in word), 0)
    start = max(0, min(first - SNIPPET_WORDS // 3, len(words) - SNIPPET_WORDS))
    shown = " ".join(words[start : start + SNIPPET_WORDS])
    if shown.rfind(OPEN) > shown.rfind(CLOSE):
        shown += CLOSE
    return f"{'… ' if start else ''}{shown}{' …' if start + SNIPPET_WORDS < len(words) else ''}"
