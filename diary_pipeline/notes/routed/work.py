"""One note while it is being written by routes: what is known of the recording, and the note that stands in for it.

Opened once a recording, because indexing its words costs more than judging an answer. Judging is acceptance.py's
business, asking notes.py's.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from diary_pipeline.core.llm_call import Attempt, cost_of
from diary_pipeline.core.note import DEGRADED, DiaryNote
from diary_pipeline.core.transcript import Segment
from diary_pipeline.notes.drafts.assignment import Assignment
from diary_pipeline.notes.drafts.chunks import question_bytes
from diary_pipeline.notes.drafts.prompt import (
    OUTPUT_TOKENS,
    Hide,
    found_prompt,
    line_of,
    note_prompt,
    prompt_version,
    shown,
)
from diary_pipeline.notes.drafts.redaction import Kind, Redaction
from diary_pipeline.notes.drafts.spoken import Spoken
from diary_pipeline.notes.evidence.grounding import Said
from diary_pipeline.notes.offline.notes import OfflineNotes
from diary_pipeline.notes.providers.exchange import Prompt
from diary_pipeline.notes.routing.route import Route
from diary_pipeline.notes.writer import ToWrite, note_version

_ROUND_ABOUT = 500
"""Bytes of a question that are neither rules nor diary: the day, the fence, the task."""


@dataclass
class Work:
    """A recording whose note is asked for; `attempts` are all that it took, of all its questions."""

    asked: ToWrite
    offline: OfflineNotes
    redact: Collection[Kind]
    has_judge: bool = False
    """Whether a second model will hold the note against what was said where the rules cannot."""
    attempts: list[Attempt] = field(default_factory=list)

    @cached_property
    def spoken(self) -> Spoken:
        """Its words, for assembling."""
        return Spoken(self.asked.transcript, self.asked.recording.recorded_at)

    @cached_property
    def said(self) -> Said:
        """Its words, for judging."""
        return Said(self.asked.transcript)

    @cached_property
    def redaction(self) -> Redaction:
        """What outside servers do not see of it."""
        return Redaction(self.redact, self.asked.transcript.text)

    @cached_property
    def offline_note(self) -> DiaryNote:
        """The note that the offline writer makes of it."""
        return self.offline.note_of(self.asked)

    @cached_property
    def is_readable(self) -> bool:
        """Whether the rules of evidence read what was said and what is to be written: they are made for English."""
        return self.assignment(prose=True).spoken == "en" and self.assignment(prose=True).language == "en"

    def publishes(self, route: Route) -> bool:
        """Tell whether a route's own sentences may stand in this note: not where nobody can say that they are true."""
        return route.prose and (self.is_readable or self.has_judge)

    @cached_property
    def rules(self) -> str:
        """The words that a model was told, none of which belongs into a note."""
        return note_prompt(self.assignment(prose=True), ()).system

    @property
    def given_title(self) -> str | None:
        """What its owner called it, which needs no support."""
        return self.asked.recording.title

    @property
    def cost_usd(self) -> float | None:
        """What it took so far; None: not all of it has a price."""
        return cost_of(self.attempts)

    def assignment(self, *, prose: bool, long: bool = False) -> Assignment:
        """Say what a route of a kind is to write, and under which version it will stand."""
        recording = self.asked.recording
        template, wanted = self.offline.form(self.asked)
        made_with = prompt_version(template, wanted, prose=prose, long=long)
        return Assignment(
            self.asked.transcript,
            recording.recorded_at,
            made_with,
            note_version(self.asked.transcript, made_with, recording.recorded_at, recording.title),
            recording.title,
            wanted,
            template,
        )

    def prompt(self, route: Route, piece: Sequence[Segment] | None = None, part: tuple[int, int] = (1, 1)) -> Prompt:
        """Ask a route for the note, or for what one piece of a long recording says."""
        prose = self.publishes(route)
        ask = note_prompt if prose else found_prompt
        assignment = self.assignment(prose=prose, long=piece is not None)
        return ask(assignment, piece, part=part, hide=self.hide(route))

    def hide(self, route: Route) -> Hide:
        """Give what changes the words that a route sees."""
        return shown if route.local else self.redaction.hide

    def room(self, context_tokens: int, *, prose: bool) -> int:
        """Give how many bytes of a diary one question to a model with such a context may hold, beside the rules."""
        output_tokens = OUTPUT_TOKENS["note" if prose else "found"]
        return question_bytes(context_tokens, output_tokens) - len(self.rules.encode()) - _ROUND_ABOUT

    def fits_one_question(self, context_tokens: int, *, prose: bool) -> bool:
        """Tell whether the whole diary can be asked at once of a model with such a context."""
        size = sum(len(line_of(s, self.redaction.hide).encode()) + 1 for s in self.asked.transcript.speech)
        return size <= self.room(context_tokens, prose=prose)

    def stand_in(self) -> DiaryNote:
        """Give the offline writer's note in place of one that no route gave."""
        recording, note = self.asked.recording, self.offline_note
        made_with = DEGRADED + note.prompt_version
        version = note_version(self.asked.transcript, made_with, recording.recorded_at, recording.title)
        return replace(note, degraded=True, version=version, cost_usd=self.cost_usd)
