"""One recording's whole way through real assets, sensors, ledger and catalogue, tick after tick."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from diary_pipeline_tests.builders import silence, speech_like
from diary_pipeline_tests.defs.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path / "home") as found:
        yield found


def cut(path: Path, share: float = 0.55) -> None:
    """Keep the first part of the bytes: the header goes on promising the whole."""
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def test_a_dropped_file_becomes_a_partition_a_transcript_a_note_and_rows_to_query(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    runs = house.once()
    assert [r.success for r in runs] == [True, True, True]
    [key] = house.keys()
    assert key.startswith("2026-03-02-2026-03-02-river-")
    for asset in ("raw_audio", "transcript", "diary_note"):
        assert house.status(asset) == ({key}, set())
    assert house.sql("SELECT recording_key, status FROM recordings") == [(key, "completed")]
    assert house.sql("SELECT recording_key, writer, degraded FROM notes") == [(key, "offline", False)]
    assert house.sql("SELECT count(*) FROM note_items WHERE quote = ''") == [(0,)]
    assert (house.settings.note_dir / "2026-03-02" / f"{key}.md").exists()


def test_regression_10_the_date_of_a_recording_is_not_that_of_its_processing(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    house.once()
    [(recorded, noted, processed)] = house.sql(
        "SELECT recorded_day, note_date, processed_at FROM recordings JOIN notes USING (recording_key)"
    )
    assert recorded == noted == dt.date(2026, 3, 2)
    assert isinstance(processed, dt.datetime)
    assert abs(dt.datetime.now(dt.UTC) - processed.replace(tzinfo=dt.UTC)) < dt.timedelta(days=1)


def test_the_four_checks_are_reported_for_the_partition(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    house.once()
    [key] = house.keys()
    for asset, check in (
        ("raw_audio", "audio_is_sound"),
        ("transcript", "transcript_is_sound"),
        ("diary_note", "note_is_supported"),
        ("diary_note", "note_is_fit"),
    ):
        assert set(house.checks(asset, check)) == {key}, check
    assert house.checks("diary_note", "note_is_supported") == {key: "SUCCEEDED"}


def test_a_second_look_at_the_same_folder_asks_for_nothing(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    house.once()
    assert house.once() == []
    assert house.wiring.ears.heard == 1


def test_one_bad_recording_never_sinks_its_batch(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    house.drop("2026-03-03 lake.wav", speech_like(3.0, pitch_hz=180.0))
    cut(house.drop("2026-03-04 cut.wav", speech_like(4.0, pitch_hz=200.0)))
    (house.settings.drop_dir / "2026-03-05 noise.mp3").write_bytes(b"no audio in here, only words" * 40)
    [speech_run, *_] = house.once()
    assert speech_run.success
    keys = house.keys()
    bad = {k for k in keys if "cut" in k}
    good = set(keys) - bad
    assert len(good) == 2 and len(bad) == 1  # what the header shows is refused at the door: no partition
    assert house.status("transcript") == (good, bad)
    assert house.status("raw_audio") == (good, bad)
    assert house.checks("raw_audio", "audio_is_sound") == {**dict.fromkeys(good, "SUCCEEDED"), bad.pop(): "FAILED"}
    assert sorted(house.sql("SELECT status, reason_code FROM recordings")) == [
        ("completed", None),
        ("completed", None),
        ("failed", "audio_truncated"),
        ("refused", "audio_unreadable"),
    ]


def test_a_batch_of_bad_recordings_only_is_a_failed_run_and_is_not_tried_for_ever(house: House) -> None:
    cut(house.drop("2026-03-04 cut.wav"))
    [speech_run, *_] = house.once()
    assert not speech_run.success
    assert house.tick("uploads") == []
    assert house.status("transcript") == (set(), set(house.keys()))


def test_a_silent_recording_is_a_result_and_has_no_note(house: House) -> None:
    house.drop("2026-03-06 quiet.flac", silence(3.0))
    house.once()
    [key] = house.keys()
    assert house.status("diary_note") == ({key}, set())
    assert house.sql("SELECT status, reason_code FROM recordings") == [("completed", "audio_no_speech")]
    assert house.sql("SELECT count(*) FROM notes") == [(0,)]
    newest = house.instance.get_latest_materialization_event(dg.AssetKey("diary_note"))
    assert newest is not None and newest.asset_materialization is not None
    assert "no_note" in newest.asset_materialization.metadata


def test_a_partition_launched_again_shows_what_is_stored_and_computes_nothing(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    house.once()
    [key] = house.keys()
    runs_before = house.instance.get_runs_count()
    again = house.defs.resolve_job_def("transcribe_recordings").execute_in_process(
        instance=house.instance, partition_key=key
    )
    assert again.success and house.wiring.ears.heard == 1
    assert house.instance.get_runs_count() == runs_before + 1
    assert house.status("transcript") == ({key}, set())


@pytest.mark.slow
def test_a_range_of_neighbours_with_a_silent_one_among_them_materialises_whole(house: House) -> None:
    for day, samples in enumerate((speech_like(2.0), silence(2.0), speech_like(3.0)), start=1):
        house.drop(f"2026-03-0{day} memo.wav", samples)
    house.once()
    keys = house.keys()
    everything = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
    implicit = house.defs.resolve_implicit_global_asset_job_def()  # what the UI and backfills run
    result = implicit.execute_in_process(instance=house.instance, tags=everything)
    assert result.success
    for asset in ("raw_audio", "transcript", "diary_note"):
        assert house.status(asset) == (set(keys), set())


ODD = (
    '2026-03-07 a, b [c] "d" #e.wav',
    "2026-03-07 'quoted' 100% & more.wav",
    "2026-03-08 morgens früh 🌧️.wav",
    "[,].wav",
)


def test_odd_file_names_make_sound_keys_and_whole_ways(house: House) -> None:
    for n, name in enumerate(ODD):
        house.drop(name, speech_like(2.0 + n / 10))
    assert all(run.success for run in house.once())
    keys = house.keys()
    assert len(keys) == len(ODD)
    assert all(set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for key in keys)
    assert house.status("diary_note") == (set(keys), set())
    assert {name for (name,) in house.sql("SELECT file_name FROM recordings")} == set(ODD)


def test_an_unexpected_fault_of_one_recording_is_named_and_hides_no_text(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    house.wiring.ears.broken = ValueError("SECRET DIARY")
    [run] = house.once()[:1]
    assert not run.success
    house.publish()
    assert house.sql("SELECT status, reason_code FROM recordings") == [("failed", "internal_error")]
    events = "".join(str(e) for e in house.instance.all_logs(run.run_id))
    assert "SECRET DIARY" not in events
