"""What is to be written: the words of one recording, when they were spoken, in which language and form.

Values only; the note writer makes one for each recording, and prompt and assembling read the same.
"""

from dataclasses import dataclass

from diary_pipeline.core.recording import RecordedAt
from diary_pipeline.core.transcript import Transcript
from diary_pipeline.notes.renderers.template import DEFAULT, Template
from diary_pipeline.notes.writer import note_language


@dataclass(frozen=True)
class Assignment:
    """One note to be written."""

    transcript: Transcript
    recorded: RecordedAt
    prompt_version: str
    version: str
    """The key under which the note is written once."""
    title: str | None = None
    """What its owner called it."""
    note_language: str | None = None
    """The owner's; None: the one that was spoken."""
    template: Template = DEFAULT

    @property
    def spoken(self) -> str:
        """The language that most of it was spoken in."""
        return note_language(self.transcript)

    @property
    def language(self) -> str:
        """The language that the note is to be in."""
        return self.template.language or self.note_language or self.spoken
