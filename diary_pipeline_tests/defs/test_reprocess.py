"""The job `reprocess` and the commands beside it: only what is not current is done again, and users can go back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from diary_pipeline.cli.main import main
from diary_pipeline.core.batch import Stage
from diary_pipeline.ledger.pointers import pointers_of
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
        found.drop("2026-03-03 lake.wav", speech_like(3.0, pitch_hz=180.0))
        found.once()
        yield found


def run(house: House, **config: object) -> dict[str, object]:
    """Execute the job as GraphQL launches it, and give the figures it tells."""
    done = house.defs.resolve_job_def("reprocess").execute_in_process(
        run_config={"ops": {"reprocess": {"config": config}}}, instance=house.instance, raise_on_error=False
    )
    assert done.success
    (output,) = [e for e in done.all_events if e.event_type_value == "STEP_OUTPUT"]
    return {name: value.value for name, value in output.step_output_data.metadata.items()}


def say(command: list[str]) -> None:
    """Give a command that ends well."""
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 0


def hear_otherwise(house: House) -> None:
    """Let another engine be configured, which hears other words."""
    house.wiring.ears.retune("We stayed at home with Tom all day.")


def current(house: House, stage: Stage) -> set[str | None]:
    """The current versions of all recordings."""
    with house.ledger.reading() as conn:
        return {p.version for p in pointers_of(conn, house.keys(), stage).values()}


def test_nothing_is_planned_where_all_is_current(house: House) -> None:
    figures = run(house, where="true")
    assert (figures["transcripts"], figures["notes_alone"], figures["current"], figures["planned"]) == (0, 0, 2, 0)
    assert house.once() == []


def test_what_another_engine_would_hear_is_heard_again_in_one_batch(house: House) -> None:
    before = current(house, "transcript")
    hear_otherwise(house)
    assert run(house, where="true", dry_run=True)["planned"] == 0
    assert house.once() == []
    figures = run(house, where="true")
    assert (figures["transcripts"], figures["notes_alone"], figures["planned"]) == (2, 0, 2)
    assert figures["audio_hours"] == pytest.approx(5 / 3600, abs=0.001)
    runs = [done for done in house.once() if done.job_def.name == "transcribe_recordings"]
    assert len(runs) == 1
    assert not current(house, "transcript") & before
    assert house.sql("SELECT count(*) FROM segments WHERE text LIKE '%Tom%'") == [(2,)]
    assert run(house, where="true")["planned"] == 0


def test_a_condition_and_a_stage_narrow_it(house: House, writer: PromptedNotes) -> None:
    writer.prompt = "note-two"
    hear_otherwise(house)
    figures = run(house, where="recorded_day = DATE '2026-03-02'", stages=["note"])
    assert (figures["transcripts"], figures["notes_alone"], figures["current"]) == (0, 1, 0)
    house.once()
    assert house.sql("SELECT prompt_version FROM notes ORDER BY recording_key") == [("note-two",), ("note-one",)]
    assert house.wiring.ears.heard == 2, "nobody listened again"


def test_keys_nobody_knows_are_counted_and_the_rest_is_done(house: House) -> None:
    hear_otherwise(house)
    figures = run(house, keys=[house.keys()[0], "2026-01-01-nobody-0123456789ab"])
    assert (figures["transcripts"], figures["unknown"], figures["planned"]) == (1, 1, 1)


@pytest.mark.parametrize("config", [{}, {"where": "nonsense >"}, {"where": "true", "stages": ["dream"]}])
def test_a_choice_that_is_none_fails_the_run_and_plans_nothing(house: House, config: dict[str, object]) -> None:
    done = house.defs.resolve_job_def("reprocess").execute_in_process(
        run_config={"ops": {"reprocess": {"config": config}}}, instance=house.instance, raise_on_error=False
    )
    assert not done.success
    assert house.once() == []


def test_rollback_is_published_and_its_file_follows_and_nobody_undoes_it(
    house: House, writer: PromptedNotes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hear_otherwise(house)
    run(house, where="true")
    house.once()
    key = house.keys()[0]
    file = house.settings.note_dir / key[:10] / f"{key}.md"
    assert "Tom" in file.read_text()
    for name, value in house.settings.environment().items():
        monkeypatch.setenv(name, value)
    say(["rollback", key])
    assert "users see it after the next publish" in capsys.readouterr().err
    assert "Tom" not in file.read_text()
    house.once()
    said = "SELECT string_agg(text, ' ' ORDER BY segment_id) FROM segments WHERE recording_key = "
    assert "Tom" not in str(house.sql(f"{said}'{key}'"))
    writer.prompt = "note-two"  # a changed prompt makes others stale, not what was chosen by hand
    figures = run(house, where="true", stages=["note"], dry_run=True)
    assert (figures["notes_alone"], figures["current"]) == (1, 1)
    say(["promote", key, "--format", "csv"])
    listed = capsys.readouterr().out
    assert listed.count("transcript,") == 2 and listed.count("note,") == 2


def test_what_is_asked_before_anything_is_planned_can_be_refused(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in house.settings.environment().items():
        monkeypatch.setenv(name, value)
    say(["reprocess", "--where", "true", "--stage", "note", "--dry-run", "--format", "json"])
    told = capsys.readouterr()
    assert '"notes_alone": 2' in told.out, "the offline writer is configured there, these notes are of another one"
    assert "Nothing was planned" in told.err
    assert house.once() == []
