"""The folder of transcripts is in sync after a batch: real ledger, store, commits and disk."""

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from diary_pipeline.catalogue.read import transcript_of
from diary_pipeline.core.batch import StageReport
from diary_pipeline.core.owner import Owner
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.notes.editing import EditDiary
from diary_pipeline.notes.edits import Edit
from diary_pipeline.settings import load_settings
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.transcription.batch import TranscribeBatch
from diary_pipeline.transcription.files import TranscriptFiles
from diary_pipeline.transcription.renderers.formats import RENDERERS, TranscriptFormat
from diary_pipeline.transcription.scripted import ScriptedTranscriber
from diary_pipeline.wiring.deployment import Wiring
from diary_pipeline_tests.builders import make_recording, make_transcript, speech_like, write_audio
from diary_pipeline_tests.diaries import Diary
from diary_pipeline_tests.note_builders import offline_notes

DAY = "2026-03-07"
ALL: tuple[TranscriptFormat, ...] = tuple(RENDERERS)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of transcripts; nobody has made it yet."""
    return tmp_path / "home" / "transcripts"


@pytest.fixture
def diary(tmp_path: Path) -> Iterator[Diary]:
    """A diary nobody has begun yet."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield Diary(ledger, FolderStore(tmp_path / "objects"))
    ledger.close()


def accepted(diary: Diary, folder: Path, name: str) -> Recording:
    """Take in a recording whose audio is really there."""
    (recording,) = diary.accept(name, declared_s=3.0, container="wav")
    diary.store.put_file(recording.object_key, write_audio(folder / name, speech_like(3)))
    return recording


def transcribed(
    diary: Diary, some: Sequence[Recording], files: TranscriptFiles, said: str = "I walked home.", holder: str = "run-1"
) -> StageReport:
    """Transcribe recordings as a run does."""
    transcribe = TranscribeBatch(
        diary.ledger, diary.store, lambda _: ScriptedTranscriber([said]), lambda _: Owner("me"), files=files
    )
    return transcribe(diary.claim("transcript", some, holder))


def names(root: Path) -> set[str]:
    """Return all files below the folder."""
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_a_batch_leaves_one_file_a_format_for_its_owner_alone_and_tells_where(
    diary: Diary, tmp_path: Path, root: Path
) -> None:
    walk = accepted(diary, tmp_path, "walk.wav")
    (result,) = transcribed(diary, [walk], TranscriptFiles(root, ALL)).results
    assert names(root) == {f"{DAY}/{walk.key}.{form}" for form in ALL}
    file = root / DAY / f"{walk.key}.txt"
    assert file.read_text(encoding="utf-8") == "I walked home.\n"
    assert result.metadata["transcript_txt"] == file.as_uri()
    assert {path.stat().st_mode & 0o077 for path in (file, file.parent, root)} == {0}
    assert json.loads((root / DAY / f"{walk.key}.json").read_text(encoding="utf-8"))["file_name"] == "walk.wav"


def test_a_file_that_is_missing_comes_back_when_the_transcript_is_found_and_a_right_one_is_left_alone(
    diary: Diary, tmp_path: Path, root: Path
) -> None:
    walk = accepted(diary, tmp_path, "walk.wav")
    files = TranscriptFiles(root, ["srt", "vtt"])
    transcribed(diary, [walk], files)
    missing, there = (root / DAY / f"{walk.key}.{form}" for form in ("srt", "vtt"))
    missing.unlink()
    before = there.stat()
    (result,) = transcribed(diary, [walk], files, holder="run-2").results
    assert result.outcome == "found"
    assert missing.exists()
    assert (there.stat().st_ino, there.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_another_transcript_replaces_the_files_and_other_formats_go(diary: Diary, tmp_path: Path, root: Path) -> None:
    walk, ride = (accepted(diary, tmp_path, name) for name in ("walk.wav", "ride.wav"))
    transcribed(diary, [walk, ride], TranscriptFiles(root, ["txt", "srt"]))
    transcribed(diary, [walk], TranscriptFiles(root, ["txt"]), "It rained.", "run-2")
    assert (root / DAY / f"{walk.key}.txt").read_text(encoding="utf-8") == "It rained.\n"
    assert names(root) == {f"{DAY}/{walk.key}.txt", f"{DAY}/{ride.key}.txt", f"{DAY}/{ride.key}.srt"}
    transcribed(diary, [walk], TranscriptFiles(root, []), "It snowed.", "run-3")
    assert names(root) == {f"{DAY}/{ride.key}.txt", f"{DAY}/{ride.key}.srt"}


def test_what_its_owner_corrected_stands_in_the_files_of_later_runs_too(
    diary: Diary, tmp_path: Path, root: Path
) -> None:
    walk, files = accepted(diary, tmp_path, "walk.wav"), TranscriptFiles(root, ["txt"])
    transcribed(diary, [walk], files, "I walked to Brea.")
    heard = transcript_of(diary.ledger, diary.store, walk.key)
    assert heard is not None
    edits = [Edit("segment", "I walked to Priya.", heard.speech[0].id)]
    EditDiary(diary.ledger, diary.store, offline_notes())(walk, edits, "me")
    for run, said, outcome in (("run-2", "I walked to Brea.", "found"), ("run-3", "I walked to Breya.", "committed")):
        (result,) = transcribed(diary, [walk], files, said, run).results
        assert result.outcome == outcome
        assert (root / DAY / f"{walk.key}.txt").read_text(encoding="utf-8") == "I walked to Priya.\n"


def test_without_a_format_no_folder_is_made(diary: Diary, tmp_path: Path, root: Path) -> None:
    transcribed(diary, [accepted(diary, tmp_path, "walk.wav")], TranscriptFiles(root, []))
    assert not root.exists()


def test_a_disk_that_cannot_be_written_costs_the_files_and_not_the_transcript(
    diary: Diary, tmp_path: Path, root: Path
) -> None:
    root.parent.mkdir()
    root.write_text("a file is in the way")
    walk = accepted(diary, tmp_path, "walk.wav")
    (result,) = transcribed(diary, [walk], TranscriptFiles(root, ["srt"])).results
    assert result.outcome == "committed"
    told = str(result.metadata["transcript_files_not_written"])
    assert str(root) in told
    assert "Not a directory" in told or "File exists" in told
    assert "DIARY_TRANSCRIPT_DIR" in told


def test_a_recording_that_another_run_took_over_gets_no_file(diary: Diary, tmp_path: Path, root: Path) -> None:
    walk = accepted(diary, tmp_path, "walk.wav")
    late = diary.claim("transcript", [walk], "run-1", lease_s=-1)
    diary.claim("transcript", [walk], "run-2")
    transcribe = TranscribeBatch(
        diary.ledger,
        diary.store,
        lambda _: ScriptedTranscriber(["Old."]),
        lambda _: Owner("me"),
        files=TranscriptFiles(root, ["txt"]),
    )
    (result,) = transcribe(late).results
    assert (result.outcome, result.code) == ("skipped", "fenced")
    assert not root.exists()


def test_a_recording_that_moves_to_another_day_leaves_nothing_behind(root: Path) -> None:
    recording = make_recording()
    files = TranscriptFiles(root, ["srt", "md"])
    spoken = make_transcript(["I walked."], recording_key=recording.key)
    files.sync([(recording, spoken)])
    other = dataclasses.replace(recording.recorded_at, day=dt.date(2026, 3, 6))
    files.sync([(dataclasses.replace(recording, recorded_at=other), spoken)])
    assert names(root) == {f"2026-03-06/{recording.key}.srt", f"2026-03-06/{recording.key}.md"}


def test_what_is_not_ours_in_the_folder_stays(root: Path) -> None:
    recording = make_recording()
    (root / DAY).mkdir(parents=True)
    (root / "mine").mkdir()
    own = [root / DAY / f"{recording.key}.docx", root / DAY / "notes.txt", root / "mine" / f"{recording.key}.txt"]
    for file in own:
        file.write_text("mine")
    TranscriptFiles(root, ["srt"]).sync([(recording, make_transcript(["I walked."], recording_key=recording.key))])
    assert all(file.read_text() == "mine" for file in own)
    assert len(names(root)) == len(own) + 1


def test_the_folder_and_its_formats_come_from_the_settings(tmp_path: Path) -> None:
    wiring = Wiring(load_settings({"DIARY_HOME": str(tmp_path), "DIARY_TRANSCRIPT_FILES": "srt, md"}))
    files = wiring.transcribe.files
    assert files is not None
    assert (files.root, files.formats) == (tmp_path / "transcripts", ("srt", "md"))
    wiring.ledger.close()
