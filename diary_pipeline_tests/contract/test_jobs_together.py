"""Jobs that many threads open at once take few transactions, and each has its own answer; on both databases."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from diary_pipeline.core.errors import ServiceMissing, UsageError
from diary_pipeline.ledger import jobs_together
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.jobs_together import JobsTogether
from diary_pipeline_tests.contract.test_ledger_jobs import listed, make_job

MANY = 48


@contextmanager
def lost_answer(engine: sa.Engine) -> Iterator[None]:
    """Have the next transaction that opens jobs committed, and its connection lost before anybody hears of it."""
    opening: list[sa.Connection] = []

    def wrote(conn: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO jobs "):
            opening.append(conn)

    def lose(conn: sa.Connection) -> None:
        if conn in opening:
            opening.clear()
            sa.event.remove(engine, "after_cursor_execute", wrote)
            conn.connection.commit()
            raise sa.exc.OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))

    sa.event.listen(engine, "after_cursor_execute", wrote)
    sa.event.listen(engine, "commit", lose)
    yield
    sa.event.remove(engine, "commit", lose)
    assert not sa.event.contains(engine, "after_cursor_execute", wrote), "nothing was lost"


def test_all_who_come_while_one_is_at_it_go_in_one_transaction(ledger: Ledger) -> None:
    together = JobsTogether(ledger)
    commits: list[object] = []
    with ThreadPoolExecutor(MANY) as pool:
        with together._turn:  # somebody waits for the disk
            asked = [pool.submit(together.open, make_job(f"{n:032x}")) for n in range(MANY)]
            deadline, waited = time.monotonic() + 60, threading.Event()
            while len(together._waiting) < MANY:
                assert time.monotonic() < deadline
                waited.wait(0.005)
            sa.event.listen(ledger.engine, "commit", commits.append)
        opened = [each.result() for each in asked]
    assert [job.id for job in opened] == [f"{n:032x}" for n in range(MANY)] and all(job.is_new for job in opened)
    assert len(listed(ledger)) == MANY
    assert len(commits) <= 2  # this one, and the end of the look at the list


def test_one_that_cannot_be_had_keeps_no_other_from_being_opened(ledger: Ledger) -> None:
    together = JobsTogether(ledger)
    together.open(make_job("a", idempotency=("k", "one request")))
    asked = [jobs_together._Asked(make_job(id)) for id in ("b", "c")]
    asked.insert(1, jobs_together._Asked(make_job("d", idempotency=("k", "another"))))
    together._open(asked)
    assert [bool(each.opened) for each in asked] == [True, False, True]
    assert isinstance(asked[1].error, UsageError) and asked[1].error.code == "idempotency_conflict"
    assert set(listed(ledger)) == {"a", "b", "c"}
    with pytest.raises(UsageError, match="another request"):
        together.open(make_job("e", idempotency=("k", "a third")))


def test_what_fails_for_all_is_told_to_each_and_the_next_is_opened(ledger: Ledger) -> None:
    together = JobsTogether(ledger)
    with ledger.writing() as tx:
        tx.exec_driver_sql("ALTER TABLE jobs RENAME TO away")
    with pytest.raises(sa.exc.DBAPIError):
        together.open(make_job("a"))
    with ledger.writing() as tx:
        tx.exec_driver_sql("ALTER TABLE away RENAME TO jobs")
    assert together.open(make_job("b")).is_new and listed(ledger) == ["b"]


def test_where_nobody_knows_whether_it_was_committed_nothing_is_opened_a_second_time(ledger: Ledger) -> None:
    asked = [jobs_together._Asked(make_job(id)) for id in "abc"]
    with lost_answer(ledger.engine):
        JobsTogether(ledger)._open(asked)
    assert [each.opened for each in asked] == [None] * 3
    assert all(isinstance(each.error, ServiceMissing) for each in asked)
    assert set(listed(ledger)) == {"a", "b", "c"}, "each may be asked for again with its key"


def test_a_ledger_that_does_not_answer_is_waited_for_once_and_not_by_each_in_turn(ledger: Ledger) -> None:
    together = JobsTogether(ledger)
    together.open(make_job("a", idempotency=("k", "one request")))
    wrong = make_job("d", idempotency=("k", "another"))
    asked = [jobs_together._Asked(job) for job in (wrong, make_job("b"), make_job("c"))]
    with lost_answer(ledger.engine):
        together._open(asked)
    assert [type(each.error) for each in asked] == [UsageError, ServiceMissing, ServiceMissing]
    assert set(listed(ledger)) == {"a", "b"}, "c was not tried"
