"""Search over 100,000 notes with 20 segments each: what building, following and asking cost, beside LIKE in SQL.

The words follow Zipf's law over a made-up vocabulary, so that the commonest stands in every recording and the rarest in
a handful, as in any language. The catalogue is filled by SQL and not by 100,000 commits: what search reads is the same
published file. Every question is asked 15 times, the median is told. CPU milliseconds stand beside the clock's, because
the machine may be busy; a search opens both files each time, LIKE has its file open.
"""

import contextlib
import datetime as dt
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import duckdb
import numpy as np

from benchmarks.published import insert, published
from diary_pipeline.catalogue.search import search
from diary_pipeline.catalogue.search_index import SearchIndex, reading
from diary_pipeline.catalogue.search_meaning import Vectors
from diary_pipeline.catalogue.search_ranking import ANY, Filters
from diary_pipeline.catalogue.search_words import read_words
from diary_pipeline.cli.output import print_markdown_rows
from diary_pipeline.ledger.pointers import Pointer

NOTES = int(os.environ.get("BENCH_SEARCH_NOTES", "100000"))
OWNERS = 200
SEGMENTS, SEGMENT_WORDS, SUMMARY_WORDS = 20, 12, 40
VOCABULARY = 40_000
MOVED = 1_000
ASKED = 15
PASSAGES, WIDTH = 4, 384
"""A note and three half minutes, as MiniLM makes vectors of them."""
PLACES = json.dumps([("said", 0)] * PASSAGES)
FIRST_DAY = dt.date(2024, 1, 1)


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        live = Path(folder) / "catalogue.duckdb"
        words = _vocabulary()
        keys = _fill(live, words)
        index = SearchIndex(Path(folder) / "search.sqlite")
        pointers = [Pointer(key, "note", "", "v", "o", 1) for key in keys]
        rows = []
        with duckdb.connect(str(live), read_only=True) as db:
            rows.append(("built from the published file", *_timed(lambda: index.follow(db, pointers, 1))))
            some = pointers[:: NOTES // MOVED][:MOVED]
            rows.append((f"{len(some):,} scattered notes replaced", *_timed(lambda: index.follow(db, some, 1))))
            rows.append((f"the {MOVED:,} latest replaced", *_timed(lambda: index.follow(db, pointers[-MOVED:], 1))))
            rows.append(("32 replaced", *_timed(lambda: index.follow(db, pointers[-32:], 1))))
        rows.append(("compacted after an erasure", *_timed(index.compact)))
        print(f"{NOTES:,} notes, {NOTES * SEGMENTS:,} segments, {OWNERS} owners.\n")
        print_markdown_rows(("step", "seconds", "CPU seconds"), rows)
        print(f"\nSearch file {_mb(index.path)} MB, catalogue {_mb(live)} MB; peak {_peak_mb()} MiB.\n")
        columns = ("looked for", "recordings", "search, ms (CPU)", "LIKE in notes", "LIKE in segments")
        print_markdown_rows(columns, list(_asked(index.path, live, words)))
        _by_meaning(index, live, words)


def _asked(path: Path, live: Path, words: list[str]) -> Iterator[tuple[str, ...]]:
    one = Filters(user_id="owner7")
    month = Filters(since="2024-03-01", until="2024-03-31")
    for name, typed, filters in (
        ("rare", words[25_000], ANY),
        ("middling", words[900], ANY),
        ("two words", f"{words[300]} {words[500]}", ANY),
        ("phrase", f'"{words[2]} {words[30]}"', ANY),
        ("beginning of words", f"{words[900][:3]}*", ANY),
        ("commonest", words[0], ANY),
        ("three commonest", " ".join(words[:3]), ANY),
        ("middling, one owner", words[900], one),
        ("commonest, one owner", words[0], one),
        ("commonest, one month", words[0], month),
    ):
        with contextlib.closing(reading(path)) as index:
            where, values = filters.conditions
            matching = f"FROM words JOIN documents ON id = words.rowid WHERE words MATCH ?{where}"
            (count,) = index.execute(f"SELECT count(*) {matching}", [read_words(typed).expression, *values]).fetchone()
        asked = _median_ms(partial(search, path, live, typed, filters))
        like = f"%{typed.strip(chr(34) + '*')}%"
        yield name, f"{count:,}", asked, *_likes(live, like, filters)


def _likes(live: Path, like: str, filters: Filters) -> tuple[str, str]:
    """Time what a user would write in SQL: the latest 20, unranked."""
    owner = "AND user_id = 'owner7'" if filters.user_id else ""
    days = "AND recording_key BETWEEN '2024-03-01' AND '2024-04-01'" if filters.since else ""
    with duckdb.connect(str(live), read_only=True, config={"threads": 2}) as db:
        notes = (
            "SELECT recording_key FROM notes WHERE (title ILIKE ? OR summary ILIKE ?) "
            f"{owner} {days} ORDER BY note_date DESC LIMIT 20"
        )
        segments = (
            f"SELECT recording_key, start_s FROM segments WHERE text ILIKE ? {owner} {days} "
            "ORDER BY recording_key DESC LIMIT 20"
        )
        return (
            _median_ms(lambda: db.execute(notes, [like, like]).fetchall(), 3),
            _median_ms(lambda: db.execute(segments, [like]).fetchall(), 3),
        )


def _by_meaning(index: SearchIndex, live: Path, words: list[str]) -> None:
    """Time a question by meaning over vectors that lie anywhere: comparing does not see what they mean."""
    draw = np.random.default_rng(7)
    with index.writing() as file:
        documents = [row[0] for row in file.execute("SELECT id FROM documents")]
        file.execute("BEGIN IMMEDIATE")
        for start in range(0, len(documents), 5_000):
            some = documents[start : start + 5_000]
            drawn = draw.standard_normal((len(some) * PASSAGES, WIDTH), np.float32)
            vectors = _Random().scaled(drawn).astype(np.float16)
            made = ((n, PLACES, vectors[i * PASSAGES : (i + 1) * PASSAGES].tobytes()) for i, n in enumerate(some))
            file.executemany("INSERT INTO vectors VALUES (?, ?, ?)", made)
        file.execute("UPDATE documents SET embedded_with = ?", [_Random.made_with])
        file.execute("COMMIT")
    print(f"\nWith {PASSAGES} vectors of {WIDTH} numbers a note the search file has {_mb(index.path)} MB.\n")
    rows = [
        (name, _median_ms(partial(search, index.path, live, words[900], filters, embedder=_Random()), 5))
        for name, filters in (("everybody", ANY), ("one owner of 200", Filters(user_id="owner7")))
    ]
    print_markdown_rows(("by meaning and words", "ms (CPU)"), rows)
    print(f"\nPeak {_peak_mb()} MiB.")


class _Random:
    """A vector from nowhere, at no cost: MiniLM's own 20 ms a question are not in the figures."""

    made_with = "random"
    is_remote = False
    least_similarity = 0.15

    def embed(self, texts: Sequence[str]) -> Vectors:
        return self.scaled(np.random.default_rng(1).standard_normal((len(texts), WIDTH), np.float32))

    def scaled(self, vectors: Vectors) -> Vectors:
        scaled: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return scaled


def _median_ms(ask: Callable[[], object], times: int = ASKED) -> str:
    """Give the median of wall milliseconds and, in parentheses, of CPU milliseconds."""
    taken = []
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        ask()
        taken.append((time.perf_counter() - wall, time.process_time() - cpu))
    wall_s, cpu_s = (statistics.median(column) for column in zip(*taken, strict=True))
    return f"{wall_s * 1000:.0f} ({cpu_s * 1000:.0f})"


def _timed(do: Callable[[], None]) -> tuple[str, str]:
    wall, cpu = time.perf_counter(), time.process_time()
    do()
    return f"{time.perf_counter() - wall:.2f}", f"{time.process_time() - cpu:.2f}"


def _vocabulary() -> list[str]:
    draw = np.random.default_rng(3)
    syllables = [c + v for c in "bdfghklmnprstvwz" for v in ("a", "e", "i", "o", "u", "ä", "ie")]
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        words["".join(draw.choice(syllables, size=int(draw.integers(1, 5))))] = None
    return list(words)


def _fill(live: Path, words: list[str]) -> list[str]:
    """Write a published catalogue and return its keys."""
    draw = np.random.default_rng(11)
    reach = np.cumsum(1 / np.arange(1, VOCABULARY + 1) ** 1.05)
    known = np.array(words)
    keys = []
    with published(live) as db:
        for start in range(0, NOTES, 5_000):
            notes, segments, items = [], [], []
            spoken = known[np.searchsorted(reach, draw.random((5_000, SEGMENTS * SEGMENT_WORDS)) * reach[-1])]
            for n in range(start, min(start + 5_000, NOTES)):
                day = FIRST_DAY + dt.timedelta(days=n * 365 // NOTES)
                key, owner = f"{day}-memo-{n:012x}", f"owner{n % OWNERS}"
                keys.append(key)
                said = spoken[n - start]
                lines = [" ".join(said[i : i + SEGMENT_WORDS]) for i in range(0, len(said), SEGMENT_WORDS)]
                notes.append((key, owner, day, lines[0], " ".join(said[:SUMMARY_WORDS])))
                segments += [(key, owner, i, i * 5.0, i * 5.0 + 5, "speech", line) for i, line in enumerate(lines)]
                items += [(key, owner, i, "event", line, i, i * 5.0, i * 5.0 + 5) for i, line in enumerate(lines[:3])]
                items.append((key, owner, 3, "person", str(said[0]).title(), 0, 0.0, 5.0))
            insert(db, "notes", "recording_key user_id note_date title summary", notes)
            insert(db, "segments", "recording_key user_id segment_id start_s end_s kind text", segments)
            insert(db, "note_items", "recording_key user_id item_id kind text segment_id start_s end_s", items)
    return keys


def _mb(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.0f}"


def _peak_mb() -> str:
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}"
