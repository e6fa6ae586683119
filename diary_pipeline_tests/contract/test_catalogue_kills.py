"""Whoever is killed, at whatever moment: nothing acknowledged is lost, doubled, torn or stale, and no reader sees it.

`python -m benchmarks catalogue_kills` does the same for longer.
"""

from pathlib import Path

import pytest

from diary_pipeline_tests.gcs_server import GcsServer
from diary_pipeline_tests.kills import WRITERS, Site, trial

KILLS = 12


@pytest.fixture(params=["folder", "gcs"])
def site(request: pytest.FixtureRequest, ledger_url: str, tmp_path: Path) -> Site:
    """Each ledger with each store."""
    if request.param == "folder":
        return Site(tmp_path, ledger_url)
    gcs: GcsServer = request.getfixturevalue("gcs")
    return Site(tmp_path, ledger_url, f"gs://{gcs.bucket()}/diary", {"STORAGE_EMULATOR_HOST": gcs.url})


@pytest.mark.slow
def test_writers_and_publisher_killed_at_any_moment_lose_double_and_tear_nothing(site: Site) -> None:
    count = trial(site, KILLS, seed=7)
    assert count.kills == KILLS + WRITERS + 1
    bad = (count.lost, count.doubled, count.torn, count.stale, count.bad_looks, count.refused_looks)
    assert bad == (0,) * 6, count
    assert count.batches and count.publishes and count.looks
