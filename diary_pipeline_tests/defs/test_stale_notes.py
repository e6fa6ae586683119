"""A changed prompt and a stand-in are made good tick after tick, and nothing happens where nothing is stale."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from diary_pipeline.cli import drain
from diary_pipeline.core.errors import PermanentError
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.stale import DEGRADED_RETRY_S
from diary_pipeline.ledger.tables import pointers
from diary_pipeline_tests.builders import speech_like
from diary_pipeline_tests.defs.house import House, PromptedNotes


@pytest.fixture
def writer() -> PromptedNotes:
    return PromptedNotes()


@pytest.fixture
def house(tmp_path: Path, writer: PromptedNotes) -> Iterator[House]:
    with House(tmp_path / "home") as found:
        found.wiring.note_writer = writer
        found.drop("2026-03-02 river.wav")
        yield found


def tick(house: House) -> str:
    """What a tick of `stale_notes` says; it asks for no run."""
    sensor = house.defs.resolve_sensor_def("stale_notes")
    handed = {name: (house.defs.resources or {})[name] for name in sensor.required_resource_keys}
    with dg.build_sensor_context(
        instance=house.instance, definitions=house.defs, sensor_name="stale_notes", resources=handed
    ) as context:
        data = sensor.evaluate_tick(context)
    assert not data.run_requests
    return data.skip_message or ""


def is_idle(house: House) -> bool:
    """Tick, and tell whether it found nothing to do."""
    return tick(house).startswith("no stale note")


def later(house: House, seconds: float) -> None:
    """Let so much time go by for what waits to be tried again."""
    with house.ledger.writing() as tx:
        tx.execute(pointers.update().values(again_at=pointers.c.again_at - seconds))


def told(house: House) -> list[tuple[object, ...]]:
    """What users see, in the published catalogue."""
    return house.sql(
        "SELECT status, writer, degraded, prompt_version FROM recordings JOIN notes USING (recording_key) ORDER BY ALL"
    )


def statuses(house: House) -> set[str]:
    """How the recordings stand in the ledger."""
    with house.ledger.reading() as conn:
        return {row.status for row in recordings.page(conn, limit=10)}


def test_a_tick_with_nothing_stale_does_nothing(house: House, writer: PromptedNotes) -> None:
    assert is_idle(house), "there is no note at all"
    house.once()
    assert is_idle(house) and is_idle(house)
    assert house.once() == []
    assert len(writer.asked) == 1


def test_a_changed_prompt_writes_its_notes_again_once_and_users_see_the_old_ones_until_then(
    house: House, writer: PromptedNotes
) -> None:
    house.drop("2026-03-03 lake.wav", speech_like(3.0, pitch_hz=180.0))
    house.once()
    writer.prompt = "note-two"
    assert tick(house).startswith("2 stale notes planned; finished_transcripts")
    assert statuses(house) == {"completed"}
    assert told(house) == [("completed", "llm", False, "note-one")] * 2
    assert is_idle(house), "they wait already"
    house.once()
    assert told(house) == [("completed", "llm", False, "note-two")] * 2
    assert is_idle(house)
    assert house.once() == []
    assert len(writer.asked) == 4
    assert house.wiring.ears.heard == 2, "nobody listened again"


def test_a_degraded_note_is_upgraded_on_a_later_run_and_dead_routes_are_not_asked_in_every_tick(
    house: House, writer: PromptedNotes
) -> None:
    writer.is_down = True
    house.once()
    assert told(house) == [("degraded", "offline", True, "offline-3")]
    assert is_idle(house) and is_idle(house)
    later(house, DEGRADED_RETRY_S)
    assert not is_idle(house)
    house.once()
    assert (len(writer.asked), is_idle(house)) == (2, True), "tried in vain"
    assert told(house) == [("degraded", "offline", True, "offline-3")]
    writer.is_down = False
    later(house, 2 * DEGRADED_RETRY_S)
    assert not is_idle(house)
    assert statuses(house) == {"degraded"}
    house.once()
    assert told(house) == [("completed", "llm", False, "note-one")]
    assert house.sql("SELECT count(*) FROM recordings") == [(1,)]
    later(house, 100 * DEGRADED_RETRY_S)
    assert is_idle(house)


def test_a_stand_in_never_takes_the_place_of_a_good_note(house: House, writer: PromptedNotes) -> None:
    house.once()
    writer.prompt, writer.is_down = "note-two", True
    assert not is_idle(house)
    house.once()
    assert told(house) == [("completed", "llm", False, "note-one")]
    assert statuses(house) == {"completed"}
    assert is_idle(house)


def test_a_note_that_cannot_be_written_again_is_told_and_the_old_one_stays(house: House, writer: PromptedNotes) -> None:
    house.once()
    [key] = house.keys()
    writer.prompt, writer.broken = "note-two", PermanentError("note_unsupported", "The note was not published.")
    assert not is_idle(house)
    [run] = house.once()
    assert not run.success
    assert told(house) == [("completed", "llm", False, "note-one")]
    assert house.status("diary_note")[1] == {key}, "Dagster shows that the newest try failed"
    assert is_idle(house), "and it is not tried in every tick"
    writer.broken = None
    later(house, DEGRADED_RETRY_S)
    assert not is_idle(house)
    house.once()
    assert told(house) == [("completed", "llm", False, "note-two")]
    assert house.status("diary_note") == ({key}, set())


def test_a_ledger_that_does_not_answer_fails_the_tick_and_the_next_one_goes_on(
    house: House, writer: PromptedNotes
) -> None:
    house.once()
    writer.prompt = "note-two"
    with house.ledger.writing() as tx:
        tx.exec_driver_sql("ALTER TABLE pointers RENAME TO pointers_away")
    with pytest.raises(sa.exc.OperationalError, match="no such table"):
        tick(house)
    with house.ledger.writing() as tx:
        tx.exec_driver_sql("ALTER TABLE pointers_away RENAME TO pointers")
    assert not is_idle(house)


def test_it_runs_unless_somebody_switches_it_off_and_a_waiting_terminal_leaves_it_alone(house: House) -> None:
    sensor = house.defs.resolve_sensor_def("stale_notes")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert sensor.job_name == "write_notes"
    assert sensor.name not in drain.SENSORS
