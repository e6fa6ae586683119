"""A diary note whose every claim names the second it was said in."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

ENGLISH_CUES_ONLY = "english_cues_only"
"""A limit of the writer: events, reflections, actions and mood are recognised in English alone."""
ItemKind = Literal["event", "reflection", "action", "person", "place", "topic", "quote"]
Writer = Literal["llm", "offline"]
Mood = Literal["very_negative", "negative", "neutral", "mixed", "positive", "very_positive"]


@dataclass(frozen=True)
class NoteItem:
    """One claim with its evidence: `quote` stands word for word in the segment, between the two times."""

    id: int
    kind: ItemKind
    text: str
    segment_id: int
    start_s: float
    end_s: float
    quote: str
    due_date: dt.date | None = None


@dataclass(frozen=True)
class DiaryNote:
    """What one recording says, in the speaker's own person."""

    recording_key: str
    note_date: dt.date
    title: str
    summary: str
    mood: Mood
    items: tuple[NoteItem, ...]
    language: str
    writer: Writer
    degraded: bool
    prompt_version: str
    """Version of the prompt, or of the offline writer's rules."""
    transcript_version: str
    version: str
    cost_usd: float | None = 0.0
    """All attempts included; None: a route has no price."""
    limits: tuple[str, ...] = ()
    """What the writer could not do for this recording, as codes (`english_cues_only`)."""

    def of(self, kind: ItemKind) -> tuple[NoteItem, ...]:
        """The items of one kind, in their order."""
        return tuple(i for i in self.items if i.kind == kind)
