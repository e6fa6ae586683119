"""The marts in Dagster: the same assets as `@dbt_assets` makes, descending from our own, built and told by one run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from diary_pipeline.catalogue.dbt_notes.manifest import manifest
from diary_pipeline.definitions import defs
from diary_pipeline.defs.marts import build_marts, marts_assets
from diary_pipeline_tests.defs.house import House

DAILY = dg.AssetKey(["marts", "daily_diary"])


@pytest.fixture(scope="module")
def ours() -> dg.AssetsDefinition:
    """The assets as the code location has them."""
    return marts_assets(manifest(make=True))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house of its own."""
    with House(tmp_path / "home") as entered:
        yield entered


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of dbt's own imports
def test_they_are_what_dbt_assets_would_make(ours: dg.AssetsDefinition) -> None:
    from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets

    settings = DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True)

    @dbt_assets(manifest=dict(manifest(make=True)), dagster_dbt_translator=DagsterDbtTranslator(settings))
    def theirs(context: dg.AssetExecutionContext):
        """Never run; without an annotation of what it returns, which dagster_dbt reads."""

    assert ours.keys == theirs.keys and len(ours.keys) > 20
    assert ours.check_keys == theirs.check_keys and len(ours.check_keys) > 80
    for spec in ours.specs:
        other = theirs.get_asset_spec(spec.key)
        assert {d.asset_key for d in spec.deps} == {d.asset_key for d in other.deps}, spec.key
        assert (spec.group_name, spec.kinds) == (other.group_name, other.kinds)
        assert other.description is not None and other.description.startswith(spec.description or "?")
    for key in ours.check_keys:
        mine, other = ours.get_spec_for_check_key(key), theirs.get_spec_for_check_key(key)
        assert (mine.description, mine.blocking) == (other.description, other.blocking)


def test_a_day_of_the_diary_descends_from_notes_transcripts_and_recordings() -> None:
    graph = defs.resolve_asset_graph()
    ancestors = graph.get_ancestor_asset_keys(DAILY)
    assert {dg.AssetKey(name) for name in ("raw_audio", "transcript", "diary_note")} <= ancestors
    told = graph.get(DAILY).metadata["dagster/column_schema"]
    assert {c.name: c.description for c in told.columns}["title"] == "The titles, in order of time."


def test_they_are_built_every_night_in_the_time_zone_of_the_deployment() -> None:
    [schedule] = [s for s in defs.schedules or () if s.name == "nightly_marts"]
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert (schedule.job_name, schedule.cron_schedule) == (build_marts.name, "30 3 * * *")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedule.execution_timezone


def run(house: House) -> dg.ExecuteInProcessResult:
    """Execute the job as the schedule asks for it."""
    job = house.defs.resolve_job_def(build_marts.name)
    return job.execute_in_process(instance=house.instance, raise_on_error=False)


@pytest.mark.slow
def test_a_run_builds_tests_and_tells_and_a_failed_test_leaves_everything_as_it_was(house: House) -> None:
    house.drop("2026-03-06 walk.wav")
    house.drop("2026-03-07 walk.wav", seconds=3.0)
    house.once()
    done = run(house)
    assert done.success
    told = {event.asset_key: event.materialization for event in done.get_asset_materialization_events()}
    assert len(told) > 20 and told[DAILY].metadata["dagster/row_count"].value == 2
    checks = {e.check_name: e for e in done.get_asset_check_evaluations()}
    assert len(checks) > 80 and all(check.passed for check in checks.values())
    assert house.settings.marts_file.with_suffix(".html").exists()
    before = house.settings.marts_file.stat().st_mtime_ns

    house.settings.catalogue_file.chmod(0o600)
    with duckdb.connect(str(house.settings.catalogue_file)) as db:
        db.execute("UPDATE data.note_items SET segment_id = 99")
    done = run(house)
    assert not done.success and not done.get_asset_materialization_events()
    failed = {e.check_name: e for e in done.get_asset_check_evaluations() if not e.passed}
    assert "every_mention_was_said" in failed and failed["every_mention_was_said"].asset_key.path[-1] == "people"
    assert house.settings.marts_file.stat().st_mtime_ns == before
    assert "these failed" in message_of(done)


def message_of(done: dg.ExecuteInProcessResult) -> str:
    """What the run says went wrong."""
    [failure] = [event for event in done.all_events if event.is_step_failure]
    error: Any = failure.step_failure_data.error
    return str(error.cause.message if error.cause else error.message)
