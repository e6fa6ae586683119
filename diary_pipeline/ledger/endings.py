"""Running sums of how recordings ended, kept in the very transactions in which they end.

They are what a counter of failures needs: exact over all processes, and read in a few rows however much there is. The
surprise: they count endings and not recordings. One that fails, is tried again and completes is in two of them.
"""

from collections import Counter
from collections.abc import Iterable

import sqlalchemy as sa

from diary_pipeline.ledger.statements import add_up
from diary_pipeline.ledger.tables_jobs import endings

Ending = tuple[str, str | None]
"""Status and reason code."""


def count_endings(tx: sa.Connection, ended: Iterable[Ending]) -> None:
    """Add endings; do it last in a transaction, because whoever ends something waits for these rows."""
    counted = Counter((status, code or "") for status, code in ended)
    for (status, code), n in sorted(counted.items()):
        add_up(tx, endings, {"status": status, "reason_code": code}, {"n": n})


def read_endings(conn: sa.Connection) -> dict[tuple[str, str], int]:
    """Return how often something ended with a status and a reason code; an empty one: without a reason."""
    rows = conn.execute(sa.select(endings.c.status, endings.c.reason_code, endings.c.n))
    return {(status, code): n for status, code, n in rows}
