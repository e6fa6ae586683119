"""Planning: what is ready goes into batches once, within their limits, whoever plans at the same time."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from diary_pipeline.ledger import batches, claims, halving, leases
from diary_pipeline.ledger.commits import Change, record
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.planner import PlanLimits
from diary_pipeline.ledger.statements import now
from diary_pipeline.ledger.tables import work
from diary_pipeline_tests.contract.batch_work import (
    LEASE_S,
    LIMITS,
    accept,
    batch_of,
    claim,
    claim_keys,
    commit,
    open_,
    plan,
    release,
    works,
)
from diary_pipeline_tests.contract.query_plans import plans


def test_ready_work_is_planned_once_into_batches_within_their_limits(ledger: Ledger) -> None:
    keys = accept(ledger, 5)
    first, second = plan(ledger)
    assert plan(ledger) == []
    there = open_(ledger)
    assert list(there) == [first, second]
    assert [(b.recordings, b.audio_s, b.model, b.attempt) for b in there.values()] == [
        (3, 180.0, "tiny.en", 1),
        (2, 120.0, "tiny.en", 1),
    ]
    with ledger.reading() as conn:
        carried = [batches.keys_of(conn, id) for id in there]
    assert sorted(k for some in carried for k in some) == keys
    assert [b.first_key for b in there.values()] == [some[0] for some in carried]
    assert {w.state for w in works(ledger).values()} == {"planned"}


def test_nothing_is_planned_while_enough_batches_are_open(ledger: Ledger) -> None:
    accept(ledger, 9)
    first, _ = plan(ledger)
    assert plan(ledger) == []
    commit(ledger, claim(ledger, first))
    assert len(plan(ledger)) == 1
    assert plan(ledger) == []


def test_what_was_claimed_by_hand_does_not_keep_the_sensor_from_planning(ledger: Ledger) -> None:
    keys = accept(ledger, 3)
    for n, key in enumerate(keys):
        claim_keys(ledger, [key], holder=f"ui{n}")
    accept(ledger, 1)
    assert len(plan(ledger)) == 1


def test_the_newcomer_s_memo_is_planned_before_the_rest_of_an_import(ledger: Ledger) -> None:
    accept(ledger, 12, owner="importer")
    (theirs,) = accept(ledger, 1, owner="newcomer")
    (first,) = batches.plan_waiting(ledger, "transcript", PlanLimits(60, 3, 1))
    with ledger.reading() as conn:
        assert theirs in batches.keys_of(conn, first)


def test_urgent_work_overtakes_a_backlog(ledger: Ledger) -> None:
    accept(ledger, 12)
    (urgent,) = accept(ledger, 1, priority=3)
    first, *_ = batches.plan_waiting(ledger, "transcript", LIMITS)
    with ledger.reading() as conn:
        assert batches.keys_of(conn, first) == [urgent]
    assert open_(ledger)[first].priority == 3


def test_low_is_planned_with_urgent_once_it_has_waited_its_steps_however_much_urgent_work_there_is(
    ledger: Ledger,
) -> None:
    [low] = accept(ledger, 1, priority=0)
    accept(ledger, 12, priority=3)
    limits = PlanLimits(60, 3, 9, max_batches=1, step_s=60.0)
    [first] = batches.plan_waiting(ledger, "transcript", limits)
    with ledger.writing() as tx:
        tx.execute(work.update().where(work.c.recording_key == low).values(ready_at=now(tx) - 24 * 60.0))
    [second] = batches.plan_waiting(ledger, "transcript", limits)
    with ledger.reading() as conn:
        assert low not in batches.keys_of(conn, first)
        assert low in batches.keys_of(conn, second)


def test_four_planners_at_once_plan_each_recording_once_and_no_more_than_may_be_open(ledger: Ledger) -> None:
    keys = accept(ledger, 24)
    limits = PlanLimits(60, 3, 6, max_batches=2)
    with ThreadPoolExecutor(4) as pool:
        ids = [
            id
            for some in pool.map(lambda _: batches.plan_waiting(ledger, "transcript", limits), range(8))
            for id in some
        ]
    assert len(ids) == len(set(ids)) == 6
    with ledger.reading() as conn:
        carried = [key for id in ids for key in batches.keys_of(conn, id)]
    assert len(carried) == len(set(carried)) == 18
    assert set(carried) <= set(keys)


def test_planning_while_recordings_are_accepted_loses_and_doubles_nothing(ledger: Ledger) -> None:
    limits = PlanLimits(60, 3, 100)
    with ThreadPoolExecutor(4) as pool:
        accepted = [pool.submit(accept, ledger, 5) for _ in range(4)]
        planned = [pool.submit(batches.plan_waiting, ledger, "transcript", limits) for _ in range(6)]
        keys = sorted(k for f in accepted for k in f.result())
        ids = [id for f in planned for id in f.result()]
    while more := batches.plan_waiting(ledger, "transcript", limits):
        ids += more
    with ledger.reading() as conn:
        assert sorted(k for id in ids for k in batches.keys_of(conn, id)) == keys


def test_a_closed_batch_with_results_is_unreported_until_its_events_are_written(ledger: Ledger) -> None:
    def unreported() -> list[str]:
        with ledger.reading() as conn:
            return [b.id for b in batches.unreported(conn, "transcript")]

    keys = accept(ledger, 5)
    nothing, failed, first, second = (claim_keys(ledger, [key], f"run {n}") for n, key in enumerate(keys[:4]))
    release(ledger, nothing)
    commit(ledger, first)
    lease = failed.leases[0]
    change = Change(lease.key, lease.epoch, "failed", None, "internal_error", "why")
    record(ledger, kind="transcript", object_id="o", size_bytes=1, changes=[change])
    commit(ledger, second)
    half = claim_keys(ledger, [keys[0], keys[4]])
    commit(ledger, half, "half", keys=keys[:1])
    assert unreported() == [first.id, failed.id, second.id]
    release(ledger, half)
    with ledger.reading() as conn:
        told = batches.unreported(conn, "transcript")[0]
        assert (told.id, told.run_id, told.closed_at) == (first.id, "run 2", pytest.approx(now(conn), abs=60))
        assert batches.unreported(conn, "note") == []
    batches.mark_reported(ledger, first.id)
    batches.mark_reported(ledger, "nothing")
    assert unreported() == [failed.id, second.id, half.id]


def test_a_batch_that_is_still_open_cannot_be_reported(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)
    running = claim(ledger, id)
    commit(ledger, running, keys=keys[:1])
    batches.mark_reported(ledger, id)
    commit(ledger, running, "rest", keys=keys[1:])
    with ledger.reading() as conn:
        assert [b.id for b in batches.unreported(conn, "transcript")] == [id]


def test_a_tick_reads_from_indices_only(ledger: Ledger) -> None:
    accept(ledger, 4)
    plan(ledger)

    def tick(conn: sa.Connection) -> None:
        batches.open_batches(conn, "transcript")
        batches.exhausted(conn, "transcript", 3)
        batches.unreported(conn, "transcript")
        batches._room(conn, "transcript", LIMITS)
        batches._window(conn, "transcript", LIMITS, 2)

    for said in plans(ledger, tick):
        for line in said.splitlines():
            assert "Seq Scan" not in line, said
            assert not (line.startswith("SCAN ") and "CONSTANT ROW" not in line), said
        assert "Sort Key: work.turn_at" not in said
        assert not (("work_ready" in said or "batches_unreported" in said) and "TEMP B-TREE" in said), said
    (said,) = plans(ledger, lambda conn: batches._still_ready(conn, "transcript", ["a", "b"]))
    assert "(recording_key=? AND stage=?)" in said or ledger.engine.dialect.name == "postgresql"


def test_claiming_and_releasing_read_by_key_and_never_by_status(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)

    def run(tx: sa.Connection) -> None:
        claims._release(tx, claims._claim_batch(tx, id, 1, "run1", LEASE_S), None, 0, True)
        batch = claims._claim_keys(tx, "transcript", keys, "backfill", LEASE_S)
        claims._claim_keys(tx, "note", keys, "backfill", LEASE_S)
        leases._beat(tx, "backfill", LEASE_S)
        batches._next_attempt(tx, batch.id, None)
        halving._halve_ready(tx, "transcript", keys, 0)
        halving._halve(tx, batch.id, 2, 2)

    said = plans(ledger, run)
    assert len(said) > 20
    for plan_ in said:
        assert "Seq Scan" not in plan_, plan_
        assert "SCAN " not in plan_.replace("SCAN CONSTANT ROW", ""), plan_
        if ledger.engine.dialect.name == "sqlite":  # PostgreSQL chooses among indices by what it counted
            assert not any(index in plan_ for index in ("_status", "work_ready", "work_turn", "work_attempts")), plan_


# claiming
