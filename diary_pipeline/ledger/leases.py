"""Who works on what, and whether they are still alive: leases on work, and the holders of leases.

Which work a batch may take is claims.py's business; whether a late commit counts, that of commits.py.

What surprises: a lease that has expired is still its holder's until somebody else claims the work. Expiry only allows
others to take it; the epoch, which every claim raises, is what fences the one who was too late. And no holder signs
off: its row runs out, so that a run between its commit and its last event is not taken for dead.
"""

import threading
import uuid
from collections.abc import Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Self

import sqlalchemy as sa

from diary_pipeline.core.batch import Lease, Stage
from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.statements import chunks, now, upsert
from diary_pipeline.ledger.tables import holders, work
from diary_pipeline.observability.logs import log

FORGOTTEN_S = 86_400.0

logger = log(__name__)


def take(
    tx: sa.Connection, stage: Stage, keys: Sequence[str], *, batch_id: str, holder: str, lease_s: float
) -> list[Lease]:
    """Give locked work rows to a holder: a higher epoch, a new expiry, a place in its batch."""
    at = now(tx)
    ended = work.c.state.in_(("done", "failed"))
    epochs: dict[str, int] = {}
    for some in chunks(keys):
        mine = (work.c.stage == stage) & work.c.recording_key.in_(some)
        tx.execute(
            work.update()
            .where(mine)
            .values(
                state="planned",
                batch_id=batch_id,
                epoch=work.c.epoch + 1,
                holder=holder,
                expires_at=at + lease_s,
                done_s=None,
                attempts=sa.case((ended, 1), else_=work.c.attempts + 1),  # asked for anew, not tried once more
            )
        )
        epochs |= dict(tx.execute(sa.select(work.c.recording_key, work.c.epoch).where(mine)).tuples().all())
    return [Lease(key, epochs[key], holder) for key in keys]


def heartbeat(ledger: Ledger, holder: str, lease_s: float, reached: Mapping[str, float] = MappingProxyType({})) -> int:
    """Extend a holder's life and all its leases; return how many leases those are.

    `reached`: how many seconds of a recording's audio it has come through.
    """
    return ledger.write(lambda tx: _beat(tx, holder, lease_s, reached))


def sign_on(tx: sa.Connection, holder: str, lease_s: float) -> None:
    """Note that a holder is alive, and forget those who ended yesterday."""
    at = now(tx)
    upsert(tx, holders, {"holder": holder, "expires_at": at + lease_s})
    tx.execute(holders.delete().where(holders.c.expires_at < at - FORGOTTEN_S))


def show_writable(ledger: Ledger) -> None:
    """Sign on and off, so that something was written durably; ServiceMissing `ledger_away` where nothing can be.

    Committed and not rolled back: SQLite asks the disk for room no sooner than then.
    """
    holder = f"nobody/{uuid.uuid4().hex}"

    def on_and_off(tx: sa.Connection) -> None:
        tx.execute(holders.insert().values(holder=holder, expires_at=0.0))
        tx.execute(holders.delete().where(holders.c.holder == holder))

    ledger.write(on_and_off)


def holder_is_live(conn: sa.Connection, holder: str) -> bool:
    """Whether a holder has shown itself within its lease."""
    live = sa.select(holders.c.holder).where(holders.c.holder == holder, holders.c.expires_at > now(conn))
    return conn.execute(live).first() is not None


def live_holders(conn: sa.Connection) -> list[str]:
    """Return everybody who has shown themselves within their lease."""
    return list(conn.execute(sa.select(holders.c.holder).where(holders.c.expires_at > now(conn))).scalars())


class Heartbeat:
    """Keeps a holder and its leases alive while the block runs, from a thread of its own.

    A database that is away for a while is asked again. If it was away for longer than the lease, others may have taken
    the work; the commit finds out.
    """

    def __init__(self, ledger: Ledger, holder: str, lease_s: float) -> None:
        self.ledger, self.holder, self.lease_s = ledger, holder, lease_s
        self._reached: dict[str, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat-{holder}", daemon=True)

    def __enter__(self) -> Self:
        """Beat once, so that a ledger that cannot be reached is found out here, then go on beating."""
        heartbeat(self.ledger, self.holder, self.lease_s)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop beating; the holder counts as alive until its lease runs out."""
        self._ended.set()
        self._thread.join()

    def reached(self, key: str, at_s: float) -> None:
        """Note how many seconds of a recording are done; the next beat tells, and nobody waits for it."""
        self._reached[key] = at_s

    def beat(self) -> bool:
        """Beat once; False when the database did not answer, which the next beat may put right."""
        # Taken out one by one, while the worker may put in more: dict.popitem cannot be interrupted.
        reached = dict(self._reached.popitem() for _ in range(len(self._reached)))
        try:
            heartbeat(self.ledger, self.holder, self.lease_s, reached)
        except (sa.exc.SQLAlchemyError, ServiceMissing) as error:
            logger.warning("heartbeat_failed", holder=self.holder, error=type(error).__name__)
            return False
        return True

    def _run(self) -> None:
        while not self._ended.wait(self.lease_s / 3):
            self.beat()


def _beat(tx: sa.Connection, holder: str, lease_s: float, reached: Mapping[str, float] = MappingProxyType({})) -> int:
    theirs = (work.c.holder == holder) & work.c.expires_at.is_not(None)
    # Locked in everybody's order first: an UPDATE locks in whatever order it finds the rows.
    tx.execute(
        sa.select(work.c.epoch).where(theirs).order_by(work.c.recording_key, work.c.stage).with_for_update()
    ).all()
    extended = tx.execute(work.update().where(theirs).values(expires_at=now(tx) + lease_s)).rowcount
    for key, at_s in sorted(reached.items()):
        tx.execute(work.update().where(theirs, work.c.recording_key == key).values(done_s=at_s))
    sign_on(tx, holder, lease_s)
    return extended
