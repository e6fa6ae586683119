"""From a file to a recording or a refusal, through the whole door, on both ledgers."""

import dataclasses
import os
import shutil
import subprocess
import sys
import threading
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from diary_pipeline.audio.limits import AudioLimits
from diary_pipeline.core.errors import NotFound, ServiceMissing, UsageError
from diary_pipeline.core.owner import Owner
from diary_pipeline.core.recording import Recording
from diary_pipeline.intake.receive import Received
from diary_pipeline.intake.sources import WatchedFolder
from diary_pipeline.intake.submit import submit_paths
from diary_pipeline.intake.work import Intake, IntakeReport
from diary_pipeline.ledger import recordings, submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.submissions import Submission
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.builders import silence, speech_like, write_audio

LIMITS = AudioLimits(max_size_bytes=1_000_000, max_s=60)


class House:
    """One door with its stores, and a clock that stands far behind every file."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.ledger = ledger
        self.inbox = folder / "inbox"
        self.inbox.mkdir()
        self.store = FolderStore(folder / "objects")
        self.scratch = folder / "scratch"
        self.time = 4_000_000_000.0
        self.meanwhile: Callable[[], None] = lambda: None
        """What happens to a file between the first look and the reading."""
        self.door = self.another_door()

    def another_door(self, store: FolderStore | None = None, limits: AudioLimits = LIMITS) -> Intake:
        return Intake(
            self.ledger,
            store or self.store,
            owners=self.owner,
            limits=limits,
            default_model="tiny.en",
            allowed_models=("tiny.en", "base"),
            scratch=self.scratch,
            clock=lambda: self.time,
        )

    def owner(self, user: str) -> Owner:
        self.meanwhile()
        return Owner(user, time_zone="Asia/Tokyo")

    def sound(self, name: str, pitch_hz: float = 140.0, seconds: float = 1.0) -> Path:
        path = self.inbox / name
        made = write_audio(self.inbox / "made.wav", speech_like(seconds, pitch_hz=pitch_hz))
        path.parent.mkdir(parents=True, exist_ok=True)
        return made.rename(path)

    def submit(self, *paths: str | Path, owner: str = "me", **options: object) -> list[str]:
        return self.door.submit(paths, owner, "cli", options)

    def scan(self, **folder: object) -> list[str]:
        return self.door.scan([WatchedFolder(self.inbox, **folder)])  # type: ignore[arg-type]

    def work(self, on_submission: Callable[[Received], None] = lambda _: None) -> IntakeReport:
        return self.door.work(60, 1_000, on_submission)

    def take(self, path: Path, owner: str = "me", **options: object) -> Submission:
        (id,) = self.submit(path, owner=owner, **options)
        self.work()
        return self.row(id)

    def row(self, id: str) -> Submission:
        with self.ledger.reading() as conn:
            return submissions.get(conn, [id])[0]

    def recording(self, key: str | None) -> Recording:
        assert key
        with self.ledger.reading() as conn:
            return recordings.get(conn, key)

    def count(self) -> int:
        return len(list(self.store.list("audio/")))


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


def broken_wav(house: House) -> Path:
    path = house.inbox / "noise.wav"
    path.write_bytes(bytes(range(256)) * 40)
    return path


def written(house: House, name: str, data: bytes) -> Path:
    (house.inbox / name).write_bytes(data)
    return house.inbox / name


REFUSED: dict[str, tuple[Callable[[House], Path], dict[str, object]]] = {
    "audio_empty": (lambda h: written(h, "empty.m4a", b""), {}),
    "audio_unreadable": (broken_wav, {}),
    "audio_truncated": (lambda h: cut(write_audio(h.inbox / "cut.m4a", speech_like(5))), {}),
    "audio_too_short": (lambda h: write_audio(h.inbox / "short.wav", silence(0.1)), {}),
    "audio_too_long": (lambda h: write_audio(h.inbox / "long.wav", silence(61, 8_000), 8_000), {}),
    "audio_too_large": (lambda h: write_audio(h.inbox / "large.wav", silence(40, 16_000)), {}),
    "model_not_allowed": (lambda h: h.sound("big.wav"), {"whisper_model": "large-v3"}),
}


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


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


def test_the_same_bytes_under_another_name_are_one_recording(house: House) -> None:
    first = house.take(house.sound("a.wav"))
    (house.inbox / "b.wav").write_bytes((house.inbox / "a.wav").read_bytes())
    second = house.take(house.inbox / "b.wav")
    assert second.recording_key == first.recording_key
    assert (first.duplicate, second.duplicate) == (False, True)
    assert house.count() == 1


def test_the_same_bytes_of_another_owner_are_another_recording(house: House) -> None:
    path = house.sound("a.wav")
    assert house.take(path).recording_key != house.take(path, owner="anna").recording_key
    assert house.count() == 2


def test_a_copy_does_not_change_the_model_its_owner_chose(house: House) -> None:
    first = house.take(house.sound("a.wav"), whisper_model="base", language="de")
    shutil.copy(house.inbox / "a.wav", house.inbox / "b.wav")
    house.scan()
    house.work()
    recording = house.recording(first.recording_key)
    assert (recording.whisper_model, recording.language) == ("base", "de")


def test_the_same_file_with_another_model_is_the_same_recording_with_another_wish(house: House) -> None:
    path = house.sound("a.wav")
    first = house.take(path)
    second = house.take(path, whisper_model="base")
    assert second.id != first.id
    assert second.recording_key == first.recording_key
    assert house.recording(first.recording_key).whisper_model == "base"


def test_same_name_new_bytes_are_two_recordings_and_a_restart_adds_none(house: House) -> None:
    house.sound("memo.wav", pitch_hz=120)
    (first,) = house.scan()
    house.work()
    house.sound("memo.wav", pitch_hz=220)
    os.utime(house.inbox / "memo.wav", (1_000_000_000, 1_000_000_000))
    (second,) = house.scan()
    house.work()
    assert house.row(first).recording_key != house.row(second).recording_key
    house.door = house.another_door()  # a restart
    assert house.scan() == []
    assert house.work() == IntakeReport()
    assert house.count() == 2


def test_our_own_exports_in_a_watched_folder_add_no_recording(house: House) -> None:
    house.sound("memo.wav")
    house.scan()
    house.work()
    home = house.inbox / "home"
    shutil.copytree(house.store.root, home / "objects")
    (home / ".diary-home").touch()
    (house.inbox / "memo.md").write_text("a note")
    assert house.scan() == []


def test_a_refused_file_is_tried_again_only_when_somebody_names_it(house: House) -> None:
    path = broken_wav(house)
    refused = house.take(path)
    assert house.scan() == []
    write_audio(path, speech_like(1))
    os.utime(path, ns=(1, 1))
    again = house.take(path)
    assert again.id != refused.id
    assert again.status == "pending"


def test_an_unchanged_file_answers_with_the_submission_it_has(house: House) -> None:
    path = house.sound("a.wav")
    first = house.submit(path)
    assert house.submit(path, str(path), path.as_uri()) == first
    assert house.scan() == []
    house.work()
    assert house.submit(path) == first


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


@pytest.mark.parametrize(
    "name",
    [
        "a, b [c] \"d\" 'e' #f.wav",
        "walk 🚶‍♀️.wav",
        "two\nlines.wav",
        os.fsdecode(b"latin-\xe9.wav"),
        "日記.wav",
        "%2e?.wav",
    ],
)
def test_an_odd_name_makes_a_sound_key(house: House, name: str) -> None:
    path = house.sound(name)
    house.scan()
    assert house.work() == IntakeReport(accepted=1)
    row = house.take(path)
    assert row.recording_key
    assert set(row.recording_key) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert row.file_name == os.fsencode(name).decode("utf-8", "replace")


def test_an_odd_name_can_be_refused_too(house: House) -> None:
    path = written(house, os.fsdecode(b"bad \xff\n.wav"), b"no sound")
    assert house.take(path).reason_code == "audio_unreadable"


def test_two_doors_on_one_folder_make_one_recording_of_each_file(house: House) -> None:
    for n in range(12):
        house.sound(f"{n}.wav", pitch_hz=100 + 10 * n)
    together = threading.Barrier(2)
    failures: list[BaseException] = []

    def come_in() -> None:
        try:
            door = house.another_door()
            together.wait(10)
            door.scan([WatchedFolder(house.inbox)])
            together.wait(10)
            door.work(60, 100)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=come_in) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert house.work() == IntakeReport()
    assert house.count() == 12
    with house.ledger.reading() as conn:
        assert set(submissions.counts(conn)) == {"pending"}


def test_a_wrong_wish_submits_nothing(house: House) -> None:
    path = house.sound("a.wav")
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


CHILD = """
import signal, sys
from pathlib import Path
from diary_pipeline.audio.limits import AudioLimits
from diary_pipeline.core.owner import Owner
from diary_pipeline.intake.work import Intake
from diary_pipeline.ledger.connect import open_ledger
from diary_pipeline.storage.folder import STAGING, FolderStore

url, objects, scratch, point = sys.argv[1:]

class Stalling(FolderStore):
    def put_file(self, key, path):
        if point == "half stored":
            (self.root / STAGING).mkdir(parents=True)
            (self.root / STAGING / "half").write_bytes(path.read_bytes()[:1000])
        if point == "stored":
            super().put_file(key, path)
        print("here", flush=True)
        signal.pause()

Intake(
    open_ledger(url), Stalling(Path(objects)), owners=Owner, limits=AudioLimits(),
    default_model="tiny.en", allowed_models=("tiny.en",), scratch=Path(scratch),
).work(60, 10)
"""


@pytest.mark.parametrize("point", ["read", "half stored", "stored"])
def test_a_door_killed_at_work_leaves_nothing_half_and_the_next_one_takes_the_file(house: House, point: str) -> None:
    path = house.sound("a.wav")
    (id,) = house.submit(path)
    url = house.ledger.engine.url.render_as_string(hide_password=False)
    arguments = [sys.executable, "-c", CHILD, url, str(house.store.root), str(house.scratch), point]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout and child.stdout.readline() == "here\n"
        child.kill()
    (left,) = house.scratch.iterdir()
    assert house.count() == (1 if point == "stored" else 0)
    os.utime(left, (0, 0))
    assert house.work() == IntakeReport(accepted=1)
    assert house.count() == 1
    assert house.store.get(house.recording(house.row(id).recording_key).object_key) == path.read_bytes()
    assert list(house.scratch.iterdir()) == [], "what the killed process left is swept once it is old"


@pytest.mark.slow
def test_thousands_of_files_are_read_once(house: House) -> None:
    for n in range(2_000):
        with wave.open(str(house.inbox / f"{n:04}, [{n}].wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8_000)
            file.writeframes(n.to_bytes(2, "little") * 4_000)
    assert len(house.door.scan([WatchedFolder(house.inbox)], max_files=5_000)) == 2_000
    assert house.door.work(600, 5_000) == IntakeReport(accepted=2_000)
    assert house.scan() == []
    assert house.work() == IntakeReport()
    assert house.count() == 2_000
