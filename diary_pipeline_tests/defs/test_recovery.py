"""What dies on the way is found, asked for again, and in the end given up; driven tick after tick."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.cli import drain
from diary_pipeline.core import tags
from diary_pipeline.core.errors import ServiceMissing, Stopped
from diary_pipeline.ledger import batches, recordings
from diary_pipeline.ledger.leases import heartbeat
from diary_pipeline.ledger.tables import recordings as recording_table
from diary_pipeline.storage.keys import checkpoint_prefix
from diary_pipeline_tests.defs.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path / "home") as found:
        yield found


AT_ONCE_S = -3600.0
"""For `House.later_s`: what was begun a moment ago is no lease old, however slow the machine is."""


def started(house: House, request: dg.RunRequest | None = None, job: str = "transcribe_recordings") -> dg.DagsterRun:
    """A run that Dagster believes to be under way."""
    carried = {**request.tags, "dagster/run_key": request.run_key} if request else {}
    resolved = house.defs.resolve_job_def(job)
    return house.instance.create_run_for_job(resolved, tags=carried, status=dg.DagsterRunStatus.STARTED)


def test_the_tick_after_a_dead_run_asks_for_the_next_attempt(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    [request] = house.tick("uploads")
    dead = house.instance.create_run_for_job(
        house.defs.resolve_job_def("transcribe_recordings"),
        tags={**request.tags, "dagster/run_key": request.run_key},
        status=dg.DagsterRunStatus.STARTED,
    )
    batches.claim_batch(house.ledger, request.tags[tags.BATCH], 1, dead.run_id, 0.0)  # a lease that has run out
    assert house.tick("uploads") == []  # Dagster still believes in the run
    house.instance.report_run_failed(dead, "the machine is gone")
    [again] = house.tick("uploads")
    assert again.run_key == request.run_key.replace("/1", "/2")
    assert house.execute("uploads", again).success
    house.once()
    assert house.sql("SELECT status FROM recordings") == [("completed",)]
    assert house.wiring.ears.heard == 1


def test_a_tick_that_died_after_asking_asks_again_under_the_same_run_key(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    [first] = house.tick("uploads")
    [second] = house.tick("uploads")
    assert (first.run_key, first.run_config) == (second.run_key, second.run_config)


def test_a_run_whose_process_is_gone_is_failed_and_a_living_one_is_left_alone(house: House) -> None:
    job = house.defs.resolve_job_def("transcribe_recordings")
    gone, alive = (house.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED) for _ in range(2))
    heartbeat(house.ledger, alive.run_id, 3600.0)
    house.later_s = AT_ONCE_S
    house.tick("uploads")
    assert house.instance.get_run_by_id(gone.run_id).status == dg.DagsterRunStatus.STARTED  # it may only be slow
    house.later_s = 60.0
    house.tick("uploads")
    assert house.instance.get_run_by_id(gone.run_id).status == dg.DagsterRunStatus.FAILURE
    assert house.instance.get_run_by_id(alive.run_id).status == dg.DagsterRunStatus.STARTED


def test_recordings_whose_every_run_died_end_as_failed(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    for attempt in (1, 2, 3):
        [request] = house.tick("uploads")
        assert request.tags[tags.ATTEMPT] == str(attempt)
        run = house.instance.create_run_for_job(
            house.defs.resolve_job_def("transcribe_recordings"),
            tags=dict(request.tags),
            status=dg.DagsterRunStatus.STARTED,
        )
        batches.claim_batch(house.ledger, request.tags[tags.BATCH], attempt, run.run_id, 0.0)
        house.instance.report_run_failed(run, "the machine is gone")
    [key] = house.keys()
    with house.ledger.writing() as tx:
        tx.execute(recording_table.update().values(declared_s=900.0))  # windows are kept of long ones alone
        recording = recordings.get(tx, key)
    house.wiring.store.put(checkpoint_prefix(recording.owner, recording.content_sha256, "v1") + "000000.json", b"[]")
    assert house.tick("uploads") == []
    with house.ledger.reading() as conn:
        [row] = recordings.rows(conn, [key])
    assert (row.status, row.reason_code) == ("failed", "worker_lost")
    assert list(house.wiring.store.list("checkpoints/")) == [], "what was heard of it goes with it"
    assert house.status("transcript") == (set(), {key})


def test_a_recording_that_kills_every_run_is_found_and_fails_alone(house: House) -> None:
    for day in range(1, 9):
        house.drop(f"2026-03-0{day} river.wav", seconds=2.0 + day / 10)
    carried: list[tuple[int, int]] = []
    poison = ""
    while requests := house.tick("uploads"):
        for request in requests:
            id, attempt = request.tags[tags.BATCH], int(request.tags[tags.ATTEMPT])
            with house.ledger.reading() as conn:
                keys = batches.keys_of(conn, id)
            poison = poison or keys[2]
            if poison not in keys:
                assert house.execute("uploads", request).success
                continue
            carried.append((len(keys), attempt))
            dead = started(house, request)
            batches.claim_batch(house.ledger, id, attempt, dead.run_id, 0.0)  # and then the decoder takes it with it
            house.instance.report_run_failed(dead, "the process is gone")
            if len(carried) == 3:
                last_of_all = dead.run_id
    assert carried == [(8, 1), (8, 2), (8, 3), (4, 3), (2, 3), (1, 1), (1, 2), (1, 3)]
    house.once()
    found = dict(house.sql("SELECT recording_key, coalesce(reason_code, status) FROM recordings"))
    assert found == {**dict.fromkeys(house.keys(), "completed"), poison: "worker_lost"}
    assert house.status("transcript") == ({*house.keys()} - {poison}, {poison})
    said = [entry.message for entry in house.instance.all_logs(last_of_all)]
    assert any(line.startswith("Batch halved") for line in said), "who looks at the dead run reads how it goes on"


def test_recordings_of_runs_that_are_ended_without_a_word_are_tried_apart_before_they_fail(house: House) -> None:
    for day in (1, 2):
        house.drop(f"2026-03-0{day} river.wav", seconds=2.0 + day / 10)
    carried = []
    while requests := house.tick("uploads"):
        for request in requests:
            batch = batches.claim_batch(
                house.ledger, request.tags[tags.BATCH], int(request.tags[tags.ATTEMPT]), request.run_key or "", 60.0
            )
            carried.append(len(batch.leases))
            batches.release(house.ledger, batch, retry_s=0)  # what a run does that is terminated
    assert carried == [2] * 3 + [1] * 6
    with house.ledger.reading() as conn:
        rows = recordings.rows(conn, house.keys())
    assert [(r.status, r.reason_code) for r in rows] == [("failed", "worker_lost")] * 2


@dg.job
def somebody_elses() -> None:
    """A job of another team on the same Dagster."""


def test_runs_of_other_people_are_none_of_our_business(house: House) -> None:
    theirs = house.instance.create_run_for_job(somebody_elses, status=dg.DagsterRunStatus.STARTED)
    house.later_s = 3600.0
    house.tick("uploads")
    assert house.instance.get_run_by_id(theirs.run_id).status == dg.DagsterRunStatus.STARTED


def test_a_run_that_has_committed_is_alive_until_it_has_said_so(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    [request] = house.tick("uploads")
    run = house.execute("uploads", request)
    with house.ledger.reading() as conn:  # its row runs out by itself, so no tick takes the last moments for death
        from diary_pipeline.ledger.leases import holder_is_live

        assert holder_is_live(conn, run.run_id)


def test_a_run_from_the_ui_is_not_lost_while_dagster_says_it_runs(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    house.once()
    by_hand = started(house)
    batches.claim_keys(house.ledger, "transcript", house.keys(), by_hand.run_id, 0.0)
    house.later_s = AT_ONCE_S
    assert house.tick("uploads") == []
    house.instance.report_run_failed(by_hand, "gone")
    [request] = house.tick("uploads")
    assert request.tags[tags.ATTEMPT] == "2"


def test_runs_that_a_stopped_daemon_left_queued_are_cancelled_by_who_waits_without_one(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    [request] = house.tick("uploads")
    left = house.instance.create_run_for_job(
        house.defs.resolve_job_def("transcribe_recordings"),
        tags={**request.tags, "dagster/run_key": request.run_key, "dagster/sensor_name": "uploads"},
        status=dg.DagsterRunStatus.NOT_STARTED,
    )
    house.later_s = AT_ONCE_S
    assert house.recovery.cancel_unstarted(house.instance) == []  # it may be somebody's who is just starting it
    house.later_s = 60.0
    assert house.recovery.cancel_unstarted(house.instance) == [left.run_id]
    [again] = house.tick("uploads")
    assert again.run_key == request.run_key.replace("/1", "/2")


def test_a_run_killed_between_commit_and_events_is_shown_by_the_next(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    [request] = house.tick("uploads")
    run = started(house, request)
    batch = batches.claim_batch(house.ledger, request.tags[tags.BATCH], 1, run.run_id, 60.0)
    house.wiring.transcribe(batch)  # committed; and then the power went
    assert house.status("transcript") == (set(), set())
    assert house.tick("uploads") == []  # Dagster still believes in the run
    house.instance.report_run_failed(run, "the machine is gone")
    [show] = house.tick("uploads")
    assert house.execute("uploads", show).success
    assert house.status("transcript") == (set(house.keys()), set())
    assert house.wiring.ears.heard == 1
    assert house.tick("uploads") == []


def test_a_store_that_is_gone_fails_no_recording_and_is_told_to_who_waits(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    house.wiring.ears.broken = ServiceMissing("model_missing", "There is no model; run `diary models get base`.")
    told: list[str] = []
    assert drain.round_of_ticks(house.defs, house.instance, told.append) == 0
    assert told == ["There is no model; run `diary models get base`. Trying again."]
    house.wiring.ears.broken = None
    house.once()
    assert house.sql("SELECT status FROM recordings") == [("completed",)]


def test_what_is_tried_in_vain_ends_with_the_reason_it_failed_for(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    house.wiring.ears.broken = ServiceMissing("model_missing", "There is no model; run `diary models get base`.")
    for _ in range(3):
        [request] = house.tick("uploads")
        house.execute("uploads", request)
    assert house.tick("uploads") == []
    [key] = house.keys()
    with house.ledger.reading() as conn:
        [row] = recordings.rows(conn, [key])
    assert (row.status, row.reason_code) == ("failed", "model_missing")


def test_being_stopped_by_a_person_is_no_attempt(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    house.wiring.ears.broken = Stopped("stopped", "Stopped by Ctrl-C.")
    for _ in range(4):
        [request] = house.tick("uploads")
        house.execute("uploads", request)
    house.wiring.ears.broken = None
    house.once()
    assert house.sql("SELECT status FROM recordings") == [("completed",)]


def test_publishing_that_fails_is_told_and_not_tried_in_every_tick(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    house.breaks_publishing = True
    with pytest.raises(ServiceMissing, match="no room"):
        while drain.round_of_ticks(house.defs, house.instance, lambda _: None):
            pass
    assert house.tick("publish") == []
    house.breaks_publishing = False
    assert Publisher(house.ledger, house.wiring.store, house.settings.catalogue_file).publish().recordings


def test_an_intake_that_cannot_store_does_not_keep_accepted_recordings_from_their_run(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    house.wiring.intake.scan(house.settings.folders)
    house.wiring.intake.work(60.0, 10)
    house.drop("2026-03-03 lake.wav", seconds=2.5)
    with house.unwritable_store():
        assert len(house.tick("uploads")) == 1
