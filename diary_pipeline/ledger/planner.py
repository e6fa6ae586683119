"""Which waiting recordings go together, and which batches go first. Pure: rows in, batches out.

Reading the rows and writing the batches is batches.py's business. The rule, in order:

1. A batch has one stage and one model, because a run loads one model.
2. The level of an item is its priority, one more for each hour it waited, but no more than `high`; whatever waited a
   day is as good as `urgent`. So nothing waits for ever, and a backlog of hours does not stand before what is urgent.
3. Higher levels first. Within a level, owners take turns, each with what they find most important, then what is oldest.
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
LEVEL_UP_S = 3600.0
LONGEST_WAIT_S = 86_400.0
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
    for level, item in _in_order(waiting):
        group = (item.stage, item.model, max(level, SHARED))
        batch = filling.get(group)
        if batch is None or not batch.takes(item, limits):
            batch = _Filling()
            batches.append(batch)
            if _audio_s(item) <= limits.max_minutes * 60:  # else it goes alone, and the batch before it fills on
                filling[group] = batch
        batch.add(item)
    return [batch.planned() for batch in batches[: limits.max_batches]]


def level_of(item: Waiting) -> int:
    """Return how important an item has become by waiting: a priority, 0 to 3."""
    if item.waited_s >= LONGEST_WAIT_S:
        return PRIORITIES["urgent"]
    aged = min(item.priority + int(item.waited_s // LEVEL_UP_S), PRIORITIES["high"])
    return max(item.priority, aged)


def _in_order(waiting: Sequence[Waiting]) -> Iterator[tuple[int, Waiting]]:
    levels: dict[int, dict[str, list[Waiting]]] = {}
    for item in sorted(waiting, key=lambda w: (-w.priority, -w.waited_s, w.key)):
        levels.setdefault(level_of(item), {}).setdefault(item.owner, []).append(item)
    for level in sorted(levels, reverse=True):
        for round_ in zip_longest(*levels[level].values()):  # owners stand in the order of their first items
            yield from ((level, item) for item in round_ if item is not None)


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
