"""How long a job will take is computed from what waits and what was measured; on both databases."""

from typing import Any

import pytest
import sqlalchemy as sa

from diary_pipeline.api.estimates import Estimates
from diary_pipeline.core.errors import UsageError
from diary_pipeline.ledger import backlog
from diary_pipeline.ledger.backlog import UNMEASURED, UNMEASURED_START_S, Run, Speeds, rate_of
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.planner import DEFAULT_AUDIO_S, PlanLimits
from diary_pipeline.ledger.statements import now
from diary_pipeline.ledger.submissions import get
from diary_pipeline.ledger.tables import NOT_WHOLE, batch_items, batches, submissions, work
from diary_pipeline_tests.contract.batch_work import accept, batch_of, claim, plan
from diary_pipeline_tests.contract.query_plans import plans, walks
from diary_pipeline_tests.contract.test_ledger_submissions import submit

ALONE_S = DEFAULT_AUDIO_S / UNMEASURED["transcript"] + DEFAULT_AUDIO_S / UNMEASURED["note"] + UNMEASURED_START_S
GUESSED = Speeds(UNMEASURED_START_S, UNMEASURED["transcript"], UNMEASURED["note"], DEFAULT_AUDIO_S)
MEASURED = Speeds(start_s=30.0, hears=1.0, notes=1e9, usual_s=DEFAULT_AUDIO_S)
"""Seconds of an estimate are the audio before it and its own."""


def measured(ledger: Ledger) -> Speeds:
    """Measure how fast things went."""
    with ledger.reading() as conn:
        return backlog.speeds(conn)


def new_s(ledger: Ledger, priority: str = "medium") -> float:
    """Estimate how long the usual job takes that is opened now."""
    with ledger.reading() as conn:
        return backlog.new_job_s(backlog.speeds(conn), backlog.waiting(conn), priority)


def before_s(ledger: Ledger, priority: str = "medium") -> float:
    """Return the audio that is heard before a job that is opened now."""
    with ledger.reading() as conn:
        return round(backlog.new_job_s(MEASURED, backlog.waiting(conn), priority) - 30.0 - DEFAULT_AUDIO_S, 3)


def left_s(ledger: Ledger, id: str) -> float:
    """Return the audio that is heard before an open job has ended, its own included."""
    with ledger.reading() as conn:
        return round(backlog.open_job_s(conn, MEASURED, backlog.waiting(conn), id), 1)


def ran(ledger: Ledger, id: str, *, stage: str = "transcript", ago_s: float = 100.0, **values: Any) -> None:
    """Let a batch of an hour have run for six minutes, half a minute after it was planned."""
    with ledger.writing() as tx:
        closed = now(tx) - ago_s
        row = {"id": id, "stage": stage, "model": "", "attempt": 1, "priority": 1, "recordings": 10, "audio_s": 3600.0}
        times = {"planned_at": closed - 390, "requested_at": closed - 385, "claimed_at": closed - 360}
        outcome = values.pop("outcome", "committed")
        tx.execute(batches.insert().values({**row, **times, "closed_at": closed, "state": "closed", **values}))
        tx.execute(batch_items.insert().values(batch_id=id, recording_key="k", outcome=outcome))


def test_while_nothing_was_measured_the_answer_is_a_guess(ledger: Ledger) -> None:
    assert measured(ledger) == GUESSED
    assert new_s(ledger) == pytest.approx(ALONE_S)


def test_what_waits_at_this_priority_or_a_higher_one_goes_before(ledger: Ledger) -> None:
    accept(ledger, 3, priority=0)
    accept(ledger, 2, priority=1)
    accept(ledger, 1, priority=3)
    before = {p: before_s(ledger, p) for p in ("urgent", "high", "medium", "low")}
    assert before == {"urgent": 60.0, "high": 60.0, "medium": 180.0, "low": 360.0}
    with pytest.raises(UsageError):
        before_s(ledger, "now")


def test_what_intake_has_not_seen_counts_as_usual_and_what_is_at_work_counts_whole(ledger: Ledger) -> None:
    submit(ledger)
    submit(ledger, "low.m4a", priority="low")
    assert before_s(ledger) == DEFAULT_AUDIO_S
    id, _ = batch_of(ledger, 3)
    assert before_s(ledger, "urgent") == 180.0, "it is planned already"
    claim(ledger, id)
    assert before_s(ledger, "urgent") == 180.0


def test_an_upload_that_nobody_has_finished_holds_up_no_estimate(ledger: Ledger) -> None:
    submit(ledger, uri="upload:1")
    with ledger.writing() as tx:
        tx.execute(submissions.update().values(not_before=NOT_WHOLE))
    assert before_s(ledger) == 0.0


def test_an_open_job_waits_for_what_was_there_before_it_and_not_for_what_came_later(ledger: Ledger) -> None:
    first, low = submit(ledger, "1.m4a"), submit(ledger, "2.m4a", priority="low")
    alone, behind_it = left_s(ledger, first), left_s(ledger, low)
    assert (alone, behind_it) == (30.0 + DEFAULT_AUDIO_S, 30.0 + 2 * DEFAULT_AUDIO_S)
    for n in range(5):
        submit(ledger, f"later{n}.m4a", priority="medium")
    assert left_s(ledger, first) == alone
    assert left_s(ledger, low) == behind_it + 5 * DEFAULT_AUDIO_S, "what has priority goes before it"


def test_a_job_that_was_taken_in_waits_for_earlier_turns_and_at_work_for_its_batch_alone(ledger: Ledger) -> None:
    keys = [accept(ledger, 1)[0] for _ in range(5)]
    with ledger.reading() as conn:
        of = {s.recording_key: s.id for s in get(conn, list(conn.execute(sa.select(submissions.c.id)).scalars()))}
    ids = [of[key] for key in keys]
    assert [left_s(ledger, id) for id in ids] == [30.0 + 60.0 * n for n in range(1, 6)]
    submit(ledger, "later.m4a")
    batch, *_ = plan(ledger, PlanLimits(max_minutes=60, max_recordings=3, max_open=1))
    assert [left_s(ledger, id) for id in ids] == [210.0, 210.0, 210.0, 270.0, 330.0]
    claim(ledger, batch)
    with ledger.writing() as tx:
        tx.execute(work.update().where(work.c.recording_key == keys[0]).values(done_s=50.0))
    assert [left_s(ledger, id) for id in ids[:3]] == [130.0] * 3
    assert left_s(ledger, "nobody") == 0.0


def test_a_job_whose_fetch_pauses_is_not_before_its_next_try(ledger: Ledger) -> None:
    id = submit(ledger, uri="https://x/a.mp3")
    with ledger.writing() as tx:
        tx.execute(submissions.update().values(not_before=now(tx) + 1800.0))
    assert left_s(ledger, id) == pytest.approx(1800.0 + 30.0 + DEFAULT_AUDIO_S, abs=30.0)
    assert before_s(ledger) == 0.0, "and holds up nobody meanwhile"


def test_measured_rates_of_both_stages_and_the_quickest_start_take_the_place_of_guesses(ledger: Ledger) -> None:
    ran(ledger, "speech")
    ran(ledger, "late", ago_s=500.0, planned_at=1.0)
    ran(ledger, "notes", stage="note", audio_s=36_000.0)
    assert measured(ledger) == Speeds(*(pytest.approx(n) for n in (30.0, 10.0, 100.0, 360.0)))
    assert new_s(ledger) == pytest.approx(30.0 + 360.0 / 10 + 360.0 / 100, rel=0.01)


def test_where_memos_are_short_those_that_nobody_has_looked_at_are_taken_for_short(ledger: Ledger) -> None:
    ran(ledger, "speech", recordings=240)
    submit(ledger, "1.m4a")
    assert measured(ledger).usual_s == 15.0
    assert new_s(ledger) == pytest.approx(30.0 + 2 * 15.0 / 10, abs=2.0)


def test_when_notes_are_the_slower_stage_they_decide(ledger: Ledger) -> None:
    accept(ledger, 10)
    ran(ledger, "speech")
    ran(ledger, "notes", stage="note", audio_s=360.0)
    assert new_s(ledger) == pytest.approx(30.0 + 600 + DEFAULT_AUDIO_S, rel=0.01)


@pytest.mark.parametrize(
    "values",
    [{"outcome": "released"}, {"outcome": "failed"}, {"ago_s": 90_000.0}, {"state": "claimed", "closed_at": None}],
    ids=str,
)
def test_batches_without_results_of_long_ago_or_still_at_work_measure_nothing(
    ledger: Ledger, values: dict[str, object]
) -> None:
    ran(ledger, "other", **values)
    assert measured(ledger) == GUESSED


@pytest.mark.parametrize(
    ("why", "runs", "rate"),
    [
        ("nothing ran", [], None),
        ("one batch", [(0, 100)], 6.0),
        ("one after the other", [(0, 100), (100, 200)], 6.0),
        ("with an hour of nothing in between", [(0, 100), (3700, 3800)], 6.0),
        ("two at once are twice as fast", [(0, 100), (0, 100)], 12.0),
        ("overlapping", [(0, 100), (50, 150)], 8.0),
        ("one inside another", [(0, 200), (50, 100)], 6.0),
        ("no time at all", [(5, 5)], None),
    ],
)
def test_a_rate_is_taken_over_the_time_in_which_something_ran(
    why: str, runs: list[tuple[float, float]], rate: float | None
) -> None:
    assert rate_of([Run(begun, begun, ended, 600.0, 1, True) for begun, ended in runs]) == rate


def test_estimates_read_from_indices_and_a_bounded_part_of_what_waits(ledger: Ledger) -> None:
    accept(ledger, 5)
    waits = submit(ledger)
    ran(ledger, "speech")
    with ledger.reading() as conn:
        taken = (
            conn.execute(sa.select(submissions.c.id).where(submissions.c.recording_key.is_not(None))).scalars().first()
        )
    said = plans(ledger, backlog.speeds) + plans(ledger, backlog.waiting)
    with ledger.reading() as conn:
        seen = backlog.waiting(conn)
    for id in (waits, str(taken)):
        of_one = plans(ledger, lambda conn, id=id: backlog.open_job_s(conn, MEASURED, seen, id))
        assert len(of_one) <= 4, "of what waits nothing is read again"
        said += of_one
    assert len(said) > 20
    for plan_ in said:
        assert not walks(plan_), plan_
        assert "TEMP B-TREE" not in plan_, plan_


def test_a_thousand_who_ask_for_their_jobs_in_one_second_read_what_waits_once(ledger: Ledger) -> None:
    ids = [submit(ledger, f"{n}.m4a") for n in range(3)]
    estimates = Estimates(ledger, good_for_s=3600.0)
    first = [estimates.left_s(id) for id in ids]
    assert first == sorted(first)
    said = plans(ledger, lambda _: [*(estimates.left_s(id) for id in ids), estimates.seconds("low")])
    assert len(said) <= 4 * len(ids)
