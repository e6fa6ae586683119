"""What writes notes, what it is given and gives back, and the key under which a note is written once.

Without a configured LLM route the offline writer *is* the configured writer: its notes are complete, not degraded. A
note is `degraded` only where it stands in for one that a route should have written, and only the writer that tried
the routes may say so.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from diary_pipeline.core.batch import Check
from diary_pipeline.core.correction import Corrections
from diary_pipeline.core.note import DiaryNote, Writer
from diary_pipeline.core.owner import Owner
from diary_pipeline.core.recording import RecordedAt, Recording
from diary_pipeline.core.transcript import Transcript
from diary_pipeline.notes.language.spoken import spoken_language
from diary_pipeline.notes.renderers.template import Template, Templates

OwnerOf = Callable[[str], Owner]
TemplatesOf = Callable[[Owner], Templates]


@dataclass(frozen=True)
class ToWrite:
    """A recording that holds speech, and what was said in it."""

    recording: Recording
    transcript: Transcript
    again: bool = False
    """It was tried before, in vain: answers that were kept and refused are asked for once more."""
    corrections: Corrections = field(default_factory=Corrections)
    """Laid over what is written, and in the transcript already."""


@dataclass(frozen=True)
class Written:
    """A note, and what a second model found about it, if one was asked."""

    note: DiaryNote
    judged: Check | None = None
    reason_code: str | None = None
    """Why it only stands in for a better one."""


class NoteWriter(Protocol):
    """Turns what was said into notes."""

    @property
    def writer(self) -> Writer:
        """Say who writes when all goes well."""
        ...

    def prompt_versions(self, owner: Owner) -> frozenset[str]:
        """Name what an owner's notes are made with today; a note that was made with anything else is stale."""
        ...

    def versions(self, asked: ToWrite) -> frozenset[str]:
        """Name the versions of a recording's note that need not be written again."""
        ...

    def form(self, asked: ToWrite) -> tuple[Template, str | None]:
        """Give the template of a recording's note, and the language that its owner wants."""
        ...

    def write(self, asked: Sequence[ToWrite], run: str) -> Iterator[tuple[str, Written | Exception]]:
        """Write notes for a run and give each by its key, or what went wrong with it."""
        ...


def note_language(transcript: Transcript, wanted: str | None = None) -> str:
    """Name the language of a note: its owner's, else that of most of the seconds, English where no engine said one."""
    return wanted or spoken_language(transcript) or "en"


def note_version(transcript: Transcript, writer_version: str, recorded: RecordedAt, title: str | None) -> str:
    """The key under which a note is written once: 16 hex of all that it is made from."""
    said = json.dumps([transcript.version, writer_version, title, recorded.day.isoformat(), recorded.zone])
    return hashlib.sha256(said.encode()).hexdigest()[:16]
