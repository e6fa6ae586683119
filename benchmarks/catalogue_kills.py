"""Kill writers and the publisher again and again, on each ledger with each store, and count what was lost.

`diary_pipeline_tests/kills.py` says how; the test of the same name does it for less long.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from diary_pipeline.observability.logs import configure_logging
from diary_pipeline_tests.gcs_server import gcs_server
from diary_pipeline_tests.kills import WRITERS, Count, Site, trial
from diary_pipeline_tests.servers import postgres_server

KILLS = 52
COLUMNS = "kills, batches, lost, doubled, torn, stale, looks, bad_looks, refused_looks, orphans, publishes, within"


def main() -> None:
    """Kill, count and print."""
    configure_logging("error", False)
    print(f"| ledger | store | {COLUMNS.replace(', ', ' | ')} | made from | s |")
    print("| --- " * (len(COLUMNS.split(", ")) + 4) + "|")
    with gcs_server() as gcs, postgres_server() as postgres:
        stores: Mapping[str, Callable[[Path, str], Site]] = {
            "folder": Site,
            "gcs": lambda root, url: Site(root, url, f"gs://{gcs.bucket()}/diary", {"STORAGE_EMULATOR_HOST": gcs.url}),
        }
        for store, site in stores.items():
            with tempfile.TemporaryDirectory(prefix="diary-kills-") as root:
                _show("SQLite", store, site(Path(root), f"sqlite:///{root}/ledger.db"))
            with tempfile.TemporaryDirectory(prefix="diary-kills-") as root, postgres.database() as url:
                _show("PostgreSQL", store, site(Path(root), url))


def _show(ledger: str, store: str, site: Site) -> None:
    started = time.monotonic()
    count = trial(site, KILLS - WRITERS - 1, seed=11)
    figures = " | ".join(str(getattr(count, name)) for name in COLUMNS.split(", "))
    print(f"| {ledger} | {store} | {figures} | {_origins(count)} | {time.monotonic() - started:.0f} |", flush=True)


def _origins(count: Count) -> str:
    return ", ".join(f"{made} {n}" for made, n in sorted(count.origins.items()))
