"""A batch whose every run died is divided once, in its order, and nobody who still carries it can commit."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest

from diary_pipeline.core.errors import Fenced
from diary_pipeline.ledger import batches
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.leases import heartbeat
from diary_pipeline.ledger.planner import PlanLimits
from diary_pipeline_tests.contract.batch_work import (
    LEASE_S,
    accept,
    claim,
    claim_keys,
    commit,
    expire,
    held,
    open_,
    outcomes,
    plan,
    release,
    works,
)

LIMITS = PlanLimits(max_minutes=60, max_recordings=9, max_open=9)
LAST = 3


def lost(ledger: Ledger, count: int = 5) -> tuple[str, list[str]]:
    """Plan a batch that dies at its last attempt, and return its id and keys."""
    keys = accept(ledger, count)
    (id,) = plan(ledger, LIMITS)
    for attempt in range(1, LAST):
        claim(ledger, id, attempt, f"run{attempt}")
        batches.next_attempt(ledger, id)
    return id, keys


def carried(ledger: Ledger, ids: tuple[str, ...]) -> list[list[str]]:
    """Return the recordings of some batches."""
    with ledger.reading() as conn:
        return [batches.keys_of(conn, id) for id in ids]


def test_halves_are_planned_in_turn_with_one_attempt_and_one_recording_with_all(ledger: Ledger) -> None:
    slow = [*accept(ledger, 1, priority=0), *accept(ledger, 1, priority=0)]
    fast = accept(ledger, 1, priority=1)
    (id,) = plan(ledger, LIMITS)
    claim(ledger, id)
    batches.next_attempt(ledger, id)
    claim(ledger, id, 2, "run2")
    expire(ledger, "run2")
    first, second = halves = batches.halve(ledger, id, 2, 2)
    assert carried(ledger, halves) == [sorted([*fast, slow[0]]), [slow[1]]]
    there = open_(ledger)
    assert set(there) == set(halves)
    shown = [
        (b.state, b.stage, b.model, b.attempt, b.priority, b.recordings, b.audio_s) for b in map(there.get, halves)
    ]
    model = works(ledger)[slow[0]].model
    assert shown == [("planned", "transcript", model, 2, 1, 2, 120.0), ("planned", "transcript", model, 1, 0, 1, 60.0)]
    assert outcomes(ledger, id) == dict.fromkeys([*slow, *fast], "released")
    with ledger.reading() as conn:
        assert batches.exhausted(conn, "transcript", 2) == []
        assert batches.unreported(conn, "transcript") == [], "nothing came of it that Dagster had to be told"
    batches.mark_requested(ledger, halves)
    assert commit(ledger, claim(ledger, first, 2, "run3")).committed == tuple(carried(ledger, (first,))[0])
    assert commit(ledger, claim(ledger, second, 1, "run4"), "v2").committed == (slow[1],)
    assert open_(ledger) == {}


def test_what_an_earlier_attempt_has_ended_does_not_come_again_and_a_rest_of_one_has_all_attempts(
    ledger: Ledger,
) -> None:
    id, keys = lost(ledger, 3)
    commit(ledger, claim(ledger, id, LAST), keys=keys[:2])
    expire(ledger, "run1")
    (rest,) = batches.halve(ledger, id, LAST, LAST)
    assert (carried(ledger, (rest,)), open_(ledger)[rest].attempt) == ([keys[2:]], 1)
    assert outcomes(ledger, id) == {keys[0]: "committed", keys[1]: "committed", keys[2]: "released"}
    with ledger.reading() as conn:
        assert [b.id for b in batches.unreported(conn, "transcript")] == [id], "what it did is still to be shown"


def test_who_still_carries_the_old_batch_is_fenced(ledger: Ledger) -> None:
    id, keys = lost(ledger)
    zombie = claim(ledger, id, LAST, "zombie")
    expire(ledger, "zombie")
    halves = batches.halve(ledger, id, LAST, LAST)
    assert heartbeat(ledger, "zombie", LEASE_S) == 0
    assert commit(ledger, zombie).fenced == tuple(keys)
    release(ledger, zombie)
    with pytest.raises(Fenced):
        claim(ledger, id, LAST, "zombie")
    assert sorted(chain(*carried(ledger, halves))) == keys
    assert held(claim(ledger, halves[0], LAST, "new")) == carried(ledger, halves)[0]


def test_what_a_living_run_holds_is_left_to_it(ledger: Ledger) -> None:
    id, keys = lost(ledger)
    late = claim(ledger, id, LAST, "late")
    assert batches.halve(ledger, id, LAST, LAST) == ()
    assert commit(ledger, late).committed == tuple(keys)
    assert open_(ledger) == {}


def test_what_a_backfill_took_over_is_its_own(ledger: Ledger) -> None:
    id, keys = lost(ledger)
    backfill = claim_keys(ledger, keys[:2])
    halves = batches.halve(ledger, id, LAST, LAST)
    assert sorted(chain(*carried(ledger, halves))) == keys[2:]
    assert commit(ledger, backfill).committed == tuple(keys[:2])


def _halved(ledger: Ledger) -> tuple[Callable[[], tuple[str, ...]], list[str]]:
    id, keys = lost(ledger)

    def act() -> tuple[str, ...]:
        try:
            return batches.halve(ledger, id, LAST, LAST)
        except Fenced:
            return ()

    return act, keys


def _given_back(ledger: Ledger) -> tuple[Callable[[], tuple[str, ...]], list[str]]:
    id, keys = lost(ledger)
    release(ledger, claim(ledger, id, LAST))
    return lambda: batches.halve_ready(ledger, "transcript", keys, LAST), keys


@pytest.mark.parametrize("lose", [_halved, _given_back])
def test_two_who_saw_the_same_end_divide_it_once(
    ledger: Ledger, lose: Callable[[Ledger], tuple[Callable[[], tuple[str, ...]], list[str]]]
) -> None:
    act, keys = lose(ledger)
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(act) for _ in range(4)]
    (halves,) = filter(None, (one.result() for one in done))
    assert sorted(map(len, carried(ledger, halves))) == [2, 3]
    assert sorted(chain(*carried(ledger, halves))) == keys
    assert set(open_(ledger)) == set(halves)
