"""Search by meaning: vectors of passages in the search file, and which passages lie closest to what was asked.

What makes vectors is an `Embedder`, which notes/ implements. They are made after a publish, not in it: `embed_waiting`
works off what is new for as long as it is given, and a document without vectors is found by its words meanwhile.

What surprises: every question is compared with every vector, in blocks. That takes no library
(docs/performance.md tells how long); an approximate index would have to be kept true to the file.
"""

import heapq
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from diary_pipeline.catalogue.search_index import SearchIndex, transaction, watermark

PASSAGE_WORDS = 80
"""About half a minute of speech, so that a hit has a moment; MiniLM reads up to 190 words at once."""
TOGETHER = 16
"""Documents whose passages are embedded and committed at once."""
BLOCK = 1_024
"""Documents in memory at once while a question is compared."""

Vectors = npt.NDArray[np.float32]


class Embedder(Protocol):
    """Makes vectors of texts, so that what means the same lies close together."""

    @property
    def made_with(self) -> str:
        """What the vectors depend on; where it changes, all are made anew."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether texts leave the machines of the deployment."""
        ...

    @property
    def least_similarity(self) -> float:
        """The cosine below which two texts have nothing in common."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Give one vector of length 1 a text, in their order; ServiceMissing where that cannot be done now."""
        ...


class Passage(NamedTuple):
    """A stretch of a document that has one vector."""

    field: str
    line: int
    """Its first line, which says when it was said."""
    text: str


class Close(NamedTuple):
    """A document by its closest passage."""

    document: int
    similarity: float
    field: str
    line: int


def passages(title: str, summary: str, said: str) -> Iterator[Passage]:
    """Cut a document: what the note is about, then the speech by half minutes, at ends of lines."""
    if title or summary:
        yield Passage("summary", 0, f"{title}. {summary}".strip(". "))
    first, words = 0, list[str]()
    for number, line in enumerate(said.split("\n")):
        more = line.split()
        if words and len(words) + len(more) > PASSAGE_WORDS:
            yield Passage("said", first, " ".join(words))
            words = []
        if not words:
            first = number
        words += more
    if words:
        yield Passage("said", first, " ".join(words))


def embed_waiting(
    index: SearchIndex, embedder: Embedder, is_private: Callable[[str], bool], budget_s: float = float("inf")
) -> int:
    """Give vectors to documents that have none by this embedder, for `budget_s` seconds; return how many still wait.

    A diary that `is_private` goes to no remote embedder: it has no vectors then and is found by its words alone.
    """
    if watermark(index.path) is None:
        return 0
    until = time.monotonic() + budget_s
    with index.writing() as file:
        kept_in = _private_owners(file, is_private) if embedder.is_remote else []
        if kept_in:
            _forget(file, kept_in)
        todo = _waiting(file, embedder, kept_in)
        for start in range(0, len(todo), TOGETHER):
            if time.monotonic() >= until:
                return len(todo) - start
            _embed(file, embedder, todo[start : start + TOGETHER])
    return 0


def by_meaning(
    index: sqlite3.Connection, embedder: Embedder, question: Vectors, where: tuple[str, list[object]], limit: int
) -> list[Close]:
    """Give the documents closest to a question, closest first; `where` is SQL over `documents`, with its values."""
    condition, values = where
    rows = index.execute(
        "SELECT vectors.document, vectors.passages, vectors.vectors "  # noqa: S608 - built by search.py
        "FROM documents CROSS JOIN vectors ON vectors.document = documents.id "
        f"WHERE documents.embedded_with = ?{condition}",
        [embedder.made_with, *values],
    )
    close: list[Close] = []
    while block := rows.fetchmany(BLOCK):
        vectors = np.frombuffer(b"".join(row[2] for row in block), np.float16).reshape(-1, len(question))
        similarities = vectors.astype(np.float32) @ question
        sizes = [len(row[2]) // (2 * len(question)) for row in block]
        starts = np.cumsum([0, *sizes[:-1]])
        best = np.maximum.reduceat(similarities, starts)
        for n in np.flatnonzero(best >= embedder.least_similarity):
            number, places, _ = block[n]
            passage = int(similarities[starts[n] : starts[n] + sizes[n]].argmax())
            close.append(Close(number, float(best[n]), *json.loads(places)[passage]))
        close = heapq.nlargest(limit, close, key=lambda found: found.similarity)
    return close


def _private_owners(file: sqlite3.Connection, is_private: Callable[[str], bool]) -> list[str]:
    return [owner for (owner,) in file.execute("SELECT DISTINCT user_id FROM documents") if is_private(owner)]


def _forget(file: sqlite3.Connection, owners: Sequence[str]) -> None:
    """Drop the vectors of owners who became private: a remote embedder is not asked about them again."""
    with transaction(file):
        for owner in owners:
            theirs = "SELECT id FROM documents WHERE user_id = ? AND embedded_with IS NOT NULL"
            file.execute(f"DELETE FROM vectors WHERE document IN ({theirs})", [owner])  # noqa: S608
            file.execute("UPDATE documents SET embedded_with = NULL WHERE user_id = ?", [owner])


def _waiting(file: sqlite3.Connection, embedder: Embedder, kept_in: Sequence[str]) -> list[int]:
    rows = file.execute(
        f"SELECT id FROM documents WHERE embedded_with IS NOT ? AND user_id NOT IN ({', '.join('?' * len(kept_in))}) "  # noqa: S608
        "ORDER BY day DESC",  # what is asked about most
        [embedder.made_with, *kept_in],
    )
    return [row[0] for row in rows.fetchall()]


def _embed(file: sqlite3.Connection, embedder: Embedder, documents: Sequence[int]) -> None:
    cut: list[tuple[int, Passage]] = []
    for number in documents:
        row = file.execute("SELECT title, summary, said FROM words WHERE rowid = ?", [number]).fetchone()
        cut += [(number, passage) for passage in passages(*row)] if row else []
    vectors = embedder.embed([passage.text for _, passage in cut]) if cut else np.empty((0, 0), np.float32)
    with transaction(file):
        for number in documents:
            file.execute("DELETE FROM vectors WHERE document = ?", [number])
            now = file.execute("UPDATE documents SET embedded_with = ? WHERE id = ?", [embedder.made_with, number])
            mine = [n for n, (document, _) in enumerate(cut) if document == number]
            if now.rowcount and mine:  # else it was replaced or erased while its vectors were made, or says nothing
                places = json.dumps([(cut[n][1].field, cut[n][1].line) for n in mine])
                blob = vectors[mine].astype(np.float16).tobytes()
                file.execute("INSERT INTO vectors VALUES (?, ?, ?)", [number, places, blob])
