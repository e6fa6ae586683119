"""The sensor asks for a publish when users would see something new, and the run tells how fresh it was."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from diary_pipeline.ledger.publications import place_of, watch
from diary_pipeline_tests.defs.house import House
from diary_pipeline_tests.diaries import Diary


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path / "home") as found:
        Diary(found.ledger, found.wiring.store).refuse("a.txt")
        yield found


def published(house: House) -> dict[str, object]:
    """Tick, execute what is asked for, and return the figures of the run."""
    [request] = house.tick("publish")
    run = house.execute("publish", request)
    assert run.success
    [output] = [event for event in run.all_events if event.is_successful_output]
    return {name: value.value for name, value in output.step_output_data.metadata.items()}


def test_a_publish_run_shows_how_long_commits_waited(house: House) -> None:
    figures = published(house)
    assert (figures["watermark"], figures["recordings"], figures["origin"]) == (1, 1, "log")
    assert 0 < figures["freshness_s"] == figures["oldest_freshness_s"]
    assert house.tick("publish") == []


def test_new_marts_are_asked_for_although_nothing_was_committed(house: House) -> None:
    published(house)
    with duckdb.connect(str(house.settings.marts_file)) as db:
        db.execute("CREATE SCHEMA marts.marts")
        db.execute("CREATE TABLE marts.marts.daily AS SELECT 1 AS day")
    assert published(house)["recordings"] == 0
    assert house.sql("SELECT day FROM marts.daily") == [(1,)]
    assert house.tick("publish") == []


def test_nothing_is_asked_for_while_a_process_publishes_by_itself(house: House) -> None:
    place = place_of(house.settings.catalogue_file)
    watch(house.ledger, place, 60)
    assert house.tick("publish") == []
    watch(house.ledger, place, -1)
    assert published(house)["recordings"] == 1
