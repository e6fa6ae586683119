"""Search in what is published: by words, or by words and meaning together.

Reads the search file; what is in it and how it follows the catalogue is search_index.py's business. Where nothing can
be found is told apart: no file yet, a file behind the catalogue, or no such words.

What surprises: ranks are mixed and not scores (reciprocal rank fusion), because what BM25 and a cosine count cannot be
added.
"""

import contextlib
import dataclasses
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from diary_pipeline.catalogue.query import query
from diary_pipeline.catalogue.search_hits import Hit, hit_by_meaning, hit_by_words
from diary_pipeline.catalogue.search_index import reading, watermark
from diary_pipeline.catalogue.search_meaning import Close, Embedder, by_meaning
from diary_pipeline.catalogue.search_ranking import ANY, Filters, Ranked, by_words
from diary_pipeline.catalogue.search_words import Words, read_words
from diary_pipeline.core.errors import NotFound

MIXED = 100
"""Recordings that each way of searching hands over to be mixed."""
RANK_OFFSET = 60
"""Of reciprocal rank fusion, as in the paper that proposed it (Cormack and others, 2009)."""


@dataclass(frozen=True)
class Found:
    """The answer to one search."""

    hits: tuple[Hit, ...]
    is_behind: bool = False
    """Whether the catalogue knows more than the search file yet."""
    is_cut: bool = False
    """Whether so many recordings have the words that only the latest of them were ranked."""


class _Both(NamedTuple):
    score: float
    said: Ranked | None
    meant: Close | None


def search(
    path: Path,
    live: Path,
    typed: str,
    filters: Filters = ANY,
    *,
    limit: int = 20,
    embedder: Embedder | None = None,
) -> Found:
    """Find recordings whose note or speech has all the words, best first; NotFound where nothing is indexed yet.

    With an embedder those that mean the same are mixed in; it is asked once, with what was typed.
    """
    reached = watermark(path)
    if reached is None:
        raise NotFound("search_missing", f"There is no search file at {path} yet: `diary publish` makes it.")
    is_behind = reached < _published(live)
    words = read_words(typed)
    question = embedder.embed([typed])[0] if embedder and words.groups else None
    with contextlib.closing(reading(path)) as index, _snapshot(index):
        ranked, is_cut = by_words(index, words, filters, limit if question is None else max(limit, MIXED))
        if embedder is None or question is None:
            hits = [hit_by_words(index, found) for found in ranked]
        else:
            close = by_meaning(index, embedder, question, _also(words, filters), max(limit, MIXED))
            hits = [_shown(index, found) for found in _fused(ranked, close)[:limit]]
    return Found(tuple(hits), is_behind, is_cut)


def _fused(ranked: Sequence[Ranked], close: Sequence[Close]) -> list[_Both]:
    both: dict[int, _Both] = {}
    for place, said in enumerate(ranked, 1):
        both[said.document] = _Both(1 / (RANK_OFFSET + place), said, None)
    for place, meant in enumerate(close, 1):
        score, found, _ = both.get(meant.document, _Both(0, None, None))
        both[meant.document] = _Both(score + 1 / (RANK_OFFSET + place), found, meant)
    return sorted(both.values(), key=lambda found: -found.score)


def _shown(index: sqlite3.Connection, found: _Both) -> Hit:
    """Show the words where they were found: they can be marked."""
    if found.said:
        return dataclasses.replace(hit_by_words(index, found.said), score=found.score)
    assert found.meant  # noqa: S101 - one of both found it
    return dataclasses.replace(hit_by_meaning(index, found.meant), score=found.score)


def _also(words: Words, filters: Filters) -> tuple[str, list[object]]:
    """Give what documents that only mean the same must fulfil too: the filters, and no word that is left out."""
    where, values = filters.conditions
    for expression, has in ((filters.names, "IN"), (words.excluded, "NOT IN")):
        if expression:
            where += f" AND documents.id {has} (SELECT rowid FROM words WHERE words MATCH ?)"  # noqa: S608
            values.append(expression)
    return where, values


@contextlib.contextmanager
def _snapshot(index: sqlite3.Connection) -> Iterator[None]:
    """Read one state of the file: what was ranked is there when it is shown."""
    index.execute("BEGIN")
    yield
    index.execute("COMMIT")


def _published(live: Path) -> int:
    return int(query(live, "SELECT watermark FROM catalogue_state").rows[0][0])
