"""How the catalogue grows: queries, folds, copies, rewriting and a rebuild from the log, at so many notes.

`python -m benchmarks.catalogue_growth --notes 10000 100000 1000000`. Every step that publishes is a process of its own,
as in the product; its CPU seconds and its peak memory are counted, children and DuckDB's threads included.
"""

import argparse
import multiprocessing
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb

from benchmarks.grown_log import GrownLog
from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.observability.logs import configure_logging
from diary_pipeline.storage.folder import FolderStore

ROUNDS = 5
OWNER = "owner-5"
DAY = "DATE '2025-03-07'"
MONTH = "note_date BETWEEN DATE '2025-03-01' AND DATE '2025-03-31'"
WORDS = "%c81e728d9 a%"
"""What a LIKE costs does not depend on whether it finds anything."""
QUERIES: Mapping[str, str] = {
    "point by recording_key": "SELECT * FROM notes WHERE recording_key = '{key}'",
    "segments of one recording": "SELECT * FROM segments WHERE recording_key = '{key}' ORDER BY segment_id",
    "one day, all owners": f"SELECT user_id, title, summary FROM notes WHERE note_date = {DAY}",
    "one day, one owner": f"SELECT title, summary FROM notes WHERE note_date = {DAY} AND user_id = '{OWNER}'",
    "count a month": f"SELECT count(*) FROM notes WHERE {MONTH}",
    "last 20 of an owner": f"SELECT note_date, title FROM notes WHERE user_id = '{OWNER}' "
    "ORDER BY note_date DESC, recording_key DESC LIMIT 20",
    "LIKE in a month": f"SELECT recording_key FROM notes WHERE {MONTH} AND markdown LIKE '{WORDS}'",
    "LIKE, one owner": f"SELECT recording_key FROM notes WHERE user_id = '{OWNER}' AND markdown LIKE '{WORDS}'",
    "LIKE everywhere": f"SELECT recording_key FROM notes WHERE markdown LIKE '{WORDS}'",
    "notes and owners by month": "SELECT date_trunc('month', note_date), count(*), count(DISTINCT user_id) "
    "FROM notes GROUP BY 1 ORDER BY 1",
}


Asked = Mapping[str, tuple[float, float]]
"""Query -> milliseconds on the clock, and of all threads together."""


@dataclass(frozen=True)
class Cost:
    """What a step took."""

    seconds: float
    cpu_s: float
    peak_mb: float
    said: str = ""

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s | {self.cpu_s:.1f} s | {self.peak_mb:.0f} MB | {self.said}"


@dataclass(frozen=True)
class Place:
    """Where one grown diary lies."""

    folder: Path
    size: int

    @property
    def live(self) -> Path:
        return self.folder / "home" / "catalogue.duckdb"

    def log(self) -> GrownLog:
        return GrownLog(open_ledger(f"sqlite:///{self.folder / 'ledger.db'}"), self.folder / "objects", self.size)

    def publisher(self) -> Publisher:
        return Publisher(self.log().ledger, FolderStore(self.folder / "objects"), self.live)


def main() -> None:
    """Measure at 10,000 and 100,000 notes."""
    run([10_000, 100_000], None)


def run(sizes: list[int], keep: Path | None) -> None:
    """Grow a diary of each size and print what everything costs."""
    asked: dict[int, list[Asked]] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="diary-growth-", dir=keep) as folder:
            asked[size] = _grown(Place(Path(folder), size))
    print("\nMilliseconds on the clock (of CPU), medians of 5: built from the log / after folds / compacted\n")
    print(f"| query | {' | '.join(f'{size:,} notes' for size in sizes)} |\n|---|{'---|' * len(sizes)}")
    for name in ("open", *QUERIES):
        cells = (" / ".join("{:.1f} ({:.1f})".format(*moment[name]) for moment in asked[size]) for size in sizes)
        print(f"| {name} | {' | '.join(cells)} |")


def _grown(place: Place) -> list[Asked]:
    print(
        f"\n{place.size:,} notes, {20 * place.size:,} segments\n\n| step | wall | CPU | peak | |\n|---|---|---|---|---|"
    )
    _step("write the log (generated)", place, _grow_first)
    _step("rebuild from the log", place, _publish)
    key = place.log().key(place.size // 2)
    asked = [_ask(place.live, key)]
    at = place.size
    for count in (32, 32, 1000, 1000):
        place.log().grow(at, count)
        at += count
        _step(f"fold {count:,} new", place, _publish)
    _step("copy the whole file", place, _copy)
    asked.append(_ask(place.live, key))
    _step("compact", place, _compact)
    asked.append(_ask(place.live, key))
    return asked


def _step(name: str, place: Place, work: Callable[[Place], str]) -> None:
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        print(f"| {name} | {pool.submit(_measured, place, work).result()} |", flush=True)


def _measured(place: Place, work: Callable[[Place], str]) -> Cost:
    configure_logging("error", False)
    # DuckDB takes a main module without a file for a person at a prompt, and draws progress bars.
    sys.modules["__main__"].__file__ = __file__
    began, before = time.perf_counter(), _cpu_s()
    said = work(place)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return Cost(time.perf_counter() - began, _cpu_s() - before, peak_mb, said)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _grow_first(place: Place) -> str:
    place.log().grow(0, place.size)
    size = sum(file.stat().st_size for file in (place.folder / "objects").rglob("*.parquet"))
    return f"{size / 1e6:.0f} MB of Parquet, ledger {(place.folder / 'ledger.db').stat().st_size / 1e6:.0f} MB"


def _publish(place: Place) -> str:
    done = place.publisher().publish()
    return f"from {done.origin}: {done.recordings:,} recordings; file {place.live.stat().st_size / 1e6:.0f} MB"


def _copy(place: Place) -> str:
    shutil.copyfile(place.live, copy := place.folder / "copy")
    copy.unlink()
    return ""


def _compact(place: Place) -> str:
    place.publisher().compact()
    return f"file {place.live.stat().st_size / 1e6:.0f} MB"


def _ask(live: Path, key: str) -> Asked:
    opened = [_ms(lambda: duckdb.connect(str(live), read_only=True).close()) for _ in range(ROUNDS)]
    took = {"open": _median(opened)}
    with duckdb.connect(str(live), read_only=True, config={"threads": "2"}) as db:
        for name, sql in QUERIES.items():
            ask = partial(_all, db, sql.format(key=key))
            took[name] = _median([_ms(ask) for _ in range(ROUNDS)])
    return took


def _all(db: duckdb.DuckDBPyConnection, sql: str) -> object:
    return db.execute(sql).fetchall()


def _ms(work: Callable[[], object]) -> tuple[float, float]:
    began, before = time.perf_counter(), time.process_time()
    work()
    return 1000 * (time.perf_counter() - began), 1000 * (time.process_time() - before)


def _median(took: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the median of both clocks, each for itself."""
    wall, cpu = zip(*took, strict=True)
    return statistics.median(wall), statistics.median(cpu)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--folder", type=Path, help="where the diaries lie meanwhile; 1,000,000 notes take 12 GB")
    chosen = parser.parse_args()
    run(chosen.notes, chosen.folder)
