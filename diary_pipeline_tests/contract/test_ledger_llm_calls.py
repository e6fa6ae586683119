"""Attempts are remembered as they were, and routes are judged without walking them; on both databases."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sqlalchemy as sa

from diary_pipeline.core.llm_call import ACCEPTED, CACHED, Attempt, Usage
from diary_pipeline.ledger import llm_calls
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.llm_calls import RouteRecord, day_of
from diary_pipeline.ledger.migrations import STEPS
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.statements import now
from diary_pipeline.ledger.tables import LLM_TABLES, llm_route_days, schema_version
from diary_pipeline_tests.contract.query_plans import plans, walks

AT = dt.datetime(2026, 3, 7, 6, 45, 0, 250_000, tzinfo=dt.UTC)


def attempt(route: str = "luna", outcome: str = ACCEPTED, **changes: Any) -> Attempt:
    """Return an attempt that was answered in two seconds."""
    said = {"seconds": 2.0, "usage": Usage(1000, 200, 300), "cost_usd": 0.002, "answer_key": "ab" * 32, **changes}
    return Attempt(said.pop("recording_key", "2026-03-07-walk-1"), AT, route, "gpt-6-luna", outcome, **said)


def records(ledger: Ledger, *routes: str) -> list[RouteRecord]:
    """Return what is known of routes."""
    with ledger.reading() as conn:
        found = llm_calls.records(conn, routes)
    return [found[route] for route in routes]


def test_attempts_come_back_equal_in_the_order_they_were_made(ledger: Ledger) -> None:
    mine = [
        attempt(outcome="rate_limited", usage=Usage(), cost_usd=0.0, status=429, request_id="req_1"),
        attempt("home", "ungrounded", cost_usd=None),
        attempt("home", CACHED, cost_usd=0.0),
    ]
    for one in [*mine, attempt(recording_key="2026-03-08-ride-2")]:
        llm_calls.record(ledger, one)
    with ledger.reading() as conn:
        found = llm_calls.attempts_of(conn, ["2026-03-07-walk-1", "2026-03-09-none-3"])
    assert found == {"2026-03-07-walk-1": tuple(mine)}


def test_what_never_left_this_process_says_nothing_about_its_route(ledger: Ledger) -> None:
    llm_calls.record(ledger, attempt(outcome=CACHED))
    assert records(ledger, "luna") == [RouteRecord()]


def test_only_answers_say_how_long_an_answer_takes(ledger: Ledger) -> None:
    llm_calls.record(ledger, attempt(seconds=3.0))
    llm_calls.record(ledger, attempt(outcome="ungrounded", seconds=1.0))
    llm_calls.record(ledger, attempt(outcome="timeout", seconds=120.0, usage=Usage()))
    assert records(ledger, "luna", "new") == [RouteRecord(3, 1, 2, 4.0), RouteRecord()]


def test_a_route_is_judged_by_its_last_thirty_days(ledger: Ledger) -> None:
    for age, tried in ((31, 100), (30, 10), (29, 1)):
        with ledger.writing() as tx:
            day = day_of(now(tx) - age * 86_400)
            row = {"route": "luna", "day": day, "tried": tried, "accepted": 0, "answered": 0, "answer_seconds": 0.0}
            tx.execute(llm_route_days.insert().values(**row))
    assert records(ledger, "luna") == [RouteRecord(tried=1)]


def test_a_cool_down_is_seen_by_all_and_only_its_end_shortens_it(ledger: Ledger, ledger_url: str) -> None:
    other = open_ledger(ledger_url)
    for until, failures, expected in ((100.0, 1, (1, 100.0)), (50.0, 1, (1, 100.0)), (130.0, 2, (2, 130.0))):
        llm_calls.cool(ledger, "luna", until, failures)
        [seen] = records(other, "luna")
        assert (seen.failures, seen.cool_until) == expected
    llm_calls.cool(other, "luna", 0.0, 0)
    assert records(ledger, "luna") == [RouteRecord()]
    other.close()


def test_attempts_recorded_at_once_are_all_counted(ledger: Ledger) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: llm_calls.record(ledger, attempt(f"route-{n % 2}")), range(24)))
    assert [r.tried for r in records(ledger, "route-0", "route-1")] == [12, 12]


def test_nothing_is_walked_to_judge_routes_or_to_tell_the_attempts_of_recordings(ledger: Ledger) -> None:
    def ask(conn: sa.Connection) -> None:
        llm_calls.records(conn, ["luna", "home"])
        llm_calls.attempts_of(conn, ["a", "b"])

    told = plans(ledger, ask)
    assert told
    assert not [plan for plan in told if walks(plan)]


def test_a_ledger_of_version_2_learns_of_language_models(ledger: Ledger, ledger_url: str) -> None:
    with ledger.writing() as tx:
        for table in LLM_TABLES:
            table.drop(tx)
        tx.execute(schema_version.delete().where(schema_version.c.version > 2))
    ledger.close()
    again = open_ledger(ledger_url)
    llm_calls.record(again, attempt())
    assert records(again, "luna")[0].tried == 1
    with again.reading() as conn:
        assert conn.execute(sa.select(sa.func.max(schema_version.c.version))).scalar_one() == len(STEPS)
    again.close()
