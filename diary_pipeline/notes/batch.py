"""The note stage: the notes of one batch, each by itself, all in one commit.

Choosing and leasing the recordings was the ledger's, writing Dagster events is defs'. The surprise: a note that is
current already goes to the commit too. It adds no row there, but its work, its submissions and its batch are settled
like any other's.

A recording whose note cannot be written fails alone. A surrounding that does not work says nothing about any recording:
what is finished is committed, the error leaves the batch, and the rest is given back.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from diary_pipeline.catalogue.commit import Failed, FinishedNote, commit_notes
from diary_pipeline.catalogue.read import note_of, transcript_of
from diary_pipeline.core.batch import Batch, Lease, Result, StageReport
from diary_pipeline.core.errors import PermanentError, TransientError
from diary_pipeline.core.recording import Recording
from diary_pipeline.core.transcript import Transcript
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.commits import Committed, Pointer, pointers_of
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.notes.evidence.checks import check_note
from diary_pipeline.notes.renderers.files import write_note_file
from diary_pipeline.notes.renderers.markdown import render_note
from diary_pipeline.notes.writer import NoteWriter, note_version
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.store import ObjectStore

NO_SPEECH = "audio_no_speech"
logger = log(__name__)


class WriteNotes:
    """Writes the notes of a claimed batch and commits those that pass their checks."""

    def __init__(
        self,
        ledger: Ledger,
        store: ObjectStore,
        writer: NoteWriter,
        note_dir: Path | None = None,
        usd_per_audio_hour: float = 0.0,
    ) -> None:
        self.ledger = ledger
        self.store = store
        self.writer = writer
        self.note_dir = note_dir
        self.usd_per_audio_hour = usd_per_audio_hour

    def __call__(self, batch: Batch, on_result: Callable[[Result], None] = lambda _: None) -> StageReport:
        """Write, check and commit; one bad recording fails alone.

        A TransientError is raised after what was finished before it is committed.
        """
        keys = [lease.key for lease in batch.leases]
        with self.ledger.reading() as conn:
            known = {row.recording.key: row.recording for row in recordings.rows(conn, keys)}
            current = pointers_of(conn, keys, "note")
        tried: list[FinishedNote | Failed | Result] = []
        broken: TransientError | None = None
        for lease in batch.leases:
            try:
                tried.append(self._try(lease, known.get(lease.key), current.get(lease.key)))
            except TransientError as error:
                broken = error
                break
        finished = [t for t in tried if isinstance(t, FinishedNote)]
        failed = [t for t in tried if isinstance(t, Failed)]
        committed = commit_notes(self.ledger, self.store, finished, failed) if finished or failed else Committed(0)
        results = [self._result(t, committed) for t in tried]
        if broken is None:
            results += [*map(_held, batch.held), *map(_settled, batch.settled)]
        for result in results:
            on_result(result)
        if broken is not None:
            raise broken
        return StageReport("note", tuple(results), committed.seq)

    def _try(
        self, lease: Lease, recording: Recording | None, current: Pointer | None
    ) -> FinishedNote | Failed | Result:
        """Finish one recording; whatever goes wrong with it stays with it."""
        if recording is None:
            return Result(lease.key, "failed", "recording_missing", f"Recording {lease.key} is not in the ledger.")
        try:
            transcript = transcript_of(self.ledger, self.store, lease.key)
            if transcript is None:
                message = f"Recording {lease.key} has no transcript; run `transcribe_recordings` for it first."
                return Failed(recording, lease, "note", "transcript_missing", message)
            return self._finished(lease, recording, transcript, current)
        except TransientError as error:
            logger.warning("writing_stopped", key=lease.key, code=error.code)
            raise
        except PermanentError as error:
            return Failed(recording, lease, "note", error.code, error.message)
        except Exception as error:
            logger.exception("note_crashed", key=lease.key)
            message = f"Writing the note of {lease.key} stopped at {type(error).__name__}; see the log of this run."
            return Failed(recording, lease, "note", "internal_error", message)

    def _finished(
        self, lease: Lease, recording: Recording, transcript: Transcript, current: Pointer | None
    ) -> FinishedNote:
        if not any(c.isalnum() for c in transcript.text):
            return FinishedNote(recording, lease, transcript, None, NO_SPEECH, ())
        wanted = note_version(transcript, self.writer.version, recording.recorded_at, recording.title)
        note = None
        if current is not None and current.object_id is not None and current.version == wanted:
            note = note_of(self.ledger, self.store, lease.key)
        if note is None:
            note = self.writer.write(transcript, recording.recorded_at, recording.title)
        checks = check_note(
            note,
            transcript,
            recording.recorded_at.day,
            given_title=recording.title,
            usd_per_audio_hour=self.usd_per_audio_hour,
        )
        if broken := [c.name for c in checks if not c.passed and c.severity == "ERROR"]:
            code = "note_incomplete" if broken == ["note_complete"] else "note_unsupported"
            raise PermanentError(code, f"The note of {lease.key} failed {', '.join(broken)} and was not published.")
        return FinishedNote(recording, lease, transcript, note, None, checks, render_note(note, recording.recorded_at))

    def _result(self, tried: FinishedNote | Failed | Result, committed: Committed) -> Result:
        if isinstance(tried, Result):
            return tried
        key = tried.recording.key
        if key in committed.fenced:
            return Result(key, "skipped", "fenced", f"Another run took {key} over; its result counts.")
        if key in committed.stale:
            return Result(key, "skipped", "transcript_replaced", f"The transcript of {key} changed; planned again.")
        if isinstance(tried, Failed):
            return Result(key, "failed", tried.code, tried.message)
        return Result(
            key,
            "found" if key in committed.already else "committed",
            tried.reason_code,
            metadata={**_metadata(tried), **self._filed(tried)},
            preview=tried.markdown or "No words were understood in this recording, so there is no note.",
            checks=tried.checks,
        )

    def _filed(self, finished: FinishedNote) -> Mapping[str, str]:
        """Export the note; a full disk costs the file, never the note."""
        if self.note_dir is None or finished.note is None:
            return {}
        recording = finished.recording
        try:
            path = write_note_file(self.note_dir, recording.recorded_at.day, recording.key, finished.markdown)
        except OSError as error:
            logger.warning("note_file_not_written", key=recording.key, error=type(error).__name__)
            return {}
        return {"note_file": path.absolute().as_uri()}


def _held(key: str) -> Result:
    return Result(key, "skipped", "held_elsewhere", f"Another live run is writing the note of {key}.")


def _settled(key: str) -> Result:
    return Result(key, "skipped", "settled_already", f"{key} was done before, or another batch carries it by now.")


def _metadata(finished: FinishedNote) -> dict[str, str | int | float | bool]:
    note = finished.note
    if note is None:
        return {"no_note": True, "reason": NO_SPEECH, "transcript_version": finished.transcript.version}
    return {
        "note_date": note.note_date.isoformat(),
        "items": len(note.items),
        "actions": len(note.of("action")),
        "people": len(note.of("person")),
        "words": len(note.summary.split()),
        "language": note.language,
        "writer": note.writer,
        "degraded": note.degraded,
        "cost_usd": "unpriced" if note.cost_usd is None else note.cost_usd,
        "prompt_version": note.prompt_version,
        "transcript_version": note.transcript_version,
    }
