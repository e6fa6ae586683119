"""The offline writer as the configured one: the notes of a batch, each in its owner's form.

What a note says is writer.py's business. The version tells the form too, because a note is stored as it looks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from diary_pipeline.core.note import DiaryNote
from diary_pipeline.core.owner import Owner
from diary_pipeline.notes.offline.writer import OfflineWriter
from diary_pipeline.notes.renderers.template import DEFAULT, Template
from diary_pipeline.notes.writer import OwnerOf, TemplatesOf, ToWrite, Written, note_version


class OfflineNotes:
    """Notes without a language model."""

    writer: Literal["offline"] = "offline"

    def __init__(self, owners: OwnerOf, templates: TemplatesOf, writer: OfflineWriter | None = None) -> None:
        self._owners = owners
        self._templates = templates
        self._writer = writer or OfflineWriter()

    def prompt_versions(self, owner: Owner) -> frozenset[str]:
        """Name the rules with each form that this owner uses."""
        forms = self._templates(owner)
        return frozenset(self._made_with(t, owner.note_language) for t in (forms.usual, *forms.by_tag.values()))

    def versions(self, asked: ToWrite) -> frozenset[str]:
        """Name the one version."""
        return frozenset((self._version(asked),))

    def form(self, asked: ToWrite) -> tuple[Template, str | None]:
        """Give the template of a recording, and the language that is wished for; notes are in the spoken one."""
        owner = self._owners(asked.recording.owner)
        template = self._templates(owner).of(asked.recording.tags)
        return template, template.language or owner.note_language

    def write(self, asked: Sequence[ToWrite], run: str) -> Iterator[tuple[str, Written | Exception]]:  # noqa: ARG002
        """Write one after the other; a bug that one recording wakes stays with it."""
        for one in asked:
            try:
                yield one.recording.key, Written(self.note_of(one))
            except Exception as error:  # noqa: BLE001 - this recording's, and the others go on
                yield one.recording.key, error

    def note_of(self, asked: ToWrite) -> DiaryNote:
        """Write a single note."""
        recording = asked.recording
        template, wanted = self.form(asked)
        note = self._writer.write(asked.transcript, recording.recorded_at, recording.title, wanted)
        return replace(note, prompt_version=self._made_with(template, wanted), version=self._version(asked))

    def _version(self, asked: ToWrite) -> str:
        recording = asked.recording
        made_with = self._made_with(*self.form(asked))
        return note_version(asked.transcript, made_with, recording.recorded_at, recording.title)

    def _made_with(self, template: Template, wanted: str | None) -> str:
        form = "" if template.layout == DEFAULT.layout else f"-{template.layout}"
        return f"{self._writer.version}{form}{f'-{wanted}' if wanted else ''}"
