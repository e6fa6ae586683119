"""What every memory of routes, every purse and every store of answers promises, in memory as in the ledger."""

import datetime as dt
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.notes.providers.exchange import Completion, Failure, Usage
from diary_pipeline.notes.routing.ledger_memory import LedgerMemory, LedgerPurse, StoredAnswers
from diary_pipeline.notes.routing.memory import (
    ACCEPTED,
    CACHED,
    Allowance,
    Answers,
    Attempt,
    KeptAnswers,
    ProcessMemory,
    Purse,
    RouteMemory,
    Standing,
)
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.storage.keys import answers_of_owner_prefix, answers_prefix

WALK, RIDE = "2026-03-07-walk-0123456789ab", "2026-03-08-ride-0123456789ab"
KEY = "ab" * 32
ANSWER = Completion('{"title": "Ein Tag am Fluß"}', Usage(1000, 200, 300), "gpt-6-luna-2026", "req_1")


def opened(request: pytest.FixtureRequest, folder: Path) -> Ledger:
    """Open a new ledger on the database that the fixture's parameter names."""
    sqlite = request.param == "sqlite"
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}" if sqlite else request.getfixturevalue("postgres_url"))
    request.addfinalizer(ledger.close)
    return ledger


@pytest.fixture(params=["process", "sqlite", "postgresql"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> RouteMemory:
    """A memory that has seen nothing."""
    return ProcessMemory() if request.param == "process" else LedgerMemory(opened(request, tmp_path))


@pytest.fixture(params=["process", "sqlite", "postgresql"])
def purse(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[float], Purse]:
    """What makes a purse with so much money in it."""
    if request.param == "process":
        return Allowance
    ledger = opened(request, tmp_path)
    return lambda usd: LedgerPurse(ledger, "run-1", run_usd=usd)


@pytest.fixture(params=["memory", "store"])
def answers(request: pytest.FixtureRequest, tmp_path: Path) -> Answers:
    """No answers yet."""
    return KeptAnswers() if request.param == "memory" else StoredAnswers(FolderStore(tmp_path)).of("me", WALK)


def attempt(route: str = "luna", outcome: str = ACCEPTED, **changes: Any) -> Attempt:
    """Return an attempt that was answered in nine seconds."""
    said = {"seconds": 9.0, "usage": Usage(1000, 0, 300), **changes}
    return Attempt(WALK, dt.datetime.now(dt.UTC), route, "gpt-6-luna", outcome, **said)


def test_a_route_that_nobody_tried_stands_as_any_new_one(memory: RouteMemory) -> None:
    assert memory.standings(["luna"]) == {"luna": Standing()}
    assert memory.standings([]) == {}


def test_attempts_are_counted_for_their_own_route(memory: RouteMemory) -> None:
    for outcome in (ACCEPTED, Failure.UNGROUNDED, ACCEPTED):
        memory.record(attempt(outcome=outcome))
    memory.record(attempt("home", Failure.TIMEOUT, usage=Usage()))
    seen = memory.standings(["luna", "home"])
    assert [(s.tried, s.accepted) for s in seen.values()] == [(3, 2), (1, 0)]


def test_what_was_answered_from_what_is_kept_says_nothing_about_its_route(memory: RouteMemory) -> None:
    memory.record(attempt(outcome=CACHED))
    assert memory.standings(["luna"]) == {"luna": Standing()}


def test_answers_make_a_route_as_slow_as_they_were_and_silence_does_not(memory: RouteMemory) -> None:
    memory.record(attempt(outcome=Failure.CONNECTION, seconds=0.01, usage=Usage()))
    assert memory.standings(["luna"])["luna"].seconds == Standing().seconds
    for _ in range(40):
        memory.record(attempt(seconds=9.0))
    assert memory.standings(["luna"])["luna"].seconds == pytest.approx(9.0, abs=0.2)


def test_a_cool_down_stands_until_it_is_ended_and_nothing_shortens_it(memory: RouteMemory) -> None:
    now = memory.now()
    for until, failures, expected in ((now + 60, 1, now + 60), (now + 5, 1, now + 60), (now + 120, 2, now + 120)):
        memory.cool("luna", until, failures)
        assert memory.standings(["luna"])["luna"].cool_until == pytest.approx(expected)
    assert memory.standings(["luna"])["luna"].failures == 2
    memory.cool("luna", 0.0, 0)
    assert memory.standings(["luna"]) == {"luna": Standing()}


def test_a_cool_down_forgets_no_attempt(memory: RouteMemory) -> None:
    memory.record(attempt())
    memory.cool("luna", memory.now() + 60, 1)
    memory.cool("luna", 0.0, 0)
    assert memory.standings(["luna"])["luna"].accepted == 1


def test_the_clock_goes_forward(memory: RouteMemory) -> None:
    first = memory.now()
    assert 1.7e9 < first <= memory.now() < first + 60


def test_two_processes_see_the_same_standings_and_the_same_clock(ledger: Ledger) -> None:
    mine, theirs = LedgerMemory(ledger), LedgerMemory(ledger)
    mine.record(attempt())
    mine.cool("luna", mine.now() + 300, 2)
    seen = theirs.standings(["luna"])["luna"]
    assert (seen.accepted, seen.failures) == (1, 2)
    assert seen.cool_until - theirs.now() == pytest.approx(300, abs=5)


def test_a_purse_gives_what_is_in_it_and_no_more(purse: Callable[[float], Purse]) -> None:
    mine = purse(1.0)
    first = mine.hold("me", 0.75)
    assert first is not None
    assert first.usd == 0.75
    assert mine.hold("me", 0.5) is None
    mine.settle(first, 0.25)
    assert mine.hold("me", 0.75) is not None
    assert mine.hold("me", 0.01) is None


def test_what_cost_more_than_was_set_aside_is_missing_afterwards(purse: Callable[[float], Purse]) -> None:
    mine = purse(1.0)
    hold = mine.hold("me", 0.1)
    assert hold is not None
    mine.settle(hold, 0.9)
    assert mine.hold("me", 0.2) is None
    assert mine.hold("me", 0.0) is not None, "a free call is always affordable"


def test_an_owner_is_stopped_at_their_own_cap_and_the_stop_is_told_once(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    purse = LedgerPurse(ledger, "run-1", day_usd=10.0, owner_day_usd={"anna": 0.1}.get)
    with caplog.at_level(logging.WARNING):
        assert [purse.hold(owner, 0.2) is None for owner in ("anna", "anna", "ben")] == [True, True, False]
    assert [r.getMessage().split()[0] for r in caplog.records] == ["llm_budget_reached"]


def test_runs_share_the_day_and_threads_share_the_run(ledger: Ledger) -> None:
    purses = [LedgerPurse(ledger, f"run-{n}", run_usd=0.5, day_usd=0.8) for n in range(2)]
    with ThreadPoolExecutor(8) as pool:
        holds = list(pool.map(lambda n: purses[n % 2].hold("me", 0.1), range(20)))
    assert len([h for h in holds if h is not None]) == 8


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER,
        Completion("", Usage(10), "m", None, Failure.REFUSED),
        Completion("{", Usage(9, 0, 4000), "m", "r", Failure.TRUNCATED),
    ],
    ids=["whole", "refused", "truncated"],
)
def test_an_answer_comes_back_equal(answers: Answers, answer: Completion) -> None:
    assert answers.get(KEY) is None
    answers.put(KEY, answer)
    assert answers.get(KEY) == answer
    assert answers.get("cd" * 32) is None


def test_a_second_answer_replaces_the_first(answers: Answers) -> None:
    answers.put(KEY, ANSWER)
    answers.put(KEY, Completion("{}", Usage(), "m"))
    assert answers.get(KEY) == Completion("{}", Usage(), "m")


def test_nobody_is_given_the_answer_to_another_person_s_question(tmp_path: Path) -> None:
    stored = StoredAnswers(FolderStore(tmp_path))
    stored.of("anna", WALK).put(KEY, ANSWER)
    assert stored.of("ben", WALK).get(KEY) is None
    assert stored.of("anna", RIDE).get(KEY) is None
    assert stored.of("anna", WALK).get(KEY) == ANSWER


def test_kept_answers_are_private_and_name_no_owner(tmp_path: Path) -> None:
    StoredAnswers(FolderStore(tmp_path)).of("anna@example.org", WALK).put(KEY, ANSWER)
    [file] = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert file.stat().st_mode & 0o777 == 0o600
    assert "anna" not in str(file.relative_to(tmp_path))


def test_answers_go_with_their_recording_or_with_their_owner(tmp_path: Path) -> None:
    stored = StoredAnswers(FolderStore(tmp_path))
    for owner in ("anna", "ben"):
        for key in (WALK, RIDE):
            stored.of(owner, key).put(KEY, ANSWER)
    assert stored.forget(answers_prefix("anna", WALK)) == 1
    assert stored.of("anna", RIDE).get(KEY) == ANSWER
    assert stored.forget(answers_of_owner_prefix("anna")) == 1
    assert stored.of("ben", WALK).get(KEY) == ANSWER


@pytest.mark.parametrize(
    "damaged", [b"", b"{}", b"[1]", b'{"text": "x", "usage": 5, "failure": null}', b'{"failure": "bad"}']
)
def test_an_answer_that_cannot_be_read_is_asked_for_again(
    tmp_path: Path, damaged: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    store = FolderStore(tmp_path)
    store.put(f"{answers_prefix('me', WALK)}{KEY}.json", damaged)
    with caplog.at_level(logging.WARNING):
        assert StoredAnswers(store).of("me", WALK).get(KEY) is None
    assert [r.getMessage().split()[0] for r in caplog.records] == ["answer_not_used"]
