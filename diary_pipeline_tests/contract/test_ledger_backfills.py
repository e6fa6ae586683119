"""Backfills and release: chosen recordings are taken over, given back, and done once all the same."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from diary_pipeline.core.batch import Stage
from diary_pipeline.ledger import batches, leases, recordings
from diary_pipeline.ledger.commits import Change, record
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.planner import PlanLimits
from diary_pipeline.ledger.statements import now
from diary_pipeline.ledger.tables import work
from diary_pipeline_tests.builders import make_recording
from diary_pipeline_tests.contract.batch_work import (
    LEASE_S,
    accept,
    batch_of,
    claim,
    claim_keys,
    commit,
    expire,
    held,
    open_,
    outcomes,
    plan,
    release,
    status,
    works,
)
from diary_pipeline_tests.contract.test_ledger_submissions import read, submit

STAGES: tuple[Stage, ...] = ("transcript", "note")


def test_a_backfill_takes_planned_work_over_and_the_planned_run_leaves_it_alone(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)
    backfill = claim_keys(ledger, keys[1:2])
    assert held(backfill) == keys[1:2]
    batch = claim(ledger, id)
    assert (held(batch), batch.settled, batch.skipped) == ([keys[0], keys[2]], (keys[1],), (keys[1],))
    assert outcomes(ledger, id)[keys[1]] == "released"
    commit(ledger, batch)
    commit(ledger, backfill, "v2")
    assert open_(ledger) == {}


def test_a_backfill_that_took_everything_leaves_the_planned_run_nothing_and_its_batch_closes(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)
    commit(ledger, claim_keys(ledger, keys))
    batch = claim(ledger, id)
    assert (batch.leases, batch.settled, batch.held) == ((), tuple(keys), ())
    assert open_(ledger) == {}


def test_a_backfill_never_takes_what_a_live_run_holds(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)
    claim(ledger, id)
    backfill = claim_keys(ledger, keys)
    assert (backfill.leases, backfill.held, backfill.skipped) == ((), tuple(keys), tuple(keys))
    assert list(open_(ledger)) == [id]


def test_a_backfill_takes_what_a_silent_run_held(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)
    silent = claim(ledger, id)
    expire(ledger, "run1")
    assert not open_(ledger)[id].lease_live
    backfill = claim_keys(ledger, keys)
    assert held(backfill) == keys
    assert list(open_(ledger)) == [backfill.id]
    assert commit(ledger, silent).fenced == tuple(keys)
    release(ledger, silent)
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
    release(ledger, again)
    assert {k: w.state for k, w in works(ledger).items()} == {done: "done", failed: "failed"}
    assert status(ledger, failed) == "failed"
    assert open_(ledger) == {}


def test_claiming_keys_again_under_the_same_name_leaves_one_open_batch(ledger: Ledger) -> None:
    keys = accept(ledger, 2)
    claim_keys(ledger, keys)
    again = claim_keys(ledger, [keys[1], keys[0], keys[0]])
    assert held(again) == keys
    assert list(open_(ledger)) == [again.id]


def test_unknown_keys_are_left_out_and_named(ledger: Ledger) -> None:
    (key,) = accept(ledger, 1)
    batch = claim_keys(ledger, ["zzz", key, "nobody"])
    assert (held(batch), batch.unknown, batch.skipped) == ([key], ("nobody", "zzz"), ())
    for stage in STAGES:
        batch = claim_keys(ledger, ["nobody"], stage=stage)
        assert (batch.leases, batch.unknown) == ((), ("nobody",))
        release(ledger, batch)


def test_a_note_without_transcript_is_claimed_and_its_failure_leaves_the_recording_alone(ledger: Ledger) -> None:
    with_transcript, without = sorted(accept(ledger, 2))
    commit(ledger, claim_keys(ledger, [with_transcript]))
    batch = claim_keys(ledger, [with_transcript, without], stage="note")
    assert held(batch) == [with_transcript, without]
    [lease] = [x for x in batch.leases if x.key == without]
    change = Change(without, lease.epoch, "failed", None, "transcript_missing", "why")
    assert record(ledger, kind="note", object_id="o", size_bytes=1, changes=[change]).kept == (without,)
    assert status(ledger, without) == "pending"
    there = works(ledger, "note")[without]
    assert (there.state, there.reason_code, outcomes(ledger, batch.id)[without]) == (
        "failed",
        "transcript_missing",
        "failed",
    )
    release(ledger, batch)
    assert open_(ledger, "note") == {}
    assert {k: w.state for k, w in works(ledger, "note").items()} == {with_transcript: "ready", without: "failed"}
    commit(ledger, claim_keys(ledger, [without]))
    assert works(ledger, "note")[without].state == "ready"
    assert status(ledger, without) == "generating_notes"


def test_a_note_claimed_before_its_transcript_goes_to_the_transcript_that_comes_meanwhile(ledger: Ledger) -> None:
    (key,) = accept(ledger, 1)
    early = claim_keys(ledger, [key], "early", stage="note")
    commit(ledger, claim_keys(ledger, [key]))
    change = Change(key, early.leases[0].epoch, "failed", None, "transcript_missing", "why")
    assert record(ledger, kind="note", object_id="o", size_bytes=1, changes=[change]).fenced == (key,)
    release(ledger, early)
    assert works(ledger, "note")[key].state == "ready"


def test_planners_backfills_and_runs_at_once_do_everything_once(ledger: Ledger) -> None:
    keys = accept(ledger, 18)
    limits = PlanLimits(60, 3, 100, max_batches=2)

    def run(id: str) -> list[str]:
        batch = claim(ledger, id, holder=f"run-{id}")
        done = commit(ledger, batch, id).committed if batch.leases else ()
        release(ledger, batch)
        return list(done)

    def sensor(_: int) -> list[str]:
        return [key for id in plan(ledger, limits) for key in run(id)]

    def backfill(n: int) -> list[str]:
        batch = claim_keys(ledger, keys[n::3][:3], f"backfill{n}")
        done = commit(ledger, batch, f"b{n}").committed if batch.leases else ()
        release(ledger, batch)
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
    release(ledger, batch)
    release(ledger, batch)
    assert outcomes(ledger, id) == {keys[0]: "committed", keys[1]: "released", keys[2]: "released"}
    assert {k: w.state for k, w in works(ledger).items()} == {keys[0]: "done", keys[1]: "ready", keys[2]: "ready"}
    assert status(ledger, keys[1]) == "pending"
    (again,) = plan(ledger)
    assert held(claim(ledger, again, holder="run2")) == keys[1:]
    assert commit(ledger, batch, "late", keys=keys[1:]).fenced == tuple(keys[1:])


def test_what_a_run_gave_back_waits_longer_each_time_before_it_is_planned_again(ledger: Ledger) -> None:
    (key,) = accept(ledger, 1)
    for attempt, pause_s in ((1, 10), (2, 20), (3, 40), (9, 300)):
        with ledger.writing() as tx:
            again = work.update().where(work.c.recording_key == key, work.c.stage == "transcript")
            tx.execute(again.values(ready_at=now(tx) - 1, attempts=attempt - 1))
        (id,) = plan(ledger)
        batches.release(ledger, claim(ledger, id))
        assert plan(ledger) == []
        with ledger.reading() as conn:
            assert works(ledger)[key].ready_at - now(conn) == pytest.approx(pause_s, abs=5)
    assert (works(ledger)[key].state, status(ledger, key)) == ("ready", "pending")


def test_what_is_not_waited_for_is_not_put_off(ledger: Ledger) -> None:
    (key,) = accept(ledger, 1)
    commit(ledger, claim_keys(ledger, [key]))
    before = works(ledger)[key]
    batches.release(ledger, claim_keys(ledger, [key]), ("store_unwritable", "The disk is full."))
    after = works(ledger)[key]
    assert (after.state, after.ready_at, after.reason_code) == ("done", before.ready_at, None)


def test_release_leaves_alone_what_somebody_else_holds_by_now(ledger: Ledger) -> None:
    id, keys = batch_of(ledger)
    old = claim(ledger, id)
    batches.next_attempt(ledger, id)
    new = claim(ledger, id, 2, "run2")
    release(ledger, old)
    assert outcomes(ledger, id) == dict.fromkeys(keys)
    assert open_(ledger)[id].run_id == "run2"
    assert commit(ledger, new).committed == tuple(keys)
    assert open_(ledger) == {}


def test_a_rerun_of_something_done_that_is_released_is_done_again(ledger: Ledger) -> None:
    (key,) = accept(ledger, 1)
    commit(ledger, claim_keys(ledger, [key]))
    release(ledger, claim_keys(ledger, [key]))
    assert works(ledger)[key].state == "done"
    assert status(ledger, key) == "generating_notes"
    release(ledger, claim_keys(ledger, [key], stage="note"))
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
    release(ledger, running)
    (id,) = plan(ledger)
    assert open_(ledger)[id].model == "small"
    release(ledger, claim(ledger, id))
    assert works(ledger)[key].state == "ready"


def test_a_submission_is_shown_as_transcribing_while_it_is(ledger: Ledger) -> None:
    id = submit(ledger)
    key = recordings.accept(ledger, id, make_recording(), 1, 60).key
    batch = claim_keys(ledger, [key])
    assert read(ledger, id).status == "transcribing"
    release(ledger, batch)
    assert read(ledger, id).status == "pending"


@pytest.mark.slow
def test_a_batch_larger_than_any_statement_goes_all_the_way(ledger: Ledger) -> None:
    rows = [make_recording(file_name=f"{n}.m4a") for n in range(1200)]
    for recording in rows:
        recordings.accept(ledger, submit(ledger), recording, 1, 60.0)
    (id,) = plan(ledger, PlanLimits(9999, 2000, 1))
    batch = claim(ledger, id)
    assert len(batch.leases) == 1200
    assert leases.heartbeat(ledger, "run1", LEASE_S) == 1200
    release(ledger, batch)
    assert open_(ledger) == {}
    assert len(claim_keys(ledger, [r.key for r in rows]).leases) == 1200
