"""Search over 100,000 notes with 20 segments each: what building, following and asking cost, beside LIKE in SQL.

The words follow Zipf's law over a made-up vocabulary, so that the commonest stands in every recording and the rarest in
a handful, as in any language. The catalogue is filled by SQL and not by 100,000 commits: what search reads is the same
published file. Every question is asked 15 times of an open system, the median is told.
"""

import datetime as dt
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from diary_pipeline.catalogue import fold
from diary_pipeline.catalogue.schema import SCHEMA_VERSION
from diary_pipeline.catalogue.search import search
from diary_pipeline.catalogue.search_index import SearchIndex
from diary_pipeline.catalogue.search_ranking import Filters
from diary_pipeline.cli.output import print_markdown_rows
from diary_pipeline.ledger.commits import Pointer

NOTES = int(os.environ.get("BENCH_SEARCH_NOTES", "100000"))
OWNERS = 200
SEGMENTS, SEGMENT_WORDS, SUMMARY_WORDS = 20, 12, 40
VOCABULARY = 40_000
MOVED = 1_000
ASKED = 15
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
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{NOTES:,} notes, {NOTES * SEGMENTS:,} segments, {OWNERS} owners.\n")
        print_markdown_rows(("step", "seconds", "CPU seconds"), rows)
        print(
            f"\nFile {_mb(index.path)} MB beside a catalogue of {_mb(live)} MB; peak of this process {peak:.0f} MiB.\n"
        )
        print_markdown_rows(
            ("words looked for", "search, ms", "of them with 20 hits", "LIKE over notes, ms", "LIKE over segments, ms"),
            list(_asked(index.path, live, words)),
        )


def _asked(path: Path, live: Path, words: list[str]) -> Iterator[tuple[str, ...]]:
    one = Filters(user_id="owner7")
    month = Filters(since="2024-03-01", until="2024-03-31")
    for name, typed, filters in (
        ("rare (in 20 or so)", words[25_000], Filters()),
        ("middling (1 in 20)", words[900], Filters()),
        ("two words", f"{words[300]} {words[500]}", Filters()),
        ("phrase", f'"{words[2]} {words[30]}"', Filters()),
        ("beginning of a word", f"{words[900][:3]}*", Filters()),
        ("commonest (in all)", words[0], Filters()),
        ("three commonest", " ".join(words[:3]), Filters()),
        ("middling, one owner of 200", words[900], one),
        ("commonest, one owner of 200", words[0], one),
        ("commonest, one month", words[0], month),
    ):
        asked_ms, hits = _median_ms(lambda t=typed, f=filters: len(search(path, live, t, f).hits))  # type: ignore[misc]
        like = f"%{typed.strip(chr(34) + '*')}%"
        in_notes, in_segments = _likes(live, like, filters)
        yield name, f"{asked_ms:.1f}", str(hits), f"{in_notes:.0f}", f"{in_segments:.0f}"


def _likes(live: Path, like: str, filters: Filters) -> tuple[float, float]:
    """Time what a user would write in SQL: the latest 20, unranked."""
    owner = "AND user_id = 'owner7'" if filters.user_id else ""
    with duckdb.connect(str(live), read_only=True, config={"threads": 2}) as db:
        notes = (
            "SELECT recording_key FROM notes WHERE (title ILIKE ? OR summary ILIKE ?) "  # noqa: S608
            f"{owner} ORDER BY note_date DESC LIMIT 20"
        )
        segments = (
            f"SELECT recording_key, start_s FROM segments WHERE text ILIKE ? {owner} "  # noqa: S608
            "ORDER BY recording_key DESC LIMIT 20"
        )
        return (
            _median_ms(lambda: len(db.execute(notes, [like, like]).fetchall()), 3)[0],
            _median_ms(lambda: len(db.execute(segments, [like]).fetchall()), 3)[0],
        )


def _median_ms(ask: Callable[[], int], times: int = ASKED) -> tuple[float, int]:
    taken, hits = [], 0
    for _ in range(times):
        started = time.perf_counter()
        hits = ask()
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken), hits


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
    chance = 1 / np.arange(1, VOCABULARY + 1) ** 1.05
    chance /= chance.sum()
    known = np.array(words)
    keys = []
    with duckdb.connect(str(live)) as db:
        fold.create(db)
        for start in range(0, NOTES, 5_000):
            notes, segments, items = [], [], []
            for n in range(start, min(start + 5_000, NOTES)):
                day = FIRST_DAY + dt.timedelta(days=n * 365 // NOTES)
                key, owner = f"{day}-memo-{n:012x}", f"owner{n % OWNERS}"
                keys.append(key)
                said = known[draw.choice(VOCABULARY, size=SEGMENTS * SEGMENT_WORDS, p=chance)]
                lines = [" ".join(said[i : i + SEGMENT_WORDS]) for i in range(0, len(said), SEGMENT_WORDS)]
                notes.append((key, owner, day, lines[0], " ".join(said[:SUMMARY_WORDS])))
                segments += [(key, owner, i, i * 5.0, i * 5.0 + 5, "speech", line) for i, line in enumerate(lines)]
                items += [(key, owner, i, "event", line, i, i * 5.0, i * 5.0 + 5) for i, line in enumerate(lines[:3])]
                items.append((key, owner, 3, "person", str(said[0]).title(), 0, 0.0, 5.0))
            _insert(db, "notes", "recording_key user_id note_date title summary", notes)
            _insert(db, "segments", "recording_key user_id segment_id start_s end_s kind text", segments)
            _insert(db, "note_items", "recording_key user_id item_id kind text segment_id start_s end_s", items)
        db.execute("INSERT INTO catalogue_state VALUES (1, now()::TIMESTAMP, ?)", [SCHEMA_VERSION])
        db.execute("CHECKPOINT")
    return keys


def _insert(db: duckdb.DuckDBPyConnection, table: str, columns: str, rows: Sequence[tuple[object, ...]]) -> None:
    names = columns.split()
    db.register("fresh", pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))))
    db.execute(f"INSERT INTO data.{table} BY NAME SELECT * FROM fresh")  # noqa: S608
    db.unregister("fresh")


def _mb(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.0f}"
