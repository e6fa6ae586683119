"""Who may send which event now: one sender at a time, in order, no host before all others; on both databases."""

import pytest
import sqlalchemy as sa

from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.deliveries import (
    Delivery,
    delivered,
    forget_old,
    give_up,
    of_job,
    put_off,
    replay,
    take_due,
)
from diary_pipeline.ledger.outbox import put
from diary_pipeline.ledger.tables_jobs import outbox
from diary_pipeline_tests.contract.query_plans import plans, walks

LEASE_S = 30.0


def told(ledger: Ledger, url: str = "https://app.example/x", job: str | None = None, count: int = 1) -> None:
    """Put events, of a job or of the deployment."""
    with ledger.writing() as tx:
        for _ in range(count):
            put(tx, "job.completed", url, {})
        if job is not None:
            tx.execute(outbox.update().where(outbox.c.submission_id.is_(None)).values(submission_id=job))


def take(ledger: Ledger, limit: int = 9, per_host: int = 9, **busy: int) -> list[Delivery]:
    """Lease what is due."""
    return take_due(ledger, limit=limit, per_host=per_host, lease_s=LEASE_S, busy=busy)[0]


def pass_by(ledger: Ledger, seconds: float) -> None:
    """Let time pass; the clock is the database's."""
    with ledger.writing() as tx:
        tx.execute(outbox.update().values(next_at=outbox.c.next_at - seconds))


def test_what_one_sender_took_no_other_gets_before_its_lease_has_run_out(ledger: Ledger) -> None:
    told(ledger)
    [first] = take(ledger)
    assert first.attempts == 1
    assert take(ledger) == []
    pass_by(ledger, LEASE_S)
    [again] = take(ledger)
    assert (again.id, again.attempts, again.body) == (first.id, 2, first.body)


def test_a_sender_that_comes_back_too_late_changes_nothing(ledger: Ledger) -> None:
    told(ledger, job="j")
    [late] = take(ledger)
    pass_by(ledger, LEASE_S)
    [mine] = take(ledger)
    give_up(ledger, late, "503")
    put_off(ledger, late, "503", 9.0)
    delivered(ledger, mine, "204")
    delivered(ledger, late, "200")
    with ledger.reading() as conn:
        [row] = of_job(conn, "j")
    assert (row.given_up_at, row.last_answer) == (None, "204")
    assert row.delivered_at is not None


def test_events_of_a_job_go_out_one_after_the_other(ledger: Ledger) -> None:
    told(ledger, job="j", count=2)
    [first] = take(ledger)
    pass_by(ledger, 1.0)
    assert take(ledger) == [], "the one before is under way"
    put_off(ledger, first, "500", 60.0)
    assert take(ledger) == [], "the one before waits"
    pass_by(ledger, 60.0)
    [again] = take(ledger)
    assert again.id == first.id
    give_up(ledger, again, "410")
    [second] = take(ledger)
    assert second.id > first.id


def test_a_host_with_a_long_queue_leaves_room_for_the_others(ledger: Ledger) -> None:
    told(ledger, "https://dead.example/x", count=50)
    told(ledger, "https://well.example/x")
    some = take(ledger, limit=9, per_host=2)
    assert [d.host for d in some] == ["dead.example", "dead.example", "well.example"]
    told(ledger, "https://well.example/y")
    more, _ = take_due(ledger, limit=9, per_host=2, lease_s=LEASE_S, busy={"dead.example": 2, "well.example": 1})
    assert [d.url for d in more] == ["https://well.example/y"]
    assert take(ledger, limit=0) == []


def test_what_was_delivered_or_given_up_is_sent_again_in_order_when_somebody_asks(ledger: Ledger) -> None:
    told(ledger, job="j", count=2)
    ids = []
    for settle in (delivered, give_up):
        [one] = take(ledger)
        ids.append(one.body["id"])
        settle(ledger, one, "200")
    assert take(ledger) == []
    assert replay(ledger, "j") == 2
    assert replay(ledger, "nobody") == 0
    again = []
    for _ in ids:
        [one] = take(ledger)
        again.append(one.body["id"])
        assert one.attempts == 1
        delivered(ledger, one, "200")
    assert again == ids, "the same ids, so that whoever has them knows"


def test_old_events_are_forgotten_but_never_those_that_are_still_to_be_sent(ledger: Ledger) -> None:
    told(ledger, count=2)
    told(ledger, "https://other.example/x")
    done, left, other = take(ledger)
    delivered(ledger, done, "200")
    give_up(ledger, other, "410")
    put_off(ledger, left, "500", 60.0)
    assert forget_old(ledger, 60.0) == 0
    with ledger.writing() as tx:
        tx.execute(outbox.update().values(created_at=outbox.c.created_at - 61.0))
    assert forget_old(ledger, 60.0) == 2
    with ledger.reading() as conn:
        assert conn.execute(sa.select(outbox.c.id)).scalars().all() == [left.id]


def test_dead_receivers_take_turns_with_the_others_however_many_they_are(ledger: Ledger) -> None:
    for dead in range(9):
        told(ledger, f"https://a{dead}.example/x", count=6)
    told(ledger, "https://zoe.example/x")
    after, served = "", list[str]()
    for _ in range(3):
        some, after = take_due(ledger, limit=8, per_host=2, lease_s=LEASE_S, busy={}, after=after)
        served += [delivery.host for delivery in some]
    assert "zoe.example" in served
    assert len(set(served)) == 10


def test_hosts_whose_time_has_not_come_are_not_looked_at_one_by_one(ledger: Ledger) -> None:
    for n in range(30):
        told(ledger, f"https://h{n}.example/x")
    pass_by(ledger, -600.0)
    told(ledger, "https://now.example/x")
    asked: list[str] = []
    sa.event.listen(ledger.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    [only] = take(ledger)
    assert only.host == "now.example"
    assert len([statement for statement in asked if "outbox" in statement]) <= 5


def test_old_events_are_forgotten_behind_any_number_of_others_that_are_not_sent_yet(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diary_pipeline.ledger import deliveries

    monkeypatch.setattr(deliveries, "_SWEPT", 2)
    told(ledger, "https://stuck.example/x", count=3)
    told(ledger, count=5)
    with ledger.writing() as tx:
        tx.execute(outbox.update().where(outbox.c.host == "app.example").values(given_up_at=outbox.c.created_at))
        tx.execute(outbox.update().values(created_at=outbox.c.created_at - 61.0))
    assert forget_old(ledger, 60.0) == 5


@pytest.mark.parametrize("rows", [0, 40])
def test_the_look_for_what_is_due_reads_an_index(ledger: Ledger, rows: int) -> None:
    from diary_pipeline.ledger import deliveries

    told(ledger, count=rows)
    seen = plans(ledger, lambda conn: deliveries._due_hosts(conn, "m", 9e9))
    seen += plans(ledger, lambda conn: conn.execute(deliveries._due("app.example", 9e9).limit(1)).all())
    for plan in seen:
        read = "\n".join(line for line in plan.splitlines() if "outbox" in line)
        assert "outbox_unsent" in read
        assert not walks(read), plan
