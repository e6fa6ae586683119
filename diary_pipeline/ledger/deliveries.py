"""Sending what the outbox holds: who may send which row now, and what came of it. Sending itself is api/webhooks.py's.

A row is leased to a sender by pushing its `next_at` ahead, so any number of replicas send side by side, each row by one
of them at a time, and what a dead one held comes back by itself. The surprise: rows are looked for host by host,
because ten thousand calls that wait for a dead receiver would stand before everybody else's in any one queue.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.statements import now
from diary_pipeline.ledger.tables_jobs import UNSENT, outbox

# From host to next host through the index, with the row of each that is due first; see stale.py.
_HOSTS = sa.text("""
WITH RECURSIVE found(host) AS (
    SELECT * FROM (
        SELECT host FROM outbox
        WHERE delivered_at IS NULL AND given_up_at IS NULL AND host > :after ORDER BY host LIMIT 1
    ) AS first
    UNION ALL
    SELECT (
        SELECT host FROM outbox
        WHERE delivered_at IS NULL AND given_up_at IS NULL AND host > found.host ORDER BY host LIMIT 1
    ) FROM found WHERE found.host IS NOT NULL
)
SELECT host FROM found WHERE host IS NOT NULL AND (
    SELECT min(next_at) FROM outbox
    WHERE delivered_at IS NULL AND given_up_at IS NULL AND host = found.host
) <= :at LIMIT :most
""")
_HOSTS_A_LOOK = 64
_SWEPT = 1_000


@dataclass(frozen=True)
class Delivery:
    """One event on its way to its receiver."""

    id: int
    submission_id: str | None
    event: str
    url: str
    host: str
    body: Mapping[str, object]
    attempts: int
    """This one included."""
    created_at: float
    next_at: float
    delivered_at: float | None
    given_up_at: float | None
    last_answer: str | None


def take_due(
    ledger: Ledger, *, limit: int, per_host: int, lease_s: float, busy: Mapping[str, int], after: str = ""
) -> tuple[list[Delivery], str]:
    """Lease what may be sent now, no more than `per_host` to one host with those it is `busy` with already.

    Hosts take turns: the first one is that behind `after`, and the second thing returned is the next call's `after`.
    Of a job, an event comes only when those before it were delivered or given up.
    """
    if limit <= 0:
        return [], after
    with ledger.reading() as conn:  # idle senders do not queue behind writers
        at = now(conn)
        seen = _due_hosts(conn, after, at)
        free = [host for host in seen if busy.get(host, 0) < per_host]
        hosts = [host for host in free if conn.execute(_due(host, at).limit(1)).first() is not None]
    last = seen[-1] if seen else ""
    return ledger.write(lambda tx: _take(tx, hosts, limit, per_host, lease_s, busy, last)) if hosts else ([], last)


def delivered(ledger: Ledger, delivery: Delivery, answer: str) -> None:
    """Note that a receiver has it; nothing happens when another sender has taken it over since."""
    _settle(ledger, delivery, answer, "delivered_at")


def give_up(ledger: Ledger, delivery: Delivery, answer: str) -> None:
    """Note that it is not tried again, unless somebody asks for it."""
    _settle(ledger, delivery, answer, "given_up_at")


def put_off(ledger: Ledger, delivery: Delivery, answer: str, pause_s: float) -> None:
    """Try again after a pause."""
    with ledger.writing() as tx:
        again = {"next_at": now(tx) + pause_s, "last_answer": answer}
        tx.execute(outbox.update().where(_held(delivery)).values(again))


def replay(ledger: Ledger, submission_id: str) -> int:
    """Have all events of a job sent again, in their order, and return how many there are."""
    with ledger.writing() as tx:
        again = {"delivered_at": None, "given_up_at": None, "attempts": 0, "next_at": now(tx)}
        return tx.execute(outbox.update().where(outbox.c.submission_id == submission_id).values(again)).rowcount


def of_job(conn: sa.Connection, submission_id: str) -> list[Delivery]:
    """Return the events of a job, the first one first."""
    rows = conn.execute(_ROWS.where(outbox.c.submission_id == submission_id).order_by(outbox.c.id))
    return [Delivery(*row) for row in rows]


def forget_old(ledger: Ledger, older_than_s: float) -> int:
    """Forget events that were delivered or given up and came longer ago; return how many went."""
    after, went = 0, 0
    while True:
        with ledger.writing() as tx:
            oldest = sa.select(outbox.c.id, outbox.c.created_at, outbox.c.delivered_at, outbox.c.given_up_at)
            rows = tx.execute(oldest.where(outbox.c.id > after).order_by(outbox.c.id).limit(_SWEPT)).all()
            limit = now(tx) - older_than_s
            old = [row for row in rows if row.created_at < limit]
            ids = [row.id for row in old if row.delivered_at is not None or row.given_up_at is not None]
            tx.execute(outbox.delete().where(outbox.c.id.in_(ids)))
        went += len(ids)
        if len(old) < _SWEPT:  # ids rise with time: behind the first young one is nothing old
            return went
        after = old[-1].id


_ROWS = sa.select(*(outbox.c[name] for name in Delivery.__dataclass_fields__))


def _due(host: str, at: float) -> sa.Select[tuple[int]]:
    before = outbox.alias()
    unsent_before = sa.exists().where(
        before.c.submission_id == outbox.c.submission_id,
        before.c.id < outbox.c.id,
        before.c.delivered_at.is_(None),
        before.c.given_up_at.is_(None),
    )
    due = (outbox.c.host == host) & (outbox.c.next_at <= at) & ~unsent_before
    return sa.select(outbox.c.id).where(UNSENT, due).order_by(outbox.c.next_at)


def _due_hosts(conn: sa.Connection, after: str, at: float) -> list[str]:
    """Return some hosts of which a row's time has come, in the order of their turns."""
    behind = list(conn.execute(_HOSTS, {"after": after, "at": at, "most": _HOSTS_A_LOOK}).scalars())
    room = _HOSTS_A_LOOK - len(behind)
    if not after or room <= 0:
        return behind
    before = conn.execute(_HOSTS, {"after": "", "at": at, "most": room}).scalars()
    return [*behind, *(host for host in before if host not in set(behind))]


def _take(  # noqa: PLR0917 - what `take_due` was given, in its order
    tx: sa.Connection,
    hosts: Sequence[str],
    limit: int,
    per_host: int,
    lease_s: float,
    busy: Mapping[str, int],
    last: str,
) -> tuple[list[Delivery], str]:
    at = now(tx)
    ids: list[int] = []
    for host in hosts:
        room = min(per_host - busy.get(host, 0), limit - len(ids))
        chosen = _due(host, at).limit(room).with_for_update(skip_locked=True, of=outbox)
        ids += tx.execute(chosen).scalars()
        if len(ids) >= limit:
            last = host
            break
    if not ids:
        return [], last
    leased = {"next_at": at + lease_s, "attempts": outbox.c.attempts + 1}
    tx.execute(outbox.update().where(outbox.c.id.in_(ids)).values(leased))
    return [Delivery(*row) for row in tx.execute(_ROWS.where(outbox.c.id.in_(ids)).order_by(outbox.c.id))], last


def _held(delivery: Delivery) -> sa.ColumnElement[bool]:
    """Whether it is still the attempt that this sender took."""
    return (outbox.c.id == delivery.id) & (outbox.c.attempts == delivery.attempts) & UNSENT


def _settle(ledger: Ledger, delivery: Delivery, answer: str, how: str) -> None:
    with ledger.writing() as tx:
        tx.execute(outbox.update().where(_held(delivery)).values({how: now(tx), "last_answer": answer}))
