"""The clock of commits: a row that whoever moves pointers locks first, so that seqs follow commit order without gaps.

What a tick means is for those who take one to say: a commit (commits.py), going back (versions.py), hiding what is
erased (erasures.py), mending (mending.py). The surprise: who only rearranges what is there waits here too and takes
none, because commits move the same pointers.
"""

import sqlalchemy as sa

from diary_pipeline.ledger.tables import clock


def clock_now(conn: sa.Connection) -> int:
    """Return the seq of the last commit; 0 when there is none."""
    return int(conn.execute(sa.select(clock.c.n)).scalar_one())


def next_seq(tx: sa.Connection) -> int:
    """Wait until no other commit runs, hold the others off until this transaction ends, and return the seq it gets."""
    return int(tx.execute(sa.select(clock.c.n).with_for_update()).scalar_one()) + 1


def tick(tx: sa.Connection, seq: int) -> None:
    """Take all seqs up to this one; only for who waited for `next_seq`."""
    tx.execute(clock.update().values(n=seq))
