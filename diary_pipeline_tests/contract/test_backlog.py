"""How long a job will take is computed from what waits and what was measured; on both databases."""

from typing import Any

import pytest

from diary_pipeline.core.errors import UsageError
from diary_pipeline.ledger import backlog
from diary_pipeline.ledger.backlog import UNMEASURED, UNMEASURED_START_S, Estimate, Run, rate_of
from diary_pipeline.ledger.connect import Ledger, now
from diary_pipeline.ledger.planner import DEFAULT_AUDIO_S
from diary_pipeline.ledger.tables import batch_items, batches
from diary_pipeline_tests.contract.batch_work import accept, batch_of, claim
from diary_pipeline_tests.contract.query_plans import plans, walks
from diary_pipeline_tests.contract.test_ledger_submissions import submit

ALONE_S = DEFAULT_AUDIO_S / UNMEASURED["transcript"] + DEFAULT_AUDIO_S / UNMEASURED["note"] + UNMEASURED_START_S


def estimate(ledger: Ledger, priority: str = "medium") -> Estimate:
    """Estimate how long the usual job takes."""
    with ledger.reading() as conn:
        return backlog.estimate(conn, priority)


def ran(ledger: Ledger, id: str, *, stage: str = "transcript", ago_s: float = 100.0, **values: Any) -> None:
    """Let a batch of an hour have run for six minutes, half a minute after it was planned."""
    with ledger.writing() as tx:
        closed = now(tx) - ago_s
        row = {"id": id, "stage": stage, "model": "", "attempt": 1, "priority": 1, "recordings": 10, "audio_s": 3600.0}
        times = {"planned_at": closed - 390, "requested_at": closed - 385, "claimed_at": closed - 360}
        outcome = values.pop("outcome", "committed")
        tx.execute(batches.insert().values({**row, **times, "closed_at": closed, "state": "closed", **values}))
        tx.execute(batch_items.insert().values(batch_id=id, recording_key="k", outcome=outcome))


def test_while_nothing_was_measured_the_answer_is_a_guess_that_says_so(ledger: Ledger) -> None:
    assert estimate(ledger) == Estimate(pytest.approx(ALONE_S), 0.0, None)


def test_what_waits_at_this_priority_or_a_higher_one_goes_before(ledger: Ledger) -> None:
    accept(ledger, 3, priority=0)
    accept(ledger, 2, priority=1)
    accept(ledger, 1, priority=3)
    before = {p: estimate(ledger, p).waiting_s for p in ("urgent", "high", "medium", "low")}
    assert before == {"urgent": 60.0, "high": 60.0, "medium": 180.0, "low": 360.0}
    assert estimate(ledger, "low").seconds > estimate(ledger, "urgent").seconds
    with pytest.raises(UsageError):
        estimate(ledger, "now")


def test_what_intake_has_not_seen_counts_as_usual_and_what_is_at_work_counts_whole(ledger: Ledger) -> None:
    submit(ledger)
    submit(ledger, "low.m4a", priority="low")
    assert estimate(ledger).waiting_s == DEFAULT_AUDIO_S
    id, _ = batch_of(ledger, 3)
    assert estimate(ledger, "urgent").waiting_s == 180.0, "it is planned already"
    claim(ledger, id)
    assert estimate(ledger, "urgent").waiting_s == 180.0


def test_measured_rates_of_both_stages_and_the_quickest_start_take_the_place_of_guesses(ledger: Ledger) -> None:
    ran(ledger, "speech")
    ran(ledger, "late", ago_s=500.0, planned_at=1.0)
    ran(ledger, "notes", stage="note", audio_s=36_000.0)
    found = estimate(ledger)
    assert found.rate == pytest.approx(10.0)
    assert found.seconds == pytest.approx(30.0 + DEFAULT_AUDIO_S / 10 + DEFAULT_AUDIO_S / 100, rel=0.01)


def test_when_notes_are_the_slower_stage_they_decide(ledger: Ledger) -> None:
    accept(ledger, 10)
    ran(ledger, "speech")
    ran(ledger, "notes", stage="note", audio_s=360.0)
    assert estimate(ledger).seconds == pytest.approx(30.0 + 600 + DEFAULT_AUDIO_S, rel=0.01)


@pytest.mark.parametrize(
    "values",
    [{"outcome": "released"}, {"outcome": "failed"}, {"ago_s": 90_000.0}, {"state": "claimed", "closed_at": None}],
    ids=str,
)
def test_batches_without_results_of_long_ago_or_still_at_work_measure_nothing(
    ledger: Ledger, values: dict[str, object]
) -> None:
    ran(ledger, "other", **values)
    assert estimate(ledger).rate is None


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
    assert rate_of([Run(begun, begun, ended, 600.0, True) for begun, ended in runs]) == rate


def test_an_estimate_reads_from_indices_and_a_bounded_part_of_what_waits(ledger: Ledger) -> None:
    accept(ledger, 5)
    submit(ledger)
    ran(ledger, "speech")
    said = plans(ledger, lambda conn: backlog.estimate(conn, "low"))
    assert len(said) == 8
    for plan in said:
        assert not walks(plan.replace("SCAN anon_1", "").replace("SCAN (subquery", "")), plan
        assert "TEMP B-TREE" not in plan, plan
