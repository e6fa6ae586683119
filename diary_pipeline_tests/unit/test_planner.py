"""Who goes with whom, and who goes first."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diary_pipeline.core.batch import PRIORITIES, Stage
from diary_pipeline.ledger.planner import DEFAULT_AUDIO_S, PlanLimits, Waiting, level_of, plan

LIMITS = PlanLimits(max_minutes=10, max_recordings=4, max_open=2)
HOUR = 3600.0
DAY = 86_400.0


def waits(key: str, **changes: object) -> Waiting:
    """Return a minute of `me`, medium, waiting for a second."""
    base = Waiting(key=key, stage="transcript", model="small", owner="me", priority=1, audio_s=60.0, waited_s=1.0)
    return replace(base, **changes)  # type: ignore[arg-type]


def planned(waiting: Sequence[Waiting], limits: PlanLimits = LIMITS) -> list[str]:
    """Return the batches as words."""
    return ["".join(batch.keys) for batch in plan(waiting, limits)]


@pytest.mark.parametrize(
    ("why", "waiting", "expected"),
    [
        ("nothing waits", [], []),
        ("a small batch is planned at once", [waits("a")], ["a"]),
        ("the oldest first", [waits("a"), waits("b", waited_s=9), waits("c", waited_s=5)], ["bca"]),
        ("a batch is full by count", [waits(k) for k in "abcde"], ["abcd", "e"]),
        ("a batch is full by minutes", [waits(k, audio_s=301) for k in "abc"], ["a", "b", "c"]),
        ("a batch may be just as long as the limit", [waits(k, audio_s=300) for k in "abc"], ["ab", "c"]),
        ("one model a batch", [waits("a"), waits("b", model="tiny"), waits("c")], ["ac", "b"]),
        ("one stage a batch", [waits("a"), waits("b", stage="note"), waits("c")], ["ac", "b"]),
        ("longer than the limit goes alone", [waits("a"), waits("b", audio_s=601), waits("c")], ["ac", "b"]),
        ("unknown length counts as six minutes", [waits(k, audio_s=None) for k in "ab"], ["a", "b"]),
        ("length 0 is unknown", [waits(k, audio_s=0.0) for k in "ab"], ["a", "b"]),
        ("urgent goes first and alone", [waits("a"), waits("b", priority=3), waits("c")], ["b", "ac"]),
        ("high goes before medium", [waits("a"), waits("b", priority=2)], ["b", "a"]),
        ("low fills up after medium", [waits("a", priority=0, waited_s=9), waits("b")], ["ba"]),
        ("low that waited an hour is medium", [waits("b"), waits("a", priority=0, waited_s=HOUR)], ["ba"]),
        (
            "low that waited two hours is high",
            [waits("a"), waits("h", priority=2), waits("l", priority=0, waited_s=2 * HOUR)],
            ["hl", "a"],
        ),
        (
            "a backlog of hours does not stand before what is urgent now",
            [*(waits(k, waited_s=9 * HOUR) for k in "abcde"), waits("u", priority=3)],
            ["u", "abcd", "e"],
        ),
        (
            "whatever waited a day goes with what is urgent",
            [waits("u", priority=3), waits("d", priority=0, waited_s=DAY)],
            ["ud"],
        ),
        (
            "owners take turns",
            [*(waits(k, waited_s=9) for k in "abcde"), waits("y", owner="you", waited_s=2), waits("z", owner="she")],
            ["ayzb", "cde"],
        ),
        (
            "what an owner finds important comes first in their turn",
            [waits("a", waited_s=DAY), waits("b", waited_s=DAY, priority=2), waits("c", waited_s=DAY, owner="you")],
            ["bca"],
        ),
        (
            "what an owner asked for and what has come to it by waiting take turns, the oldest of each first",
            [
                *(waits(k, priority=2, waited_s=9) for k in "abc"),
                *(waits(k, priority=0, waited_s=s * HOUR) for k, s in (("x", 2), ("y", 3))),
            ],
            ["aybx", "c"],
        ),
        ("no more batches than asked for", [waits(k, model=k) for k in "abcdef"], ["a", "b", "c", "d"]),
    ],
    ids=lambda value: value.replace(" ", "_") if isinstance(value, str) else "",
)
def test_batches(why: str, waiting: list[Waiting], expected: list[str]) -> None:
    assert planned(waiting) == expected


def test_a_batch_knows_its_length_and_its_highest_priority() -> None:
    (batch,) = plan([waits("a", priority=0), waits("b", audio_s=None)], LIMITS)
    assert (batch.stage, batch.model, batch.priority, batch.audio_s) == ("transcript", "small", 1, 60 + DEFAULT_AUDIO_S)


@pytest.mark.parametrize(
    ("priority", "waited_s", "level"),
    [
        (0, 0, 0),
        (0, HOUR, 1),
        (0, 9 * HOUR, 2),
        (1, HOUR - 1, 1),
        (2, 9 * HOUR, 2),
        (3, 0, 3),
        (3, HOUR, 3),
        (0, DAY, 3),
    ],
)
def test_waiting_raises_the_level(priority: int, waited_s: float, level: int) -> None:
    assert level_of(waits("a", priority=priority, waited_s=waited_s)) == level


@pytest.mark.parametrize("priority", [0, 1, 2])
def test_under_an_endless_stream_of_urgent_work_whatever_waited_a_day_gets_its_turn(priority: int) -> None:
    stream = [waits(f"u{n:03}", priority=3, owner=f"owner{n % 7}") for n in range(500)]
    old = waits("old", priority=priority, waited_s=DAY, owner="patient")
    first = plan([*stream, old], replace(LIMITS, max_recordings=10, max_minutes=99))[0]
    assert "old" in first.keys


@pytest.mark.parametrize(("step_s", "level"), [(60.0, 2), (3600.0, 0), (1.0, 3)])
def test_how_long_a_step_of_waiting_is_can_be_said(step_s: float, level: int) -> None:
    assert level_of(waits("a", priority=0, waited_s=200.0), step_s) == level


@pytest.mark.parametrize("priority", [1, 2, 3])
def test_low_gets_its_turn_within_a_day_of_steps_however_much_else_the_same_owner_asks_for(priority: int) -> None:
    """A backlog by the minute: each minute ten new recordings and room for six."""
    limits = replace(LIMITS, max_recordings=6, max_minutes=99, max_batches=1, step_s=60.0)
    since = {f"low{n}": 0 for n in range(5)}
    asked = dict.fromkeys(since, 0)
    done: dict[str, int] = {}
    for minute in range(60):
        for n in range(10):
            since[f"new{minute:02}-{n}"], asked[f"new{minute:02}-{n}"] = minute, priority
        window = [waits(k, priority=asked[k], waited_s=(minute - at) * 60.0) for k, at in since.items()]
        [batch] = plan(window, limits)
        done |= {key: minute - since.pop(key) for key in batch.keys}
    waited = [done[f"low{n}"] for n in range(5)]
    assert max(waited) <= 28
    assert min(waited) >= {1: 1, 2: 2, 3: 24}[priority], "what is more important goes first"


def test_urgent_goes_first_through_a_backlog_of_any_age() -> None:
    limits = replace(LIMITS, max_recordings=6, max_minutes=99, max_batches=1)
    backlog = [waits(f"old{n}", waited_s=3 * DAY, priority=n % 3) for n in range(100)]
    for n in range(20):
        [batch] = plan([*backlog, waits("now", priority=3, waited_s=0)], limits)
        assert batch.keys[0] == "now"
        backlog = [w for w in backlog if w.key not in batch.keys]
        assert len(backlog) == 100 - 5 * (n + 1), "and takes one place of six"


ITEMS = st.lists(
    st.builds(
        Waiting,
        key=st.text("abcdefgh", min_size=1, max_size=6),
        stage=st.sampled_from(list[Stage](["transcript", "note"])),
        model=st.sampled_from(["tiny", "small"]),
        owner=st.sampled_from(["me", "you", "she"]),
        priority=st.sampled_from(sorted(PRIORITIES.values())),
        audio_s=st.none() | st.floats(0, 2000),
        waited_s=st.floats(0, 2 * DAY),
    ),
    max_size=40,
    unique_by=lambda w: w.key,
)
SOME_LIMITS = st.builds(
    PlanLimits,
    max_minutes=st.floats(1, 30),
    max_recordings=st.integers(1, 9),
    max_open=st.just(2),
    max_batches=st.integers(1, 50),
)


@given(ITEMS, SOME_LIMITS)
def test_every_item_is_in_one_batch_or_left_and_no_batch_of_several_is_over_a_limit(
    waiting: list[Waiting], limits: PlanLimits
) -> None:
    batches = plan(waiting, limits)
    by_key = {w.key: w for w in waiting}
    taken = [key for batch in batches for key in batch.keys]
    assert len(taken) == len(set(taken))
    assert set(taken) <= set(by_key)
    assert len(batches) <= limits.max_batches
    if len(batches) < limits.max_batches:
        assert set(taken) == set(by_key)
    for batch in batches:
        members = [by_key[key] for key in batch.keys]
        assert members
        assert {(w.stage, w.model) for w in members} == {(batch.stage, batch.model)}
        assert batch.priority == max(w.priority for w in members)
        assert len(members) <= limits.max_recordings
        assert len(members) == 1 or batch.audio_s <= limits.max_minutes * 60 + 1e-6


@given(ITEMS, SOME_LIMITS)
def test_what_is_left_is_never_more_important_than_what_is_taken(waiting: list[Waiting], limits: PlanLimits) -> None:
    firsts = [level_of(next(w for w in waiting if w.key == batch.keys[0])) for batch in plan(waiting, limits)]
    assert firsts == sorted(firsts, reverse=True)
    if waiting and firsts:
        assert firsts[0] == max(level_of(w) for w in waiting)
