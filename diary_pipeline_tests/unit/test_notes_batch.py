"""A batch of notes: each recording by itself, all in one commit, and the books straight afterwards."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from diary_pipeline.catalogue.read import note_of
from diary_pipeline.core.batch import Batch, Lease, Result
from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.core.note import DiaryNote
from diary_pipeline.core.recording import RecordedAt, Recording
from diary_pipeline.core.transcript import Transcript
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.claims import release
from diary_pipeline.ledger.clock import clock_now
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.notes.batch import WriteNotes
from diary_pipeline.notes.offline.writer import OfflineWriter
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.diaries import Diary
from diary_pipeline_tests.note_builders import offline_notes

WALK = ("I walked by the river with Priya.", "Then I bought bread.")
RIDE = ("I rode to the harbour.", "I need to repair the bicycle by Friday.")


class Forger(OfflineWriter):
    """A writer that turns what was said; nothing of it may be published."""

    def __init__(self, **changes: object) -> None:
        self.changes = changes

    def write(
        self, transcript: Transcript, recorded: RecordedAt, title: str | None, wanted: str | None = None
    ) -> DiaryNote:
        """Write honestly, then lie."""
        note = super().write(transcript, recorded, title, wanted)
        if "river" in transcript.text:
            object.__setattr__(note, *next(iter(self.changes.items())))
        return note


class Broken(OfflineWriter):
    """A writer with a bug that one recording wakes."""

    def write(
        self, transcript: Transcript, recorded: RecordedAt, title: str | None, wanted: str | None = None
    ) -> DiaryNote:
        """Fall over the river."""
        if "river" in transcript.text:
            raise ValueError(transcript.text)
        return super().write(transcript, recorded, title, wanted)


@pytest.fixture
def diary(tmp_path: Path) -> Iterator[Diary]:
    """A diary nobody has begun yet."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger' / 'ledger.db'}")
    yield Diary(ledger, FolderStore(tmp_path / "objects"))
    ledger.close()


@pytest.fixture
def walk(diary: Diary) -> Recording:
    """A transcribed walk."""
    return spoken(diary, "walk.m4a", WALK)


@pytest.fixture
def ride(diary: Diary) -> Recording:
    """A transcribed ride."""
    return spoken(diary, "ride.m4a", RIDE)


def spoken(diary: Diary, name: str, said: tuple[str, ...]) -> Recording:
    """Accept and transcribe a recording."""
    (recording,) = diary.accept(name)
    diary.transcribe([recording], said)
    return recording


def by_key(results: tuple[Result, ...]) -> dict[str, Result]:
    """Return results by recording key."""
    return {r.key: r for r in results}


def status(ledger: Ledger, recording: Recording) -> tuple[str, str | None]:
    """Return what users are told about a recording."""
    with ledger.reading() as conn:
        (row,) = recordings.rows(conn, [recording.key])
    return row.status, row.reason_code


def test_a_batch_of_notes_is_one_commit(diary: Diary, walk: Recording, ride: Recording, tmp_path: Path) -> None:
    seen: list[Result] = []
    write = WriteNotes(diary.ledger, diary.store, offline_notes(), note_dir=tmp_path / "notes")
    with diary.ledger.reading() as conn:
        before = clock_now(conn)

    report = write(diary.claim("note", [walk, ride]), seen.append)

    assert report.commit_seq == before + 1
    assert [r.outcome for r in report.results] == ["committed", "committed"]
    assert tuple(seen) == report.results
    result = by_key(report.results)[ride.key]
    assert all(c.passed for c in result.checks)
    assert result.preview.startswith("# Rode to the harbour\n")
    assert result.metadata["actions"] == 1
    assert result.metadata["writer"] == "offline"
    assert result.metadata["degraded"] is False
    assert not any("harbour" in str(value) for value in result.metadata.values())
    file = tmp_path / "notes" / ride.recorded_at.day.isoformat() / f"{ride.key}.md"
    assert file.read_text() == result.preview
    assert result.metadata["note_file"] == file.as_uri()
    assert status(diary.ledger, ride) == ("completed", None)
    stored = note_of(diary.ledger, diary.store, ride.key)
    assert stored is not None
    assert stored.title == "Rode to the harbour"


def test_a_note_that_is_current_is_found_and_not_written_again(diary: Diary, walk: Recording) -> None:
    first = WriteNotes(diary.ledger, diary.store, offline_notes())(diary.claim("note", [walk]))
    again = WriteNotes(diary.ledger, diary.store, offline_notes(Broken()))(diary.claim("note", [walk]))
    assert [r.outcome for r in again.results] == ["found"]
    assert again.commit_seq == 0
    assert again.results[0].preview == first.results[0].preview
    assert again.results[0].metadata == first.results[0].metadata
    assert status(diary.ledger, walk) == ("completed", None)


def test_a_silent_recording_is_well_and_has_no_note(diary: Diary, ride: Recording, tmp_path: Path) -> None:
    silent = spoken(diary, "silence.m4a", ())
    report = WriteNotes(diary.ledger, diary.store, offline_notes(), tmp_path)(diary.claim("note", [silent, ride]))
    result = by_key(report.results)[silent.key]
    assert (result.outcome, result.code, result.metadata["no_note"]) == ("committed", "audio_no_speech", True)
    assert report.failed == ()
    assert status(diary.ledger, silent) == ("completed", "audio_no_speech")
    assert note_of(diary.ledger, diary.store, silent.key) is None
    assert not list(tmp_path.rglob(f"{silent.key}.md"))
    again = WriteNotes(diary.ledger, diary.store, offline_notes())(diary.claim("note", [silent]))
    assert [r.outcome for r in again.results] == ["found"]


@pytest.mark.parametrize(
    ("lie", "because"),
    [
        ({"title": "Lunch with Bartholomew and Ottoline"}, ("note_unsupported", "names_supported")),
        ({"summary": ""}, ("note_unsupported", "note_complete")),
        ({"title": ""}, ("note_incomplete", "note_complete")),
    ],
)
def test_a_note_that_was_not_said_fails_alone(
    diary: Diary, walk: Recording, ride: Recording, lie: dict[str, object], because: tuple[str, str]
) -> None:
    code, check = because
    report = WriteNotes(diary.ledger, diary.store, offline_notes(Forger(**lie)))(diary.claim("note", [walk, ride]))
    results = by_key(report.results)
    assert (results[walk.key].outcome, results[walk.key].code) == ("failed", code)
    assert check in results[walk.key].message
    assert "Bartholomew" not in results[walk.key].message
    assert results[ride.key].outcome == "committed"
    assert status(diary.ledger, walk) == ("failed", code)
    assert note_of(diary.ledger, diary.store, walk.key) is None


def test_a_crash_costs_one_recording_and_tells_no_diary_text(
    diary: Diary, walk: Recording, ride: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    report = WriteNotes(diary.ledger, diary.store, offline_notes(Broken()))(diary.claim("note", [walk, ride]))
    results = by_key(report.results)
    assert (results[walk.key].outcome, results[walk.key].code) == ("failed", "internal_error")
    assert "ValueError" in results[walk.key].message
    assert "river" not in results[walk.key].message + caplog.text
    assert results[ride.key].outcome == "committed"


def test_a_note_of_a_replaced_transcript_is_dropped(diary: Diary, walk: Recording) -> None:
    class Slow(OfflineWriter):
        """Writes while somebody transcribes anew."""

        def write(
            self, transcript: Transcript, recorded: RecordedAt, title: str | None, wanted: str | None = None
        ) -> DiaryNote:
            """Let the transcript change under the note."""
            diary.transcribe([walk], ("I walked by the lake.",))
            return super().write(transcript, recorded, title, wanted)

    report = WriteNotes(diary.ledger, diary.store, offline_notes(Slow()))(diary.claim("note", [walk]))
    assert [(r.outcome, r.code) for r in report.results] in (
        [("skipped", "transcript_replaced")],
        [("skipped", "fenced")],
    )
    assert note_of(diary.ledger, diary.store, walk.key) is None


def test_a_lease_that_was_taken_over_publishes_nothing(diary: Diary, walk: Recording) -> None:
    batch = diary.claim("note", [walk])
    lease = Lease(walk.key, batch.leases[0].epoch - 1, "run-0")
    late = Batch(batch.id, "note", (lease,), held=("elsewhere",), settled=("done",))
    report = WriteNotes(diary.ledger, diary.store, offline_notes())(late)
    assert [(r.outcome, r.code) for r in report.results] == [
        ("skipped", "fenced"),
        ("skipped", "held_elsewhere"),
        ("skipped", "settled_already"),
    ]
    assert note_of(diary.ledger, diary.store, walk.key) is None


def test_a_recording_without_transcript_says_what_to_run_first(diary: Diary) -> None:
    (recording,) = diary.accept("new.m4a")
    claimed = diary.claim("note", [recording])
    batch = replace(claimed, leases=(*claimed.leases, Lease("2026-03-04-nobody-0", 1, "run-1")))
    report = WriteNotes(diary.ledger, diary.store, offline_notes())(batch)
    assert [(r.outcome, r.code) for r in report.results] == [
        ("failed", "transcript_missing"),
        ("failed", "recording_missing"),
    ]
    assert "transcribe_recordings" in report.results[0].message
    assert report.commit_seq == 0
    assert status(diary.ledger, recording) == ("pending", None)


def test_what_was_written_before_the_surrounding_broke_is_committed(diary: Diary) -> None:
    class Tired(OfflineWriter):
        """A writer whose service goes away after one note."""

        written = 0

        def write(
            self, transcript: Transcript, recorded: RecordedAt, title: str | None, wanted: str | None = None
        ) -> DiaryNote:
            """Write one note."""
            if self.written:
                raise ServiceMissing("llm_unreachable", "The model's server does not answer.")
            self.written += 1
            return super().write(transcript, recorded, title, wanted)

    some = sorted((spoken(diary, f"{n}.m4a", WALK) for n in range(3)), key=lambda r: r.key)
    batch, told = diary.claim("note", some), list[Result]()
    with pytest.raises(ServiceMissing, match="does not answer"):
        WriteNotes(diary.ledger, diary.store, offline_notes(Tired()))(batch, told.append)
    assert [r.outcome for r in told] == ["committed"]
    release(diary.ledger, batch)
    assert [status(diary.ledger, r)[0] for r in some] == ["completed", "generating_notes", "generating_notes"]


def test_a_full_disk_costs_the_file_and_never_the_note(diary: Diary, walk: Recording, tmp_path: Path) -> None:
    blocked = tmp_path / "notes"
    blocked.write_text("a file where the folder should be")
    report = WriteNotes(diary.ledger, diary.store, offline_notes(), blocked)(diary.claim("note", [walk]))
    assert [r.outcome for r in report.results] == ["committed"]
    assert "note_file" not in report.results[0].metadata
