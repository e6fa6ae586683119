"""Claims and attempts: a batch belongs to one run at a time, and to the next one only when that run is dead."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from diary_pipeline.core.errors import Fenced, NotFound
from diary_pipeline.ledger import batches, leases
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.tables import work
from diary_pipeline_tests.contract.batch_work import (
    LEASE_S,
    LIMITS,
    accept,
    batch_of,
    claim,
    claim_keys,
    commit,
    held,
    open_,
    status,
    works,
)


def test_a_claim_gives_every_recording_with_a_higher_epoch(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)
    batch = claim(ledger, id)
    assert (batch.id, batch.stage, held(batch), batch.skipped) == (id, "transcript", keys, ())
    assert {(lease.epoch, lease.holder) for lease in batch.leases} == {(1, "run1")}
    there = open_(ledger)[id]
    assert (there.state, there.run_id, there.lease_live) == ("claimed", "run1", True)
    with ledger.reading() as conn:
        assert leases.holder_is_live(conn, "run1")
    assert status(ledger, keys[0]) == "transcribing"


def test_claiming_again_under_the_same_name_raises_the_epoch_and_gives_the_same(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)
    first, again = claim(ledger, id), claim(ledger, id)
    assert held(again) == keys
    assert {lease.epoch for lease in again.leases} == {2}
    assert commit(ledger, first).fenced == tuple(keys)
    assert commit(ledger, again, "v2").committed == tuple(keys)


def test_two_runs_that_claim_one_batch_at_once_share_nothing(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)
    with ThreadPoolExecutor(6) as pool:
        got = list(pool.map(lambda n: claim(ledger, id, holder=f"run{n}"), range(6)))
    winners = [b for b in got if b.leases]
    assert len(winners) == 1
    assert held(winners[0]) == keys
    assert all(b.held == tuple(keys) for b in got if not b.leases)
    assert open_(ledger)[id].run_id == winners[0].leases[0].holder


@pytest.mark.parametrize("attempt", [0, 2])
def test_a_run_of_another_attempt_is_fenced(ledger: Ledger, attempt: int) -> None:
    id, _ = batch_of(ledger)
    with pytest.raises(Fenced, match="nothing to do") as caught:
        claim(ledger, id, attempt)
    assert caught.value.code == "batch_superseded"


def test_a_closed_batch_is_fenced_and_an_unknown_one_not_found(ledger: Ledger) -> None:
    id, _ = batch_of(ledger)
    commit(ledger, claim(ledger, id))
    assert open_(ledger) == {}
    with pytest.raises(Fenced, match="closed"):
        claim(ledger, id)
    with pytest.raises(NotFound, match="no batch nothing"):
        claim(ledger, "nothing")


def test_requesting_again_moves_nothing_that_went_on(ledger: Ledger) -> None:
    id, _ = batch_of(ledger)
    claim(ledger, id)
    batches.mark_requested(ledger, [id, "nothing"])
    batches.mark_requested(ledger, [])
    assert open_(ledger)[id].state == "claimed"


# attempts


def test_the_next_attempt_takes_over_from_a_dead_run_at_once_and_fences_it(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)
    dead = claim(ledger, id)
    batches.next_attempt(ledger, id)
    there = open_(ledger)[id]
    assert (there.state, there.attempt, there.run_id, there.requested_at, there.lease_live) == (
        "planned",
        2,
        None,
        None,
        False,
    )
    batches.mark_requested(ledger, [id])
    second = claim(ledger, id, 2, "run2")
    assert held(second) == keys
    assert {lease.epoch for lease in second.leases} == {2}
    assert commit(ledger, dead).fenced == tuple(keys)
    assert commit(ledger, second, "v2").committed == tuple(keys)
    assert open_(ledger) == {}


def test_a_run_that_lives_but_holds_nothing_of_its_batch_does_not_keep_it(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)
    claim(ledger, id)
    with ledger.writing() as tx:
        tx.execute(work.update().where(work.c.recording_key.in_(keys)).values(expires_at=1.0))
    with ledger.reading() as conn:
        assert leases.holder_is_live(conn, "run1")
    assert not open_(ledger)[id].lease_live


def test_the_next_attempt_carries_only_what_the_dead_run_had_not_committed(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)
    commit(ledger, claim(ledger, id), keys=keys[:1])
    batches.next_attempt(ledger, id)
    second = claim(ledger, id, 2, "run2")
    assert held(second) == keys[1:]


def test_a_dead_run_that_committed_late_after_all_closes_the_batch(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)
    slow = claim(ledger, id)
    batches.next_attempt(ledger, id)
    assert commit(ledger, slow).committed == tuple(keys)
    assert open_(ledger) == {}


def test_two_callers_who_saw_the_same_dead_run_move_its_batch_on_once(ledger: Ledger) -> None:
    id, _ = batch_of(ledger)
    claim(ledger, id)
    batches.next_attempt(ledger, id, 1)
    batches.mark_requested(ledger, [id])
    batches.next_attempt(ledger, id, 1)
    assert (open_(ledger)[id].attempt, open_(ledger)[id].state) == (2, "requested")


def test_a_planned_batch_has_no_attempt_to_follow(ledger: Ledger) -> None:
    accept(ledger, 1)
    (id,) = batches.plan_waiting(ledger, "transcript", LIMITS)
    batches.next_attempt(ledger, id)
    batches.next_attempt(ledger, "nothing")
    assert open_(ledger)[id].attempt == 1


def exhausted(ledger: Ledger) -> list[tuple[str, str | None, str | None, bool]]:
    """Return key, reason's code, last run and whether its batch held nothing else, of what was tried twice."""
    with ledger.reading() as conn:
        return [(e.key, e.reason_code, e.run_id, e.alone) for e in batches.exhausted(conn, "transcript", 2)]


def test_what_a_batch_carries_is_not_exhausted_whatever_its_runs_died_of(ledger: Ledger) -> None:
    id, _ = batch_of(ledger)
    for attempt in (1, 2, 3):
        claim(ledger, id, attempt, f"run{attempt}")
        batches.next_attempt(ledger, id)
        assert exhausted(ledger) == []


def test_who_is_exhausted_is_told_why_the_last_run_gave_up_and_who_was_with_it(ledger: Ledger) -> None:
    told, silent, alone = accept(ledger, 3)
    why = ("store_unwritable", "The disk is full; free some space.")
    batches.release(ledger, claim_keys(ledger, [told, silent, alone]), why)
    running, apart = claim_keys(ledger, [told, silent], "pair"), claim_keys(ledger, [alone], "apart")
    assert exhausted(ledger) == [], "its lease is live"
    batches.next_attempt(ledger, apart.id)
    batches.release(ledger, batches.claim_batch(ledger, apart.id, 2, "apart", LEASE_S))
    batches.release(ledger, replace(running, leases=running.leases[:1]), why)
    of_alone = (alone, None, "apart", True)
    assert exhausted(ledger) == [(told, "store_unwritable", "pair", False), of_alone]
    batches.next_attempt(ledger, running.id)
    batches.release(ledger, batches.claim_batch(ledger, running.id, 2, "pair again", LEASE_S))
    assert exhausted(ledger) == [
        (told, "store_unwritable", "pair again", False),
        (silent, None, "pair again", False),
        of_alone,
    ]
    commit(ledger, claim_keys(ledger, [told]))
    assert works(ledger)[told].reason_code is None
