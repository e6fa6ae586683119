"""What writes notes, and the key under which a note is written once.

Without a configured LLM route the offline writer *is* the configured writer: its notes are complete, not degraded. A
note is `degraded` only where it stands in for one that a route should have written, and only the writer that tried
the routes may say so.
"""

import hashlib
import json
from typing import Protocol

from diary_pipeline.core.note import DiaryNote, Writer
from diary_pipeline.core.recording import RecordedAt
from diary_pipeline.core.transcript import Transcript
from diary_pipeline.notes.language.spoken import spoken_language


class NoteWriter(Protocol):
    """Turns what was said into a note."""

    @property
    def version(self) -> str:
        """Change whenever the same transcript could become another note."""
        ...

    @property
    def writer(self) -> Writer:
        """Say who writes when all goes well."""
        ...

    def write(self, transcript: Transcript, recorded: RecordedAt, title: str | None) -> DiaryNote:
        """Write the note of a transcript that holds speech; `title` is what its owner called it."""
        ...


def note_language(transcript: Transcript, wanted: str | None = None) -> str:
    """Name the language of a note: its owner's, else that of most of the seconds, English where no engine said one."""
    return wanted or spoken_language(transcript) or "en"


def note_version(transcript: Transcript, writer_version: str, recorded: RecordedAt, title: str | None) -> str:
    """The key under which a note is written once: 16 hex of all that it is made from."""
    said = json.dumps([transcript.version, writer_version, title, recorded.day.isoformat(), recorded.zone])
    return hashlib.sha256(said.encode()).hexdigest()[:16]
