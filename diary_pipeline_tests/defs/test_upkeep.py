"""What runs by the clock: the catalogue's upkeep and the look at the stores, as Dagster executes them."""

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from diary_pipeline.defs.schedules import hourly_reconcile, nightly
from diary_pipeline.ledger.tables import commits
from diary_pipeline.upkeep.growth import Growth
from diary_pipeline_tests.defs.house import House
from diary_pipeline_tests.diaries import Diary


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house nobody has lived in yet."""
    with House(tmp_path) as house:
        yield house


def keep_up(house: House, **how: Any) -> Mapping[str, Any]:
    """Materialise the asset and return what it says that it cost; it compacts in this process."""
    wiring = house.wiring
    growth = Growth(wiring.ledger, wiring.store, wiring.publisher, wiring.publisher.compact, 30 * 86_400.0, **how)
    done = dg.materialize(
        [house.defs.get_assets_def("catalogue_upkeep")],
        instance=house.instance,
        resources={"growth": growth, "leases": house.defs.resources["leases"]},
    )
    [event] = done.asset_materializations_for_node("catalogue_upkeep")
    return {name: value.value for name, value in event.metadata.items()}


def look(house: House, **how: Any) -> dg.ExecuteInProcessResult:
    """Execute the job `reconcile`."""
    job = house.defs.get_repository_def().get_job("reconcile")
    return job.execute_in_process(instance=house.instance, raise_on_error=False, **how)


def test_upkeep_merges_and_compacts_and_says_what_that_cost(house: House) -> None:
    diary = Diary(house.ledger, house.wiring.store)
    some = diary.accept(*(f"memo{n}.m4a" for n in range(9)))
    for recording in some:
        diary.transcribe([recording])
        diary.write([recording])
    house.publish()
    with house.ledger.writing() as tx:
        tx.execute(commits.update().values(committed_at=0.0))
    told = keep_up(house)
    assert (told["objects_read"], told["objects_written"], told["compacted"]) == (18, 2, False)
    assert told["bytes_read"] > told["bytes_written"] > 0
    assert told["published_bytes"] == told["published_bytes_before"] > 0
    diary.transcribe(some, ["I ran."])
    house.publish()
    told = keep_up(house, worth_it=-1.0)
    assert (told["objects_read"], told["compacted"]) == (0, True), "versions may still be rolled back"
    assert house.sql("SELECT count(*) FROM notes") == [(9,)]


def test_reconcile_mends_and_fails_only_for_what_is_left(house: House) -> None:
    diary = Diary(house.ledger, house.wiring.store)
    [walk] = diary.accept("walk.m4a")
    done = look(house)
    assert not done.success, "its audio was never stored"
    assert walk.key not in str([e.message for e in done.all_events]), "keys stay out of Dagster's events"
    house.wiring.store.put(walk.object_key, b"sound")
    done = look(house, run_config={"ops": {"compare_and_mend": {"config": {"months": 1}}}})
    assert done.success
    diary.transcribe([walk])
    for key in list(house.wiring.store.list("catalogue/")):
        house.wiring.store.delete(key.rpartition("/")[0])
    done = look(house)
    assert done.success
    [output] = [e for e in done.all_events if e.event_type is dg.DagsterEventType.STEP_OUTPUT]
    assert output.step_output_data.metadata["missing_object mended"].value == 1
    diary.transcribe([walk])
    assert look(house).success


@pytest.mark.parametrize(("hour", "months"), [(4, 2), (5, 0), (6, 2)])
def test_an_hourly_look_sees_the_last_months_and_once_a_night_everything(hour: int, months: int) -> None:
    at = dt.datetime(2026, 11, 27, hour, 40, tzinfo=dt.UTC)
    context = dg.build_schedule_context(scheduled_execution_time=at)
    asked = hourly_reconcile("UTC").evaluate_tick(context).run_requests
    assert [r.run_config for r in asked or ()] == [{"ops": {"compare_and_mend": {"config": {"months": months}}}}]


def test_schedules_keep_the_deployments_time(house: House) -> None:
    assert {s.execution_timezone for s in (*nightly("Europe/Berlin"), hourly_reconcile("Europe/Berlin"))} == {
        "Europe/Berlin"
    }
    there = house.defs.get_repository_def().schedule_defs
    assert {s.name for s in there} >= {"nightly_upkeep", "hourly_reconcile"}
