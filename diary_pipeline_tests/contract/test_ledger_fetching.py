"""One worker at a time brings the bytes of a submission, and a killed one is forgotten; on both databases."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from diary_pipeline.core.errors import Fenced, TransientError
from diary_pipeline.ledger import fetching, jobs, submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.fetching import FetchLease
from diary_pipeline.ledger.statements import now
from diary_pipeline.ledger.tables import submissions as table
from diary_pipeline_tests.contract.test_ledger_submissions import read, submit

LONG_S = 3600.0
AWAY = TransientError("url_unreachable", "example.org does not answer.")


def far(ledger: Ledger, name: str = "memo.m4a") -> str:
    """Submit an address."""
    return submit(ledger, name, uri=f"https://example.org/{name}")


def waiting(ledger: Ledger) -> list[str]:
    """Return what may be fetched now."""
    with ledger.reading() as conn:
        return [s.id for s in submissions.waiting(conn, 9, far=True)]


def taken(ledger: Ledger, id: str, lease_s: float = LONG_S) -> FetchLease:
    """Take what nobody has."""
    lease = fetching.begin(ledger, id, lease_s)
    assert lease
    return lease


def test_of_many_workers_one_fetches(ledger: Ledger) -> None:
    id = far(ledger)
    with ThreadPoolExecutor(8) as workers:
        leases = list(workers.map(lambda _: fetching.begin(ledger, id, LONG_S), range(8)))
    assert len([lease for lease in leases if lease]) == 1
    assert waiting(ledger) == []
    assert read(ledger, id).fetching_since


def test_a_killed_worker_is_forgotten_when_its_lease_is_over(ledger: Ledger) -> None:
    id = far(ledger)
    dead = taken(ledger, id, lease_s=-1.0)
    assert waiting(ledger) == [id]
    mine = taken(ledger, id)
    with pytest.raises(Fenced):
        fetching.renew(ledger, dead, LONG_S, 10, 20)
    fetching.release(ledger, dead, failed=AWAY)
    row = read(ledger, id)
    assert (row.attempts, row.received_bytes, waiting(ledger)) == (0, None, [])
    fetching.renew(ledger, mine, LONG_S, 10, 20)


def test_how_far_it_has_come_is_told_while_the_lease_goes_on(ledger: Ledger) -> None:
    id = far(ledger)
    lease = taken(ledger, id, lease_s=1.0)
    longer = fetching.renew(ledger, lease, LONG_S, 1_000, None)
    longer = fetching.renew(ledger, longer, LONG_S, 2_000, 3_000)
    row = read(ledger, id)
    assert (row.received_bytes, row.expected_bytes, row.status) == (2_000, 3_000, "pending")
    assert waiting(ledger) == []


@pytest.mark.parametrize("end", ["cancelled", "refused", "gone"])
def test_who_fetches_what_has_ended_is_told_to_stop(ledger: Ledger, end: str) -> None:
    id = far(ledger)
    lease = taken(ledger, id)
    with ledger.writing() as tx:
        mine = table.c.id == id
        tx.execute(sa.delete(table).where(mine) if end == "gone" else table.update().where(mine).values(status=end))
    with pytest.raises(Fenced):
        fetching.renew(ledger, lease, LONG_S, 1, 2)
    assert fetching.begin(ledger, id, LONG_S) is None


def test_a_failure_pauses_and_is_counted_and_a_stop_is_not(ledger: Ledger) -> None:
    id = far(ledger)
    fetching.release(ledger, taken(ledger, id))
    row = read(ledger, id)
    assert (row.attempts, waiting(ledger)) == (0, [id])
    assert row.fetching_since, "it is still on its way"
    fetching.release(ledger, taken(ledger, id), LONG_S, failed=AWAY)
    row = read(ledger, id)
    assert (row.attempts, row.fetching_since, waiting(ledger)) == (1, None, [])


def test_a_job_says_why_its_fetch_failed_and_when_the_next_try_is_until_that_begins(ledger: Ledger) -> None:
    id = far(ledger)
    fetching.release(ledger, taken(ledger, id), LONG_S, failed=AWAY)
    with ledger.reading() as conn:
        job, at = jobs.find(conn, id), now(conn)
    assert job
    assert (job.status, job.reason_code, job.message) == ("pending", "url_unreachable", "example.org does not answer.")
    assert job.again_at == pytest.approx(at + LONG_S, abs=60)
    with ledger.writing() as tx:
        tx.execute(table.update().values(not_before=0.0))
    taken(ledger, id)
    with ledger.reading() as conn:
        job = jobs.find(conn, id)
    assert job
    assert (job.status, job.reason_code, job.message, job.again_at) == ("downloading", None, None, None)
