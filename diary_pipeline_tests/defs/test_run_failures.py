"""Operators are told once of each failed run, and of the recordings that failed in a batch; driven tick after tick."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from diary_pipeline.core.errors import PermanentError, ServiceMissing
from diary_pipeline.ledger.batches import failed_codes
from diary_pipeline.ledger.tables_jobs import outbox
from diary_pipeline_tests.contract.query_plans import plans, walks
from diary_pipeline_tests.defs.house import House

URL = "https://ops.example/hook"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path / "home", DIARY_RUN_FAILURE_WEBHOOK=URL) as found:
        yield found


class Ticks:
    """The sensor with its cursor, as the daemon keeps it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.cursor: str | None = None

    def __call__(self) -> list[tuple[str, dict[str, Any]]]:
        """Tick, and return all that was ever told."""
        house, sensor = self.house, self.house.defs.resolve_sensor_def("run_failures")
        handed = {key: (house.defs.resources or {})[key] for key in sensor.required_resource_keys}
        with dg.build_sensor_context(
            instance=house.instance, definitions=house.defs, resources=handed, cursor=self.cursor
        ) as context:
            self.cursor = sensor.evaluate_tick(context).cursor
        with house.ledger.reading() as conn:
            rows = conn.execute(sa.select(outbox).order_by(outbox.c.id)).all()
        assert {row.url for row in rows} <= {URL}
        return [(row.event, row.body) for row in rows]


@pytest.fixture
def ticks(house: House) -> Ticks:
    made = Ticks(house)
    assert made() == []  # the first one only looks where to begin
    return made


def test_a_run_that_failed_is_told_once_with_ids_and_no_more(house: House, ticks: Ticks) -> None:
    house.drop("2026-03-02 river.wav")
    house.wiring.ears.broken = ServiceMissing("model_missing", "There is no model; run `diary models get base`.")
    [run] = house.once()
    [(event, body)] = ticks()
    assert (event, body["id"], body["run_id"], body["job"]) == (
        "run.failed",
        run.run_id,
        run.run_id,
        "transcribe_recordings",
    )
    assert body["batch_id"]
    assert len(ticks()) == 1, "once"


def test_recordings_that_failed_are_told_once_a_batch_also_when_all_of_them_did(house: House, ticks: Ticks) -> None:
    house.drop("2026-03-02 river.wav")
    house.drop("2026-03-03 bread.wav", seconds=3.0)
    house.wiring.ears.broken = PermanentError("audio_odd", "It is odd.")
    run, _published = house.once()
    assert not run.success
    [(event, body)] = ticks()
    assert (event, body["run_id"], body["codes"]) == ("recordings.failed", run.run_id, {"audio_odd": 2})
    said = json.dumps(body)
    assert not [key for key in list(house.keys()) if key in said]
    assert len(ticks()) == 1


def test_runs_of_others_are_nobodys_business(house: House, ticks: Ticks) -> None:
    @dg.job
    def somebody_elses() -> None:
        return

    theirs = house.instance.create_run_for_job(somebody_elses, status=dg.DagsterRunStatus.STARTED)
    house.instance.report_run_failed(theirs)
    assert ticks() == []


def test_a_tick_that_died_before_its_cursor_was_kept_tells_again_under_the_same_id(house: House, ticks: Ticks) -> None:
    house.drop("2026-03-02 river.wav")
    house.wiring.ears.broken = ServiceMissing("model_missing", "There is no model; run `diary models get base`.")
    house.once()
    before = ticks.cursor
    ticks()
    ticks.cursor = before
    first, second = ticks()
    assert first[1]["id"] == second[1]["id"]


def test_without_an_address_nobody_is_told(tmp_path: Path) -> None:
    with House(tmp_path / "home") as quiet:
        ticks = Ticks(quiet)
        ticks()
        quiet.drop("2026-03-02 river.wav")
        quiet.wiring.ears.broken = ServiceMissing("model_missing", "There is no model; run `diary models get base`.")
        quiet.once()
        assert ticks() == []


def test_the_batch_of_a_run_is_found_by_an_index(house: House) -> None:
    [looked] = plans(house.ledger, lambda conn: failed_codes(conn, run_id="none"))
    assert "batches_run" in looked
    assert not walks(looked)
