"""From a file to a recording or a refusal, through the whole door, on both ledgers."""

import dataclasses
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from diary_pipeline.audio.limits import AudioLimits
from diary_pipeline.catalogue.commit import Failed, commit_transcripts
from diary_pipeline.core.errors import NotFound, ServiceMissing, UsageError
from diary_pipeline.intake.receive import Received
from diary_pipeline.intake.sources import WatchedFolder
from diary_pipeline.intake.submit import submit_paths
from diary_pipeline.intake.work import IntakeReport
from diary_pipeline.ledger import submissions
from diary_pipeline.ledger.claims import claim_keys
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.tables import submissions as table
from diary_pipeline.settings import load_settings
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.wiring.deployment import Wiring
from diary_pipeline_tests.builders import silence, speech_like, write_audio
from diary_pipeline_tests.door import House, broken_wav, cut, written


@pytest.fixture
def house(ledger: Ledger, tmp_path: Path) -> House:
    return House(ledger, tmp_path)


def test_a_file_becomes_a_recording_with_its_bytes_in_the_store(house: House) -> None:
    path = house.sound("2026-05-01 21.30.00.wav")
    row = house.take(path, title="A walk", tags=["a"], language="en")
    recording = house.recording(row.recording_key)
    assert row.status == "pending"
    assert recording.key.startswith("2026-05-01-2026-05-01-21-30-00-")
    assert house.store.get(recording.object_key) == path.read_bytes()
    assert (recording.whisper_model, recording.language, recording.title, recording.tags) == (
        "tiny.en", "en", "A walk", ("a",),
    )  # fmt: skip
    assert recording.recorded_at.zone == "Asia/Tokyo"
    assert recording.recorded_at.at.isoformat() == "2026-05-01T12:30:00+00:00"
    assert list(house.scratch.iterdir()) == []


REFUSED: dict[str, tuple[Callable[[House], Path], dict[str, object]]] = {
    "audio_empty": (lambda h: written(h, "empty.m4a", b""), {}),
    "audio_unreadable": (broken_wav, {}),
    "audio_truncated": (lambda h: cut(write_audio(h.inbox / "cut.m4a", speech_like(5))), {}),
    "audio_too_short": (lambda h: write_audio(h.inbox / "short.wav", silence(0.1)), {}),
    "audio_too_long": (lambda h: write_audio(h.inbox / "long.wav", silence(61, 8_000), 8_000), {}),
    "audio_too_large": (lambda h: write_audio(h.inbox / "large.wav", silence(40, 16_000)), {}),
    "model_not_allowed": (lambda h: h.sound("big.wav"), {"whisper_model": "large-v3"}),
}


@pytest.mark.parametrize("code", REFUSED)
def test_a_bad_file_is_refused_with_its_code_and_never_stops_the_others(house: House, code: str) -> None:
    make, options = REFUSED[code]
    first = house.sound("a good one.wav", pitch_hz=100)
    bad = make(house)
    last = house.sound("z good one.wav", pitch_hz=200)
    # Not through the door's own submit, which refuses a wrong model before a row is written.
    ids = [submit_paths(house.ledger, [p], "me", "cli", options if p is bad else {})[0] for p in (first, bad, last)]
    seen: list[Received] = []
    assert house.work(seen.append) == IntakeReport(accepted=2, refused=1)
    row = house.row(ids[1])
    assert (row.status, row.reason_code, row.recording_key) == ("refused", code, None)
    assert bad.name in (row.message or "") or "model" in code
    assert [r.code for r in seen if r.outcome == "refused"] == [code]
    assert row.commit_seq, "the refusal reached the catalogue"
    assert house.count() == 2
    assert bad.exists()


def test_a_file_that_vanished_is_refused_and_taken_when_its_disk_comes_back(house: House) -> None:
    path = house.sound("usb/a.wav")
    (id,) = house.scan()
    shutil.move(path.parent, house.inbox.parent / "unplugged")
    assert house.work() == IntakeReport(refused=1)
    assert house.row(id).reason_code == "source_gone"
    assert house.scan() == []
    shutil.move(house.inbox.parent / "unplugged", path.parent)
    assert len(house.scan()) == 1
    assert house.work() == IntakeReport(accepted=1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_we_may_not_read_is_refused(house: House) -> None:
    path = house.sound("secret.wav")
    path.chmod(0)
    assert house.take(path).reason_code == "source_unreadable"


@pytest.mark.parametrize("begun", ["header", "whole"])
def test_a_file_that_changes_while_it_is_read_waits_and_keeps_its_submission(house: House, begun: str) -> None:
    path = house.sound("growing.wav")
    whole = path.read_bytes()
    if begun == "header":
        path.write_bytes(whole[:20])
    (id,) = house.scan()

    def write_on() -> None:
        path.write_bytes(whole)
        os.utime(path, ns=(2, 2))

    house.meanwhile = write_on
    assert house.work() == IntakeReport(waiting=1)
    house.meanwhile = lambda: None
    assert house.scan() == []
    assert house.work() == IntakeReport(accepted=1)
    assert house.store.get(house.recording(house.row(id).recording_key).object_key) == whole


def test_a_refused_file_is_tried_again_only_when_somebody_names_it(house: House) -> None:
    path = broken_wav(house)
    refused = house.take(path)
    assert house.scan() == []
    write_audio(path, speech_like(1))
    os.utime(path, ns=(1, 1))
    again = house.take(path)
    assert again.id != refused.id
    assert again.status == "pending"


def test_a_recording_that_failed_is_tried_again_only_when_somebody_names_its_file(house: House) -> None:
    path = house.sound("memo.wav")
    first = house.take(path)
    assert first.recording_key
    batch = claim_keys(house.ledger, "transcript", [first.recording_key], "run", 60)
    why = Failed(house.recording(first.recording_key), batch.leases[0], "transcript", "internal_error", "It crashed.")
    commit_transcripts(house.ledger, house.store, [], [why])
    assert house.row(first.id).status == "failed"
    shutil.copy(path, house.inbox / "copy.wav")
    [copied] = house.scan()
    house.work()
    assert house.row(copied).status == "failed"
    again = house.take(path)
    assert (again.id != first.id, again.status, again.recording_key) == (True, "pending", first.recording_key)
    assert house.submit(path) == [again.id]


def test_a_sidecar_dates_and_names_a_recording_and_a_broken_one_is_noted(house: House) -> None:
    good, bad = house.sound("good.wav", pitch_hz=100), house.sound("bad.wav", pitch_hz=200)
    written(house, "good.wav.json", b'{"recorded_at": "2020-02-29T23:30", "title": "Leap", "tags": ["x"]}')
    written(house, "bad.wav.json", b'{"recorded_at": "yesterday", "title": "Never"}')
    told = house.recording(house.take(good, tags=["y"]).recording_key)
    assert (told.recorded_at.day.isoformat(), told.recorded_at.source) == ("2020-02-29", "explicit")
    assert (told.title, told.tags) == ("Leap", ("y", "x"))
    untold = house.recording(house.take(bad).recording_key)
    assert untold.title is None
    assert "sidecar_invalid" in untold.recorded_at.note


def test_a_scan_whose_time_is_over_goes_on_at_the_next_call_and_folders_take_turns(house: House) -> None:
    for name in ("long/a.wav", "long/b.wav", "long/c.txt", "long/d.wav", "short/e.wav"):
        (house.inbox / name).parent.mkdir(exist_ok=True)
        (house.inbox / name).write_bytes(b"x")
    folders = [WatchedFolder(house.inbox / "long"), WatchedFolder(house.inbox / "short")]
    taken = [[house.row(id).file_name for id in house.door.scan(folders, budget_s=0)] for _ in range(7)]
    assert taken[:4] == [["a.wav"], ["b.wav"], ["d.wav"], []]
    assert ["e.wav"] in taken[4:]
    assert house.another_door().scan(folders) == [], "a restart forgets where it was and submits nothing twice"


def test_a_folder_that_gave_all_that_was_allowed_begins_anew(house: House) -> None:
    for name in ("a.wav", "b.wav", "c.wav"):
        (house.inbox / name).write_bytes(b"x")
    folders = [WatchedFolder(house.inbox)]
    taken = [len(house.door.scan(folders, max_files=2)) for _ in range(3)]
    assert taken == [2, 1, 0]


def test_a_wrong_wish_submits_nothing(house: House) -> None:
    path = house.sound("a.wav")
    for owner in ("", "../../an na\n", "anna\n", "-anna", "a" * 65):
        with pytest.raises(UsageError) as unnamed:
            house.submit(path, owner=owner)
        assert unnamed.value.code == "owner_invalid"
    wrong: list[tuple[list[str | Path], dict[str, object], str]] = [
        ([path], {"whisper_model": "large-v3"}, "model_not_allowed"),
        ([path], {"languages": "de"}, "option_unknown"),
        ([path, "https://example.org/a.mp3"], {}, "scheme_not_supported"),
        ([path, house.inbox / "nothing.wav"], {}, "source_not_found"),
    ]
    for paths, options, code in wrong:
        with pytest.raises((UsageError, NotFound)) as refused:
            house.submit(*paths, **options)
        assert refused.value.code == code
    with pytest.raises(UsageError):
        house.door.submit([path], "me", "cli", {}, priority="soon")
    assert house.work() == IntakeReport()


def test_a_named_file_is_taken_whatever_it_is_called_and_its_sidecar_is_not(house: House) -> None:
    made = house.sound("a.wav")
    odd = made.rename(house.inbox / "a.dat")
    beside = written(house, "a.dat.json", b"{}")
    assert len(house.submit(odd, beside)) == 1
    assert house.submit(house.inbox) == []
    assert house.work() == IntakeReport(accepted=1)


def test_a_small_budget_leaves_the_rest_for_the_next_call(house: House) -> None:
    for n in range(3):
        house.sound(f"{n}.wav", pitch_hz=100 + 10 * n)
    house.scan()
    report = house.door.work(0, 100)
    assert (report.accepted, report.left) == (1, 2)
    report = house.door.work(60, 1)
    assert (report.accepted, report.left) == (1, 1)
    assert house.work() == IntakeReport(accepted=1)


def test_a_slice_asks_for_what_it_can_do_and_goes_on_until_nothing_is_left(house: House) -> None:
    for n in range(60):
        written(house, f"{n}.m4a", b"")
    house.scan()
    most = 0

    def note(_conn: object, _cursor: object, statement: str, parameters: Any, *_rest: object) -> None:
        nonlocal most
        if "submissions.turn_at" in statement and "LIMIT" in statement:
            values = parameters.values() if isinstance(parameters, dict) else parameters
            most = max(most, *(value for value in values if isinstance(value, int)))

    sa.event.listen(house.ledger.engine, "before_cursor_execute", note)
    try:
        assert house.door.work(0, 1_000).left == 50
        assert house.door.work(60, 55) == IntakeReport(refused=55, left=1)
        assert house.work() == IntakeReport(refused=4)
    finally:
        sa.event.remove(house.ledger.engine, "before_cursor_execute", note)
    assert most == 51, "of a thousand that it may look at"


def test_what_has_waited_goes_first_at_the_door_as_soon_as_the_deployment_says(house: House, tmp_path: Path) -> None:
    wiring = Wiring(load_settings({"DIARY_HOME": str(tmp_path / "home"), "DIARY_PRIORITY_STEP_MINUTES": "1"}))
    files = [house.sound("low.wav", pitch_hz=100), house.sound("medium.wav", pitch_hz=200)]
    (low,) = wiring.intake.submit(files[:1], "me", "cli", {}, priority="low")
    with wiring.ledger.writing() as tx:
        tx.execute(table.update().values(created_at=table.c.created_at - 200.0))
    wiring.intake.submit(files[1:], "me", "cli", {})
    taken: list[Received] = []
    wiring.intake.work(0, 1, taken.append)
    assert [one.submission_id for one in taken] == [low]
    wiring.ledger.close()


def test_somebody_who_waits_for_a_file_does_not_work_off_the_backlog_first(house: House) -> None:
    for n in range(3):
        house.sound(f"{n}.wav", pitch_hz=100 + 10 * n)
    house.scan()
    mine = house.submit(house.sound("mine.wav", pitch_hz=300))
    assert house.door.work(60, 100, ids=mine) == IntakeReport(accepted=1)
    assert house.row(mine[0]).recording_key
    assert house.door.work(60, 100, ids=mine) == IntakeReport()
    assert house.work() == IntakeReport(accepted=3)


def test_what_nobody_foresaw_in_one_file_is_a_refusal_too(house: House) -> None:
    (id,) = house.submit(house.sound("a.wav"))
    nonsense = dataclasses.replace(AudioLimits(), max_s=None)  # type: ignore[arg-type]
    assert house.another_door(limits=nonsense).work(60, 10) == IntakeReport(refused=1)
    assert house.row(id).reason_code == "intake_failed"
    assert "TypeError" in (house.row(id).message or "")


def no_folder(house: House) -> None:
    shutil.rmtree(house.scratch, ignore_errors=True)
    house.scratch.write_text("a file where the folder should be")


def no_room(_: House) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.mark.parametrize("trouble", [no_folder, no_room])
def test_a_scratch_folder_that_takes_nothing_is_our_trouble_and_not_the_files(
    house: House, trouble: Callable[[House], None]
) -> None:
    house.submit(house.sound("a.wav", seconds=20))
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    trouble(house)
    try:
        with pytest.raises(ServiceMissing) as missing:
            house.work()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert missing.value.code == "store_unwritable"
    assert str(house.scratch) in missing.value.message
    if house.scratch.is_file():
        house.scratch.unlink()
    assert house.work() == IntakeReport(accepted=1)


def test_a_full_disk_refuses_nothing(house: House) -> None:
    class Full(FolderStore):
        def put_file(self, key: str, path: Path) -> None:
            raise ServiceMissing("store_unwritable", "The disk is full; free some space.")

    house.submit(house.sound("a.wav"))
    with pytest.raises(ServiceMissing):
        house.another_door(Full(house.store.root)).work(60, 10)
    assert list(house.scratch.iterdir()) == []
    assert house.work() == IntakeReport(accepted=1)


def test_a_refusal_whose_commit_was_cut_off_reaches_the_catalogue_with_the_next_call(house: House) -> None:
    (id,) = house.submit(broken_wav(house))
    submissions.refuse(house.ledger, id, "audio_unreadable", "no sound")
    assert house.row(id).commit_seq is None
    assert house.work() == IntakeReport()
    assert house.row(id).commit_seq
