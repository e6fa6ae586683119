"""What is the same recording and what is another one, whoever comes in, whenever they are killed; on both ledgers."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import wave
from pathlib import Path

import pytest

from diary_pipeline.intake.receive import Received
from diary_pipeline.intake.sources import WatchedFolder
from diary_pipeline.intake.work import IntakeReport
from diary_pipeline.ledger import erasures, submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.storage.folder import STAGING, FolderStore
from diary_pipeline.storage.keys import audio_key
from diary_pipeline_tests.door import SEAL, House, written


@pytest.fixture
def house(ledger: Ledger, tmp_path: Path) -> House:
    return House(ledger, tmp_path)


def test_the_same_bytes_under_another_name_are_one_recording(house: House) -> None:
    first = house.take(house.sound("a.wav"))
    (house.inbox / "b.wav").write_bytes((house.inbox / "a.wav").read_bytes())
    second = house.take(house.inbox / "b.wav")
    assert second.recording_key == first.recording_key
    assert (first.duplicate, second.duplicate) == (False, True)
    assert house.count() == 1


class Emptied(FolderStore):
    """Loses each object once, right after it was found."""

    def exists(self, key: str) -> bool:
        there = super().exists(key)
        if there and key not in self.lost:
            self.lost.add(key)
            self.delete(key)
        return there

    lost: set[str] = set()  # noqa: RUF012 - one object of one test


def test_audio_that_a_cancelled_twin_removes_is_stored_again(house: House, tmp_path: Path) -> None:
    path = house.sound("a.wav")
    data = path.read_bytes()
    key = audio_key("me", hashlib.sha256(data).hexdigest())
    house.store.put(key, data)
    house.door = house.another_door(Emptied(tmp_path / "objects"))
    assert house.take(path).recording_key
    assert house.store.exists(key)


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


def test_the_same_file_with_another_vocabulary_is_the_same_recording_with_another_wish(house: House) -> None:
    path = house.sound("a.wav")
    written(house, "a.wav.json", b'{"vocabulary": ["Mika"]}')
    first = house.take(path)
    assert house.recording(first.recording_key).vocabulary == ("Mika",)
    second = house.take(path, vocabulary="ComfyUI, Anna")
    assert (second.recording_key, second.duplicate, second.status) == (first.recording_key, True, "pending")
    assert house.recording(first.recording_key).vocabulary == ("ComfyUI", "Anna", "Mika")


def test_a_forced_language_and_a_vocabulary_can_be_taken_back(house: House) -> None:
    path = house.sound("a.wav")
    first = house.take(path, language="de", vocabulary="Mika")
    kept = house.take(path, whisper_model="base")
    assert (house.recording(first.recording_key).language, house.recording(first.recording_key).vocabulary) == (
        "de",
        ("Mika",),
    )
    freed = house.take(path, language="auto", vocabulary="-")
    assert {kept.recording_key, freed.recording_key} == {first.recording_key}
    assert freed.status == "pending"
    assert (house.recording(first.recording_key).language, house.recording(first.recording_key).vocabulary) == (
        None,
        (),
    )


def test_a_copy_and_its_sidecar_do_not_change_the_vocabulary_its_owner_gave(house: House) -> None:
    first = house.take(house.sound("a.wav"), vocabulary="ComfyUI")
    shutil.copy(house.inbox / "a.wav", house.inbox / "b.wav")
    written(house, "b.wav.json", b'{"vocabulary": ["Mika"]}')
    second = house.take(house.inbox / "b.wav")
    assert second.recording_key == first.recording_key
    assert house.recording(first.recording_key).vocabulary == ("ComfyUI",)


def test_a_watched_folder_gives_its_vocabulary_to_what_lies_in_it(house: House) -> None:
    house.sound("a.wav")
    (id,) = house.scan(vocabulary=("Brenner",))
    house.work()
    assert house.recording(house.row(id).recording_key).vocabulary == ("Brenner",)


def test_same_name_new_bytes(house: House) -> None:
    """R6: two contents under one name are two recordings; a restart adds none; our own exports add none."""
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
    home = house.inbox / "home"
    shutil.copytree(house.store.root, home / "objects")
    (home / ".diary-home").touch()
    exported = house.inbox / "vault" / "2026"
    exported.mkdir(parents=True)
    for name in ("memo.md", "memo.txt", "memo.srt", "memo.vtt", "memo.json", "diary.csv", "diary.parquet"):
        (exported / name).write_text("a note")
        os.utime(exported / name, (1_000_000_000, 1_000_000_000))
    assert house.scan() == []


def test_an_unchanged_file_answers_with_the_submission_it_has(house: House) -> None:
    path = house.sound("a.wav")
    first = house.submit(path)
    assert house.submit(path, str(path), path.as_uri()) == first
    assert house.scan() == []
    house.work()
    assert house.submit(path) == first


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


CHILD = """
import signal, sys
from pathlib import Path
from diary_pipeline.audio.limits import AudioLimits
from diary_pipeline.core.owner import Owner
from diary_pipeline.core.seal import Seal
from diary_pipeline.intake.work import Intake
from diary_pipeline.ledger.opening import open_ledger
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
    default_model="tiny.en", allowed_models=("tiny.en",), seal=Seal("of this test"), scratch=Path(scratch),
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
    assert len(list(house.scratch.iterdir())) == 1
    assert house.count() == (1 if point == "stored" else 0)
    staging = house.store.root / STAGING
    for litter in staging.glob("*"):
        os.utime(litter, (0, 0))
    assert house.work() == IntakeReport(accepted=1)
    assert house.count() == 1
    assert house.store.get(house.recording(house.row(id).recording_key).object_key) == path.read_bytes()
    assert [*house.scratch.iterdir(), *staging.iterdir()] == [], "what the killed process left is swept"


@pytest.mark.slow
def test_thousands_of_files_are_read_once(house: House) -> None:
    for n in range(2_000):
        with wave.open(str(house.inbox / f"{n:04}, [{n}].wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8_000)
            file.writeframes(n.to_bytes(2, "little") * 4_000)
    assert len(house.door.scan([WatchedFolder(house.inbox)], max_files=5_000, budget_s=600)) == 2_000
    assert house.door.work(600, 5_000) == IntakeReport(accepted=2_000)
    assert house.scan() == []
    assert house.work() == IntakeReport()
    assert house.count() == 2_000


def hide_person(house: House) -> None:
    """Erase all of a person, as far as the ledger goes."""
    erasures.hide(house.ledger, SEAL, "user", "me")


def test_audio_that_is_erased_while_it_is_read_leaves_no_bytes(house: House) -> None:
    path = house.sound("a.wav")
    [id] = house.submit(path)
    house.meanwhile = lambda: hide_person(house)
    house.door.work(60, 1, ids=[id])
    assert not list(house.store.list("audio/"))
    with house.ledger.reading() as conn:
        assert submissions.get(conn, [id]) == []


def test_erased_audio_is_refused_before_it_is_stored_and_nobody_elses_is(house: House) -> None:
    path = house.sound("a.wav")
    [id] = house.submit(path)
    house.door.work(60, 1, ids=[id])
    hide_person(house)
    for key in list(house.store.list("audio/")):
        house.store.delete(key)
    [again] = house.submit(path)
    seen: list[Received] = []
    house.door.work(60, 1, seen.append, ids=[again])
    assert [(r.outcome, r.code) for r in seen] == [("refused", "audio_erased")]
    assert not list(house.store.list("audio/"))
    [hers] = house.door.submit([path], "anna", "cli", {})
    assert house.door.work(60, 1, ids=[hers]).accepted == 1
