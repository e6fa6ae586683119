"""Batches cannot get lost, and nobody works on what another live run holds; on both databases."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from diary_pipeline.core.batch import Batch, Stage
from diary_pipeline.core.errors import Fenced, NotFound
from diary_pipeline.ledger import batches, claims, leases, recordings
from diary_pipeline.ledger.commits import Change, record
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.planner import PlanLimits
from diary_pipeline.ledger.tables import batch_items, work
from diary_pipeline.ledger.tables import holders as holders_table
from diary_pipeline_tests.builders import make_recording
from diary_pipeline_tests.contract.query_plans import plans
from diary_pipeline_tests.contract.test_ledger_submissions import read, submit

LIMITS = PlanLimits(max_minutes=60, max_recordings=3, max_open=2)
LEASE_S = 600.0


def accept(ledger: Ledger, count: int, priority: int = 1, **changes: Any) -> list[str]:
    """Accept recordings of a minute and return their keys."""
    keys = []
    for _ in range(count):
        id = submit(ledger, owner=changes.get("owner", "me"))
        recording = make_recording(file_name=f"{id}.m4a", **changes)
        keys.append(recordings.accept(ledger, id, recording, priority, 60.0).key)
    return sorted(keys)


def plan(ledger: Ledger, limits: PlanLimits = LIMITS, stage: Stage = "transcript") -> list[str]:
    """Plan and request."""
    ids = batches.plan_waiting(ledger, stage, limits)
    batches.mark_requested(ledger, ids)
    return ids


def batch_of(ledger: Ledger, count: int = 3) -> tuple[str, list[str]]:
    """Accept recordings, and plan and request one batch of them."""
    keys = accept(ledger, count)
    (id,) = plan(ledger)
    return id, keys


def claim(ledger: Ledger, id: str, attempt: int = 1, holder: str = "run1") -> Batch:
    """Claim a batch for a run."""
    return batches.claim_batch(ledger, id, attempt, holder, LEASE_S)


def claim_keys(ledger: Ledger, keys: Iterable[str], holder: str = "backfill", stage: Stage = "transcript") -> Batch:
    """Claim recordings for a backfill."""
    return batches.claim_keys(ledger, stage, list(keys), holder, LEASE_S)


def commit(ledger: Ledger, batch: Batch, version: str = "v1", keys: Iterable[str] | None = None) -> Any:
    """Commit what a batch holds, or some of it."""
    chosen = [lease for lease in batch.leases if keys is None or lease.key in keys]
    status, needs = ("generating_notes", None) if batch.stage == "transcript" else ("completed", ("transcript", "v1"))
    changes = [Change(x.key, x.epoch, status, version, requires=needs) for x in chosen]  # type: ignore[arg-type]
    return record(ledger, kind=batch.stage, object_id=f"{batch.id}/{version}", size_bytes=1, changes=changes)


def expire(ledger: Ledger, holder: str) -> None:
    """Let a holder have been silent for longer than its lease."""
    with ledger.writing() as tx:
        tx.execute(work.update().where(work.c.holder == holder).values(expires_at=1.0))
        tx.execute(holders_table.update().where(holders_table.c.holder == holder).values(expires_at=1.0))


def open_(ledger: Ledger, stage: Stage = "transcript") -> dict[str, batches.OpenBatch]:
    """Return the open batches by id."""
    with ledger.reading() as conn:
        return {b.id: b for b in batches.open_batches(conn, stage)}


def outcomes(ledger: Ledger, id: str) -> dict[str, str | None]:
    """Return what became of each recording of a batch."""
    with ledger.reading() as conn:
        columns = (batch_items.c.recording_key, batch_items.c.outcome)
        return dict(conn.execute(sa.select(*columns).where(batch_items.c.batch_id == id)).tuples().all())


def works(ledger: Ledger, stage: Stage = "transcript") -> dict[str, Any]:
    """Return the work rows of a stage by key."""
    with ledger.reading() as conn:
        return {r.recording_key: r for r in conn.execute(sa.select(work).where(work.c.stage == stage))}


def status(ledger: Ledger, key: str) -> str:
    """Return the status of a recording."""
    with ledger.reading() as conn:
        return recordings.rows(conn, [key])[0].status


def held(batch: Batch) -> list[str]:
    """Return the keys a batch may commit."""
    return [lease.key for lease in batch.leases]


# planning


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


def test_a_tick_reads_from_indices_only(ledger: Ledger) -> None:
    accept(ledger, 4)
    plan(ledger)

    def tick(conn: sa.Connection) -> None:
        batches.open_batches(conn, "transcript")
        batches.exhausted(conn, "transcript", 3)
        batches._room(conn, "transcript", LIMITS)
        batches._window(conn, "transcript", LIMITS, 2)

    for said in plans(ledger, tick):
        for line in said.splitlines():
            assert "Seq Scan" not in line, said
            assert not (line.startswith("SCAN ") and "CONSTANT ROW" not in line), said
        assert "Sort Key: work.turn_at" not in said
        assert not ("work_ready" in said and "TEMP B-TREE" in said), said
    (said,) = plans(ledger, lambda conn: batches._still_ready(conn, "transcript", ["a", "b"]))
    assert "(recording_key=? AND stage=?)" in said or ledger.engine.dialect.name == "postgresql"


def test_claiming_and_releasing_read_by_key_and_never_by_status(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)

    def run(tx: sa.Connection) -> None:
        claims._release(tx, claims._claim_batch(tx, id, 1, "run1", LEASE_S))
        batch = claims._claim_keys(tx, "transcript", keys, "backfill", LEASE_S, force=False)
        leases._beat(tx, "backfill", LEASE_S)
        batches._next_attempt(tx, batch.id, None)

    said = plans(ledger, run)
    assert len(said) > 20
    for plan_ in said:
        assert "Seq Scan" not in plan_, plan_
        assert "SCAN " not in plan_.replace("SCAN CONSTANT ROW", ""), plan_
        if ledger.engine.dialect.name == "sqlite":  # PostgreSQL chooses among indices by what it counted
            assert not any(index in plan_ for index in ("_status", "work_ready", "work_turn", "work_attempts")), plan_


# claiming


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
    assert all(b.skipped == tuple(keys) for b in got if not b.leases)
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


def test_recordings_whose_every_run_died_are_exhausted(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)

    def exhausted() -> list[str]:
        with ledger.reading() as conn:
            return batches.exhausted(conn, "transcript", 2)

    for attempt in (1, 2):
        assert exhausted() == []
        claim(ledger, id, attempt, f"run{attempt}")
        assert exhausted() == []  # its last run may still do it
        batches.next_attempt(ledger, id)
    assert exhausted() == keys
    commit(ledger, claim_keys(ledger, keys[:1]))
    assert exhausted() == keys[1:]


def test_work_that_somebody_asks_for_anew_has_all_its_attempts_again(ledger: Ledger) -> None:
    (key,) = accept(ledger, 1)
    for n in range(3):
        commit(ledger, claim_keys(ledger, [key]), f"v{n}")
    assert works(ledger)[key].attempts == 1


# backfills


def test_a_backfill_takes_planned_work_over_and_the_planned_run_leaves_it_alone(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)
    backfill = claim_keys(ledger, keys[1:2])
    assert held(backfill) == keys[1:2]
    batch = claim(ledger, id)
    assert (held(batch), batch.skipped) == ([keys[0], keys[2]], (keys[1],))
    assert outcomes(ledger, id)[keys[1]] == "released"
    commit(ledger, batch)
    commit(ledger, backfill, "v2")
    assert open_(ledger) == {}


def test_a_backfill_that_took_everything_leaves_the_planned_run_nothing_and_its_batch_closes(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)
    commit(ledger, claim_keys(ledger, keys))
    batch = claim(ledger, id)
    assert (batch.leases, batch.skipped) == ((), tuple(keys))
    assert open_(ledger) == {}


def test_a_backfill_never_takes_what_a_live_run_holds_unless_it_is_forced(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)
    running = claim(ledger, id)
    backfill = claim_keys(ledger, keys)
    assert (backfill.leases, backfill.skipped) == ((), tuple(keys))
    assert list(open_(ledger)) == [id]
    forced = batches.claim_keys(ledger, "transcript", keys, "forced", LEASE_S, force=True)
    assert held(forced) == keys
    assert commit(ledger, running).fenced == tuple(keys)
    batches.release(ledger, running)
    assert list(open_(ledger)) == [forced.id]


def test_a_backfill_takes_what_a_silent_run_held(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)
    silent = claim(ledger, id)
    expire(ledger, "run1")
    assert not open_(ledger)[id].lease_live
    backfill = claim_keys(ledger, keys)
    assert held(backfill) == keys
    assert list(open_(ledger)) == [backfill.id]
    assert commit(ledger, silent).fenced == tuple(keys)
    batches.release(ledger, silent)
    assert commit(ledger, backfill, "v2").committed == tuple(keys)


def test_the_batch_of_a_backfill_whose_run_died_is_planned_again_like_any_other(ledger: Ledger) -> None:
    keys = accept(ledger, 2)
    backfill = claim_keys(ledger, keys)
    expire(ledger, "backfill")
    there = open_(ledger)[backfill.id]
    assert (there.state, there.attempt, there.lease_live) == ("claimed", 1, False)
    batches.next_attempt(ledger, backfill.id)
    assert held(claim(ledger, backfill.id, 2)) == keys


def test_a_backfill_claims_what_is_done_or_failed_too(ledger: Ledger) -> None:
    done, failed = accept(ledger, 2)
    commit(ledger, claim_keys(ledger, [done]))
    batch = claim_keys(ledger, [failed])
    change = Change(failed, batch.leases[0].epoch, "failed", None, "audio_truncated", "why")
    record(ledger, kind="transcript", object_id="o", size_bytes=1, changes=[change])
    again = claim_keys(ledger, [done, failed])
    assert held(again) == sorted([done, failed])
    batches.release(ledger, again)
    assert {k: w.state for k, w in works(ledger).items()} == {done: "done", failed: "failed"}
    assert status(ledger, failed) == "failed"
    assert open_(ledger) == {}


def test_claiming_keys_again_under_the_same_name_leaves_one_open_batch(ledger: Ledger) -> None:
    keys = accept(ledger, 2)
    claim_keys(ledger, keys)
    again = claim_keys(ledger, [keys[1], keys[0], keys[0]])
    assert held(again) == keys
    assert list(open_(ledger)) == [again.id]


def test_unknown_keys_are_named(ledger: Ledger) -> None:
    (key,) = accept(ledger, 1)
    with pytest.raises(NotFound, match=r"nobody0, nobody1, .* and 2 more") as caught:
        claim_keys(ledger, [key, *(f"nobody{n}" for n in range(7))])
    assert caught.value.code == "recording_missing"
    assert open_(ledger) == {}


def test_a_note_cannot_be_claimed_before_there_is_a_transcript(ledger: Ledger) -> None:
    with_transcript, without = accept(ledger, 2)
    commit(ledger, claim_keys(ledger, [with_transcript]))
    batch = claim_keys(ledger, [with_transcript, without], stage="note")
    assert (held(batch), batch.skipped) == ([with_transcript], (without,))


def test_planners_backfills_and_runs_at_once_do_everything_once(ledger: Ledger) -> None:
    keys = accept(ledger, 18)
    limits = PlanLimits(60, 3, 100, max_batches=2)

    def run(id: str) -> list[str]:
        batch = claim(ledger, id, holder=f"run-{id}")
        done = commit(ledger, batch, id).committed if batch.leases else ()
        batches.release(ledger, batch)
        return list(done)

    def sensor(_: int) -> list[str]:
        return [key for id in plan(ledger, limits) for key in run(id)]

    def backfill(n: int) -> list[str]:
        batch = claim_keys(ledger, keys[n::3][:3], f"backfill{n}")
        done = commit(ledger, batch, f"b{n}").committed if batch.leases else ()
        batches.release(ledger, batch)
        return list(done)

    with ThreadPoolExecutor(6) as pool:
        work_ = [pool.submit(sensor, n) for n in range(4)] + [pool.submit(backfill, n) for n in range(3)]
        committed = [key for f in work_ for key in f.result()]
    while some := sensor(0):
        committed += some
    # A backfill may do again what a run had done just before; nothing is left out and nothing stays open.
    assert set(committed) == set(keys)
    assert open_(ledger) == {}
    assert {w.state for w in works(ledger).values()} == {"done"}


# giving back


def test_a_run_that_raised_gives_back_what_it_had_not_committed(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)
    batch = claim(ledger, id)
    commit(ledger, batch, keys=keys[:1])
    batches.release(ledger, batch)
    batches.release(ledger, batch)
    assert outcomes(ledger, id) == {keys[0]: "committed", keys[1]: "released", keys[2]: "released"}
    assert {k: w.state for k, w in works(ledger).items()} == {keys[0]: "done", keys[1]: "ready", keys[2]: "ready"}
    assert status(ledger, keys[1]) == "pending"
    (again,) = plan(ledger)
    assert held(claim(ledger, again, holder="run2")) == keys[1:]
    assert commit(ledger, batch, "late", keys=keys[1:]).fenced == tuple(keys[1:])


def test_release_leaves_alone_what_somebody_else_holds_by_now(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)
    old = claim(ledger, id)
    batches.next_attempt(ledger, id)
    new = claim(ledger, id, 2, "run2")
    batches.release(ledger, old)
    assert outcomes(ledger, id) == dict.fromkeys(keys)
    assert open_(ledger)[id].run_id == "run2"
    assert commit(ledger, new).committed == tuple(keys)
    assert open_(ledger) == {}


def test_a_rerun_of_something_done_that_is_released_is_done_again(ledger: Ledger) -> None:
    (key,) = accept(ledger, 1)
    commit(ledger, claim_keys(ledger, [key]))
    batches.release(ledger, claim_keys(ledger, [key]))
    assert works(ledger)[key].state == "done"
    assert status(ledger, key) == "generating_notes"
    batches.release(ledger, claim_keys(ledger, [key], stage="note"))
    assert works(ledger, "note")[key].state == "ready"


def test_a_recording_wanted_with_another_model_is_ready_again_after_a_release_though_an_old_version_is_current(
    ledger: Ledger,
) -> None:
    (key,) = accept(ledger, 1)
    commit(ledger, claim_keys(ledger, [key]))
    with ledger.reading() as conn:
        there = recordings.get(conn, key)
    wanted = make_recording(key=key, content_sha256=there.content_sha256, whisper_model="small")
    running = claim_keys(ledger, [key])
    assert recordings.accept(ledger, submit(ledger), wanted, 1, 60).new_work
    assert commit(ledger, running, "v2").fenced == (key,)
    batches.release(ledger, running)
    (id,) = plan(ledger)
    assert open_(ledger)[id].model == "small"
    batches.release(ledger, claim(ledger, id))
    assert works(ledger)[key].state == "ready"


def test_a_submission_is_shown_as_transcribing_while_it_is(ledger: Ledger) -> None:
    id = submit(ledger)
    key = recordings.accept(ledger, id, make_recording(), 1, 60).key
    batch = claim_keys(ledger, [key])
    assert read(ledger, id).status == "transcribing"
    batches.release(ledger, batch)
    assert read(ledger, id).status == "pending"


def test_a_batch_larger_than_any_statement_goes_all_the_way(ledger: Ledger) -> None:
    rows = [make_recording(file_name=f"{n}.m4a") for n in range(1200)]
    for recording in rows:
        recordings.accept(ledger, submit(ledger), recording, 1, 60.0)
    (id,) = plan(ledger, PlanLimits(9999, 2000, 1))
    batch = claim(ledger, id)
    assert len(batch.leases) == 1200
    assert leases.heartbeat(ledger, "run1", LEASE_S) == 1200
    batches.release(ledger, batch)
    assert open_(ledger) == {}
    assert len(claim_keys(ledger, [r.key for r in rows]).leases) == 1200
