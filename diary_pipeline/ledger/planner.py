"""Which waiting recordings go together, and which batches go first. Pure: rows in, batches out.

Reading the rows and writing the batches is batches.py's business. The rule, in order:

1. A batch has one stage and one model, because a run loads one model.
2. The level of an item is its priority, one more for each step of waiting (an hour), but no more than `high`; whatever
   waited a day of such steps is as good as `urgent`. So a backlog of hours does not stand before what is urgent.
3. Higher levels first. Within a level, owners take turns; within an owner's, what is of that level by itself and what
   has come to it by waiting, the oldest of each first. So nothing waits for ever, whoever else asks for what.
4. `urgent` and `high` each fill batches of their own, because a batch is committed at its end; below that, all levels
   share. A batch is full when the next item would exceed the minutes or the count.
5. A recording longer than the limit makes a batch of its own. A recording of unknown length counts as DEFAULT_AUDIO_S.

The surprise: a batch that is not full is planned at once. Waiting for more would delay the only memo of an evening, and
under load batches fill up while the open ones are worked on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from diary_pipeline.core.batch import PRIORITIES, Stage

DEFAULT_AUDIO_S = 360.0
"""The usual voice memo of the load we plan for: six minutes."""
STEP_S = 3600.0
STEPS_TO_URGENT = 24
SHARED = PRIORITIES["high"] - 1
"""Levels up to this one share batches."""


@dataclass(frozen=True)
class Waiting:
    """One recording whose stage is ready to be done."""

    key: str
    stage: Stage
    model: str
    owner: str
    priority: int
    audio_s: float | None
    """None or 0: unknown."""
    waited_s: float


@dataclass(frozen=True)
class PlanLimits:
    """How large batches may become, and how many there may be."""

    max_minutes: float
    max_recordings: int
    max_open: int
    """Batches planned, requested or at work; nothing more is planned while there are so many."""
    max_batches: int = 4
    """In one plan. Batches planned at the rate they are drained leave less to regret than twenty at once."""
    step_s: float = STEP_S
    """Of waiting, which lifts an item by one level."""


@dataclass(frozen=True)
class PlannedBatch:
    """The recordings of one future run."""

    stage: Stage
    model: str
    priority: int
    """The highest of its recordings'."""
    keys: tuple[str, ...]
    audio_s: float


def plan(waiting: Sequence[Waiting], limits: PlanLimits) -> list[PlannedBatch]:
    """Return at most `max_batches` batches, the most important first; what is in none of them goes on waiting."""
    batches: list[_Filling] = []
    filling: dict[tuple[Stage, str, int], _Filling] = {}
    for level, item in in_order(waiting, limits.step_s):
        group = (item.stage, item.model, max(level, SHARED))
        batch = filling.get(group)
        if batch is None or not batch.takes(item, limits):
            batch = _Filling()
            batches.append(batch)
            if _audio_s(item) <= limits.max_minutes * 60:  # else it goes alone, and the batch before it fills on
                filling[group] = batch
        batch.add(item)
    return [batch.planned() for batch in batches[: limits.max_batches]]


def level_of(item: Waiting, step_s: float = STEP_S) -> int:
    """Return how important an item has become by waiting: a priority, 0 to 3."""
    steps = int(item.waited_s // step_s)
    if steps >= STEPS_TO_URGENT:
        return PRIORITIES["urgent"]
    return max(item.priority, min(item.priority + steps, PRIORITIES["high"]))


def in_order(waiting: Sequence[Waiting], step_s: float = STEP_S) -> Iterator[tuple[int, Waiting]]:
    """Give items with their levels as rules 2 and 3 say."""
    levels: dict[int, dict[str, tuple[list[Waiting], list[Waiting]]]] = {}
    for item in sorted(waiting, key=lambda w: (-w.waited_s, -w.priority, w.key)):
        level = level_of(item, step_s)
        by_itself, by_waiting = levels.setdefault(level, {}).setdefault(item.owner, ([], []))
        (by_itself if item.priority == level else by_waiting).append(item)
    for level in sorted(levels, reverse=True):
        turns = [_in_turn(by_itself, by_waiting) for by_itself, by_waiting in levels[level].values()]
        yield from ((level, item) for item in _in_turn(*turns))  # owners stand in the order of their first items


def _in_turn(*some: Sequence[Waiting]) -> list[Waiting]:
    return [item for round_ in zip_longest(*some) for item in round_ if item is not None]


def _audio_s(item: Waiting) -> float:
    return item.audio_s or DEFAULT_AUDIO_S


@dataclass
class _Filling:
    items: list[Waiting] = field(default_factory=list)
    audio_s: float = 0.0

    def takes(self, item: Waiting, limits: PlanLimits) -> bool:
        together_s = self.audio_s + _audio_s(item)
        return len(self.items) < limits.max_recordings and together_s <= limits.max_minutes * 60

    def add(self, item: Waiting) -> None:
        self.items.append(item)
        self.audio_s += _audio_s(item)

    def planned(self) -> PlannedBatch:
        first, priority = self.items[0], max(w.priority for w in self.items)
        return PlannedBatch(first.stage, first.model, priority, tuple(w.key for w in self.items), self.audio_s)
