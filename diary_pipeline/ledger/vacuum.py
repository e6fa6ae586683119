"""What deleted rows leave in the ledger's files, and being rid of it.

The surprise: on SQLite nothing is left afterwards. On PostgreSQL plain VACUUM frees the space and does not overwrite
it, and the write-ahead log keeps its copy until it is recycled; VACUUM FULL would lock everybody out.
"""

import sqlite3
from typing import cast

from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.tables import metadata


def vacuum(ledger: Ledger) -> None:
    """Free, and on SQLite overwrite, what deleted rows held; ServiceMissing `ledger_busy` when nobody pauses."""
    if ledger.engine.dialect.name == "postgresql":
        with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            for table in metadata.sorted_tables:
                conn.exec_driver_sql(f"VACUUM {table.name}")
        return
    raw = ledger.engine.raw_connection()  # VACUUM refuses to run in a transaction, and ours all begin one
    try:
        cursor = raw.cursor()
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        busy = cast(tuple[int, ...], cursor.fetchone())[0]
        cursor.close()
    except sqlite3.OperationalError as error:
        raise _busy() from error
    finally:
        raw.close()
    if busy:
        raise _busy()


def _busy() -> ServiceMissing:
    return ServiceMissing(
        "ledger_busy", "The ledger is used without a pause, so deleted rows stay in its files; try again later."
    )
