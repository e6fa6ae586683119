"""The note stage: the notes of one batch, each by itself, all in one commit.

Choosing and leasing the recordings was the ledger's, writing Dagster events is defs'. The surprise: a note that is
current already goes to the commit too. It adds no row there, but its work, its submissions and its batch are settled
like any other's. All that have to be written are handed to the writer together, which may ask for many at once.

A recording whose note cannot be written fails alone. A surrounding that does not work says nothing about any recording:
what is finished is committed, the error leaves the batch, and the rest is given back.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from diary_pipeline.catalogue.commit import TRIED_AGAIN, Failed, FinishedNote, commit_notes
from diary_pipeline.catalogue.overlay import corrected_note, corrected_transcript
from diary_pipeline.catalogue.read import corrections_of, heard_of, written_of
from diary_pipeline.core.batch import Batch, Lease, Result, StageReport
from diary_pipeline.core.correction import Corrections
from diary_pipeline.core.errors import PermanentError, TransientError
from diary_pipeline.core.note import DEGRADED, NOT_TRANSLATED
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.commits import Committed
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.pointers import Pointer, pointers_of
from diary_pipeline.notes.evidence.checks import check_note
from diary_pipeline.notes.renderers.files import write_note_file
from diary_pipeline.notes.renderers.markdown import render_note
from diary_pipeline.notes.writer import NoteWriter, ToWrite, Written
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
        *,
        retry_after_s: Sequence[float] = (),
    ) -> None:
        """`retry_after_s`: pauses after which a crash is tried again."""
        self.ledger = ledger
        self.store = store
        self.writer = writer
        self.note_dir = note_dir
        self.usd_per_audio_hour = usd_per_audio_hour
        self.retry_after_s = retry_after_s

    def __call__(self, batch: Batch, on_result: Callable[[Result], None] = lambda _: None) -> StageReport:
        """Write, check and commit; one bad recording fails alone.

        A TransientError is raised after what was finished before it is committed.
        """
        keys = [lease.key for lease in batch.leases]
        with self.ledger.reading() as conn:
            known = {row.recording.key: row.recording for row in recordings.rows(conn, keys)}
            current = pointers_of(conn, keys, "note")
        tried: list[FinishedNote | Failed | Result] = []
        to_write: list[tuple[Lease, ToWrite]] = []
        broken: TransientError | None = None
        try:
            for lease in batch.leases:
                found = self._looked_at(lease, known.get(lease.key), current.get(lease.key))
                if isinstance(found, ToWrite):
                    to_write.append((lease, found))
                else:
                    tried.append(found)
        except TransientError as error:
            broken = error
        else:
            written, broken = self._written(to_write)
            tried += written
        if broken is not None:
            logger.warning("writing_stopped", code=broken.code)
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

    def _looked_at(
        self, lease: Lease, recording: Recording | None, current: Pointer | None
    ) -> ToWrite | FinishedNote | Failed | Result:
        """Tell what is to write; whatever goes wrong with a recording stays with it."""
        if recording is None:
            return Result(lease.key, "failed", "recording_missing", f"Recording {lease.key} is not in the ledger.")
        try:
            heard = heard_of(self.ledger, self.store, [lease.key]).get(lease.key)
            if heard is None:
                message = f"Recording {lease.key} has no transcript; run `transcribe_recordings` for it first."
                return Failed(recording, lease, "note", "transcript_missing", message)
            # What its owner has put right counts as said.
            put_right = corrections_of(self.ledger, self.store, [lease.key]).get(lease.key, Corrections())
            transcript = corrected_transcript(heard, put_right.made)
            if not any(c.isalnum() for c in transcript.text):
                return FinishedNote(recording, lease, transcript, None, NO_SPEECH, (), corrections=put_right.version)
            again = current is not None and (current.made_with or "").startswith(DEGRADED)
            asked = ToWrite(recording, transcript, again, put_right)
            if current is not None and current.object_id and current.version in self.writer.versions(asked):
                note = written_of(self.ledger, self.store, [lease.key]).get(lease.key)
                if note is not None:
                    return self._finished(lease, asked, Written(note))
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001
            return self._failed(lease, recording, error)
        return asked

    def _written(
        self, to_write: Sequence[tuple[Lease, ToWrite]]
    ) -> tuple[list[FinishedNote | Failed], TransientError | None]:
        """Have the notes written and hold each against what was said; beside them, what speaks of the surroundings."""
        waiting = {asked.recording.key: (lease, asked) for lease, asked in to_write}
        done: list[FinishedNote | Failed] = []
        broken: TransientError | None = None
        run = to_write[0][0].holder if to_write else ""
        for key, outcome in self.writer.write([asked for _, asked in to_write], run) if to_write else ():
            lease, asked = waiting[key]
            if isinstance(outcome, TransientError):
                broken = broken or outcome
            elif isinstance(outcome, Exception):
                done.append(self._failed(lease, asked.recording, outcome))
            else:
                try:
                    done.append(self._finished(lease, asked, outcome))
                except Exception as error:  # noqa: BLE001 - this recording's, and the others go on
                    done.append(self._failed(lease, asked.recording, error))
        return done, broken

    def _failed(self, lease: Lease, recording: Recording, error: Exception) -> Failed:
        if isinstance(error, PermanentError):
            return Failed(recording, lease, "note", error.code, error.message)
        logger.exception("note_crashed", error, key=lease.key)  # noqa: PLE1205
        message = f"Writing the note of {lease.key} stopped at {type(error).__name__}; see the log of this run."
        return Failed(recording, lease, "note", "internal_error", message, self.retry_after_s)

    def _finished(self, lease: Lease, asked: ToWrite, written: Written) -> FinishedNote:
        recording, transcript, note = asked.recording, asked.transcript, written.note
        template, wanted = self.writer.form(asked)
        checks = check_note(
            note,
            transcript,
            recording.recorded_at.day,
            given_title=recording.title,
            usd_per_audio_hour=self.usd_per_audio_hour,
            language=None if NOT_TRANSLATED in note.limits else wanted,
            judged=written.judged,
        )
        if broken := [c.name for c in checks if not c.passed and c.severity == "ERROR"]:
            code = "note_incomplete" if broken == ["note_complete"] else "note_unsupported"
            raise PermanentError(code, f"The note of {lease.key} failed {', '.join(broken)} and was not published.")
        # The claims are judged as they were written; what is shown is what their owner made of them.
        put_right = asked.corrections
        markdown = render_note(corrected_note(note, put_right.made), recording.recorded_at, template)
        return FinishedNote(
            recording, lease, transcript, note, written.reason_code, checks, markdown, put_right.version
        )

    def _result(self, tried: FinishedNote | Failed | Result, committed: Committed) -> Result:
        if isinstance(tried, Result):
            return tried
        key = tried.recording.key
        if key in committed.fenced:
            return Result(key, "skipped", "fenced", f"Another run took {key} over; its result counts.")
        if key in committed.stale:
            return Result(key, "skipped", "transcript_replaced", f"{key} was heard anew or corrected; planned again.")
        if isinstance(tried, Failed):
            again = TRIED_AGAIN if key in committed.retried else ""
            return Result(key, "failed", tried.code, f"{tried.message}{again}")
        if key in committed.kept:
            return Result(key, "skipped", "better_kept", f"No route gave a note of {key}; the good one stays.")
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
