"""A diary note whose every claim names the second it was said in."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

ENGLISH_CUES_ONLY = "english_cues_only"
"""A limit of the writer: events, reflections, actions and mood are recognised in English alone."""
NOT_TRANSLATED = "not_translated"
"""A limit of the writer: the owner wants notes in another language, this one is in the language that was spoken."""
DEGRADED = "degraded/"
"""How what a note was made with begins where it stands in for one that a language model should have written."""
ItemKind = Literal["event", "reflection", "action", "person", "place", "topic", "quote"]
Writer = Literal["llm", "offline"]
Outcome = Literal["done", "dropped"]
Mood = Literal["very_negative", "negative", "neutral", "mixed", "positive", "very_positive"]


@dataclass(frozen=True)
class Task:
    """What is to do, as stems that a later "I did it" must share."""

    verb: str
    object: tuple[str, ...]
    """Never empty; the last one is the thing itself ("blue", "blanket")."""
    about: tuple[str, ...] = ()
    """What was said beside it: for whom, where to, about what."""


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
    task: Task | None = None
    """Of an action: None where no single thing to do could be read, so that nothing later can settle it."""


@dataclass(frozen=True)
class Completion:
    """Words in which the speaker says that something is done, or will not be; which action that settles is SQL's."""

    text: str
    segment_id: int
    start_s: float
    end_s: float
    quote: str
    outcome: Outcome
    day: dt.date
    """When it was done or dropped: the day of the entry unless a day was said."""
    verbs: tuple[str, ...]
    """What it may settle: "finished" settles what was to be written as well."""
    object: tuple[str, ...]
    about: tuple[str, ...] = ()


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
    """What the writer could not do for this recording, as codes (`english_cues_only`, `not_translated`)."""
    completions: tuple[Completion, ...] = ()
    """What this recording says is done or dropped, for the actions of earlier ones."""

    @property
    def made_with(self) -> str:
        """What must be current for the note to be: its prompt or rules, and that it is no stand-in."""
        return f"{DEGRADED}{self.prompt_version}" if self.degraded else self.prompt_version

    def of(self, kind: ItemKind) -> tuple[NoteItem, ...]:
        """The items of one kind, in their order."""
        return tuple(i for i in self.items if i.kind == kind)
