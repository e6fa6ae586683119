"""Who is alive is told by the database's clock, and a heartbeat that fails says so; on both databases."""

import threading

import pytest
import sqlalchemy as sa

from diary_pipeline.ledger import leases
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.leases import Heartbeat
from diary_pipeline.ledger.statements import now
from diary_pipeline.ledger.tables import holders, work
from diary_pipeline_tests.contract.batch_work import accept, claim_keys, commit, expire, held


def live(ledger: Ledger, holder: str) -> bool:
    """Whether the ledger takes a holder for alive."""
    with ledger.reading() as conn:
        return leases.holder_is_live(conn, holder)


def expiry(ledger: Ledger, key: str) -> float:
    """Return when a lease expires, in seconds from now."""
    with ledger.reading() as conn:
        at = conn.execute(sa.select(work.c.expires_at).where(work.c.recording_key == key)).scalar_one()
        return float(at - now(conn))


def rename(ledger: Ledger, old: str, new: str) -> None:
    """Take a table away, so that statements fail as they do when a database is away, or bring it back."""
    with ledger.writing() as tx:
        tx.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")


def test_a_heartbeat_extends_the_holder_and_its_leases_and_nobody_else_s(ledger: Ledger) -> None:
    mine, theirs = accept(ledger, 2)
    claim_keys(ledger, [mine], "me")
    claim_keys(ledger, [theirs], "they")
    expire(ledger, "me")
    expire(ledger, "they")
    assert not live(ledger, "me")
    assert leases.heartbeat(ledger, "me", 600) == 1
    assert live(ledger, "me")
    assert not live(ledger, "they")
    assert 500 < expiry(ledger, mine) <= 600
    assert expiry(ledger, theirs) < 0


def test_a_heartbeat_does_not_bring_back_what_was_committed_or_taken_over(ledger: Ledger) -> None:
    done, taken = accept(ledger, 2)
    batch = claim_keys(ledger, [done, taken], "me")
    commit(ledger, batch, keys=[done])
    expire(ledger, "me")
    assert held(claim_keys(ledger, [taken], "they")) == [taken]
    assert leases.heartbeat(ledger, "me", 600) == 0


def test_a_holder_is_alive_until_its_lease_runs_out_and_forgotten_a_day_later(ledger: Ledger) -> None:
    with Heartbeat(ledger, "run", 600):
        assert live(ledger, "run")
    assert live(ledger, "run"), "it may still have events to write"
    for age_s, left in ((3600, {"run", "next"}), (90_000, {"next"})):
        with ledger.writing() as tx:
            tx.execute(holders.update().where(holders.c.holder == "run").values(expires_at=now(tx) - age_s))
        assert not live(ledger, "run")
        leases.heartbeat(ledger, "next", 600)
        with ledger.reading() as conn:
            assert set(conn.execute(sa.select(holders.c.holder)).scalars()) == left


def test_an_error_in_the_block_passes_through_and_the_heart_stops(ledger: Ledger) -> None:
    with pytest.raises(RuntimeError, match="inside"), Heartbeat(ledger, "run", 600) as heart:
        raise RuntimeError("inside")
    assert not heart._thread.is_alive()


def test_the_heart_beats_by_itself(ledger: Ledger) -> None:
    beaten = threading.Semaphore(0)

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "INTO holders" in statement:
            beaten.release()

    sa.event.listen(ledger.engine, "after_cursor_execute", note)
    with Heartbeat(ledger, "run", 0.06):
        assert all(beaten.acquire(timeout=30) for _ in range(4))


def test_a_database_that_is_away_for_a_while_costs_nothing(ledger: Ledger) -> None:
    with Heartbeat(ledger, "run", 60) as heart:
        rename(ledger, "holders", "away")
        assert not heart.beat()
        rename(ledger, "away", "holders")
        assert heart.beat()


def test_a_heartbeat_that_cannot_begin_says_so_at_once(ledger: Ledger) -> None:
    rename(ledger, "holders", "away")
    with pytest.raises(sa.exc.DBAPIError), Heartbeat(ledger, "run", 60):
        pytest.fail("the block must not run")
