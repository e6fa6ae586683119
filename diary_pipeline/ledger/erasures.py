"""Erasures in the ledger: how far they reach."""

import sqlalchemy as sa


def last_hidden_seq(conn: sa.Connection) -> int:
    """Return the commit seq of the last erasure that hid something; 0: never. What is older may still tell it."""
    return _highest(conn, "")


def last_removed_seq(conn: sa.Connection) -> int:
    """Return the highest seq whose pointers are deleted; 0: none. What is older cannot learn what it has to drop."""
    return _highest(conn, "WHERE removed_at IS NOT NULL")


def _highest(conn: sa.Connection, where: str) -> int:
    if not sa.inspect(conn).has_table("erasures"):
        return 0
    return int(conn.execute(sa.text(f"SELECT max(hidden_seq) FROM erasures {where}")).scalar() or 0)  # noqa: S608
