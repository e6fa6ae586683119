"""A diary in progress, for tests of what happens after speech was heard: accepted, claimed, transcribed, noted.

Everything is real (ledger, store, commits) but the listening and the writing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from diary_pipeline.catalogue.commit import (
    Failed,
    FinishedNote,
    FinishedTranscript,
    commit_notes,
    commit_refusals,
    commit_transcripts,
)
from diary_pipeline.core.batch import Batch, Check, Lease, Stage
from diary_pipeline.core.recording import Recording
from diary_pipeline.core.transcript import Transcript
from diary_pipeline.ledger import batches, recordings, submissions
from diary_pipeline.ledger.commits import Committed
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.storage.store import ObjectStore
from diary_pipeline_tests.builders import make_recording, make_transcript
from diary_pipeline_tests.note_builders import make_note

SAID = ("I walked by the river.", "Then I bought bread.")


@dataclass
class Diary:
    """One ledger with its store, and the verbs that bring recordings forward."""

    ledger: Ledger
    store: ObjectStore

    def submit(self, file_name: str, owner: str = "me") -> str:
        """Hand in a file and return the submission."""
        return submissions.submit(
            self.ledger, owner=owner, source="cli", uri=f"/memos/{file_name}", file_name=file_name, options={}
        )

    def accept(self, *file_names: str, **changes: Any) -> list[Recording]:
        """Take in recordings; each waits for its transcript."""
        taken = []
        for name in file_names:
            submission_id = self.submit(name, changes.get("owner", "me"))
            recording = make_recording(file_name=name, submission_id=submission_id, **changes)
            recordings.accept(self.ledger, submission_id, recording, 1, 60.0)
            taken.append(recording)
        return taken

    def refuse(self, file_name: str, code: str = "audio_empty") -> str:
        """Hand in a file that is refused at the door, commit that, and return the submission."""
        submission_id = self.submit(file_name)
        submissions.refuse(self.ledger, submission_id, code, f"{file_name} holds no audio; record it again.")
        assert commit_refusals(self.ledger, self.store, [submission_id])
        return submission_id

    def claim(self, stage: Stage, some: Iterable[Recording], holder: str = "run-1", lease_s: float = 60) -> Batch:
        """Take the work of a stage."""
        return batches.claim_keys(self.ledger, stage, [r.key for r in some], holder, lease_s)

    def transcribe(
        self, some: Sequence[Recording], said: Sequence[str] = SAID, batch: Batch | None = None
    ) -> Committed:
        """Commit a transcript for each recording."""
        leases = leases_of(batch or self.claim("transcript", some))
        return commit_transcripts(self.ledger, self.store, [heard(r, leases[r.key], said) for r in some])

    def write(
        self, some: Sequence[Recording], said: Sequence[str] = SAID, batch: Batch | None = None, **changes: Any
    ) -> Committed:
        """Commit a note for each recording; `changes` are the note's."""
        leases = leases_of(batch or self.claim("note", some))
        return commit_notes(self.ledger, self.store, [noted(r, leases[r.key], said, **changes) for r in some])

    def fail(self, stage: Stage, some: Sequence[Recording], code: str = "audio_truncated") -> Committed:
        """Commit that a stage went wrong for each recording."""
        leases = leases_of(self.claim(stage, some))
        failed = [Failed(r, leases[r.key], stage, code, f"{r.key} ends early; record it again.") for r in some]
        commit = commit_transcripts if stage == "transcript" else commit_notes
        return commit(self.ledger, self.store, [], failed)


def transcript_for(recording: Recording, said: Sequence[str] = SAID) -> Transcript:
    """Return what was said in a recording."""
    return make_transcript(said, recording_key=recording.key)


def heard(recording: Recording, lease: Lease, said: Sequence[str] = SAID) -> FinishedTranscript:
    """Return a transcript that may be committed."""
    checks = (Check("transcript_covers_audio", True),)
    return FinishedTranscript(recording, lease, transcript_for(recording, said), checks)


def noted(recording: Recording, lease: Lease, said: Sequence[str] = SAID, **changes: Any) -> FinishedNote:
    """Return a note that may be committed, or none when nothing was said."""
    transcript = transcript_for(recording, said)
    note = make_note(transcript, **changes) if said else None
    code = None if said else "audio_no_speech"
    checks = (Check("quotes_verbatim", True),)
    return FinishedNote(recording, lease, transcript, note, code, checks, f"# {recording.key}\n" if said else "")


def leases_of(batch: Batch) -> dict[str, Lease]:
    """Return the leases of a batch by recording key."""
    return {lease.key: lease for lease in batch.leases}
