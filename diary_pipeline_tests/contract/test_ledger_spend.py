"""Nobody spends what is not there: caps hold for threads and processes at once, and for the dead; on both databases."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from diary_pipeline.ledger import spend
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.spend import Caps, Refused
from diary_pipeline.ledger.statements import now
from diary_pipeline.ledger.tables import llm_holds
from diary_pipeline_tests.contract.query_plans import plans, walks

CAPS = Caps(run=1.0, day=1.0, owner=1.0)


def hold(ledger: Ledger, usd: float, caps: Caps = CAPS, *, owner: str = "me", run: str = "run-1") -> str | Refused:
    """Set money aside."""
    return spend.hold(ledger, owner=owner, run=run, usd=usd, caps=caps)


def held(ledger: Ledger, usd: float, caps: Caps = CAPS, *, owner: str = "me", run: str = "run-1") -> str:
    """Set money aside that must be there."""
    id = hold(ledger, usd, caps, owner=owner, run=run)
    assert isinstance(id, str)
    return id


def of_run(ledger: Ledger, run: str = "run-1") -> float:
    """Return what a run has spent or set aside."""
    with ledger.reading() as conn:
        return round(spend.spent(conn, "run", run), 9)


def expire_all(ledger: Ledger) -> None:
    """Let an hour pass over everything that is set aside."""
    with ledger.writing() as tx:
        tx.execute(llm_holds.update().values(expires_at=now(tx) - 1))


def test_a_call_is_paid_from_what_is_set_aside_and_the_rest_is_free_again(ledger: Ledger) -> None:
    first = held(ledger, 0.75)
    assert hold(ledger, 0.5) == Refused("day"), "the worst case counts before the call"
    assert spend.settle(ledger, first, 0.25)
    assert of_run(ledger) == 0.25
    held(ledger, 0.75)
    assert of_run(ledger) == 1.0


@pytest.mark.parametrize(
    ("caps", "owner", "run", "expected"),
    [
        (Caps(run=1.0), "me", "run-1", Refused("run")),
        (Caps(run=1.0), "me", "run-2", None),
        (Caps(day=1.0), "you", "run-2", Refused("day")),
        (Caps(owner=1.0), "me", "run-2", Refused("owner")),
        (Caps(owner=1.0), "you", "run-1", None),
        (Caps(), "me", "run-1", None),
        (Caps(run=0.0), "you", "run-2", Refused("run")),
    ],
)
def test_each_cap_counts_its_own(ledger: Ledger, caps: Caps, owner: str, run: str, expected: Refused | None) -> None:
    held(ledger, 0.9)
    found = hold(ledger, 0.2, caps, owner=owner, run=run)
    assert (found if isinstance(found, Refused) else None) == expected


def test_a_refused_call_leaves_no_trace_in_any_sum(ledger: Ledger) -> None:
    assert hold(ledger, 2.0, Caps(run=1.0)) == Refused("run")
    with ledger.reading() as conn:
        day = spend.today(conn)
        assert (spend.spent(conn, "day", day), spend.spent(conn, "owner", f"{day}/me")) == (0.0, 0.0)
        assert conn.execute(sa.select(sa.func.count()).select_from(llm_holds)).scalar_one() == 0


def test_a_call_that_costs_nothing_is_allowed_when_everything_is_spent(ledger: Ledger) -> None:
    held(ledger, 1.0)
    held(ledger, 0.0)


def test_what_cost_more_than_was_set_aside_is_counted_in_full(ledger: Ledger) -> None:
    assert spend.settle(ledger, held(ledger, 0.5), 1.5)
    assert of_run(ledger) == 1.5
    assert hold(ledger, 0.01) == Refused("day")


def test_a_hold_is_settled_once(ledger: Ledger) -> None:
    id = held(ledger, 0.5)
    assert spend.settle(ledger, id, 0.1)
    assert not spend.settle(ledger, id, 0.0)
    assert of_run(ledger) == 0.1


def test_what_a_killed_process_had_set_aside_stays_spent_at_its_worst_case(ledger: Ledger) -> None:
    dead = held(ledger, 0.9)
    expire_all(ledger)
    assert hold(ledger, 0.2) == Refused("day"), "perhaps it was paid"
    held(ledger, 0.1)
    with ledger.reading() as conn:
        assert dead not in conn.execute(sa.select(llm_holds.c.id)).scalars().all(), "its row is forgotten"
    assert of_run(ledger) == 1.0


def test_who_settles_after_the_hold_has_expired_changes_nothing(ledger: Ledger) -> None:
    late = held(ledger, 0.9)
    expire_all(ledger)
    assert not spend.settle(ledger, late, 0.0)
    assert of_run(ledger) == 0.9


def test_the_owners_share_the_day_and_not_each_other_s_allowance(ledger: Ledger) -> None:
    held(ledger, 0.6, Caps(day=1.0, owner=0.6), owner="anna")
    held(ledger, 0.4, Caps(day=1.0, owner=0.6), owner="ben")
    assert hold(ledger, 0.1, Caps(day=1.0, owner=0.6), owner="cleo") == Refused("day")


def _spend_all(url: str) -> int:
    ledger = open_ledger(url)
    calls = 0
    while isinstance(id := hold(ledger, 0.05), str):
        calls += 1
        spend.settle(ledger, id, 0.04)
    ledger.close()
    return calls


def test_processes_that_spend_at_once_stop_at_the_cap(ledger: Ledger, ledger_url: str) -> None:
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        calls = sum(pool.map(_spend_all, [ledger_url] * 3))
    total = of_run(ledger)
    assert total == round(calls * 0.04, 9)
    assert 0.85 < total <= 1.0, "none of them passed the cap, and nothing was left that a call could have had"


def test_threads_that_hold_at_once_get_what_is_there_and_no_more(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: hold(ledger, 0.1, owner=f"owner-{n % 3}", run=f"run-{n % 2}"), range(30)))
    assert len([f for f in found if isinstance(f, str)]) == 10
    assert {f for f in found if not isinstance(f, str)} == {Refused("day")}


def test_no_sum_is_walked(ledger: Ledger) -> None:
    id = held(ledger, 0.1)

    def ask(tx: sa.Connection) -> None:
        spend._hold(tx, 0.1, CAPS, 60, owner="me", run="run-1")
        spend._settle(tx, id, 0.1)

    told = plans(ledger, ask)
    assert told
    assert not [plan for plan in told if walks(plan)]
