"""The files of a recording that people look at, brought in line with what is current.

A stage writes them when it commits. This is for whatever moves a pointer without a stage: somebody went back to an
earlier version. The surprise: nothing here may fail the move, which is committed by then.
"""

from dataclasses import dataclass
from pathlib import Path

from diary_pipeline.catalogue.read import markdown_of, transcript_of
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.notes.renderers.files import write_note_file
from diary_pipeline.storage.store import ObjectStore
from diary_pipeline.transcription.files import TranscriptFiles


@dataclass(frozen=True)
class Files:
    """Where notes and transcripts lie as files."""

    ledger: Ledger
    store: ObjectStore
    note_dir: Path | None
    """None: notes are not written as files."""
    transcripts: TranscriptFiles

    def follow(self, key: str) -> None:
        """Write a recording's files anew from what is current; OSError where a disk does not take them."""
        with self.ledger.reading() as conn:
            recording = recordings.get(conn, key)
        transcript = transcript_of(self.ledger, self.store, key)
        if transcript is not None:
            self.transcripts.sync([(recording, transcript)])
        markdown = markdown_of(self.ledger, self.store, key) if self.note_dir is not None else None
        if markdown and self.note_dir is not None:
            write_note_file(self.note_dir, recording.recorded_at.day, key, markdown)
