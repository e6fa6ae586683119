"""What deleted rows leave in a catalogue file, and the rewriting that is rid of it.

DuckDB's DELETE, CHECKPOINT and VACUUM leave the bytes of deleted rows where they were (4,000 of 4,000 marks found):
only a new file is without them.
"""

from collections.abc import Mapping
from pathlib import Path

import duckdb

from diary_pipeline.catalogue.descriptions import quoted
from diary_pipeline.catalogue.schema import TABLES
from diary_pipeline.catalogue.state import opened

WORTH_IT = 0.2
"""Dead rows among all rows; from here on a rewriting gives more than it takes."""


def dead_share(db: duckdb.DuckDBPyConnection) -> float:
    """Return which part of the rows in the file is deleted, 0 to 1.

    A checkpoint of DuckDB 1.5 merges row groups (122,880 rows) whose rows fit into fewer, so most of what processing
    again leaves is taken back unasked, all of it in small tables; here stands what was not.
    """
    alive = slots = 0
    for stored in {table.stored for table in TABLES if table.published}:
        [here] = db.execute(f"SELECT count(*) FROM {stored}").fetchone() or (0,)  # noqa: S608 - names from schema.py
        [room] = db.execute(
            f"SELECT coalesce(sum(count), 0) FROM pragma_storage_info('{stored}') "  # noqa: S608
            "WHERE column_id = 0 AND segment_type <> 'VALIDITY'"
        ).fetchone() or (0,)
        alive, slots = alive + here, slots + max(int(room), here)
    return 1 - alive / slots if slots else 0.0


def rewrite(source: Path, target: Path, options: Mapping[str, str]) -> None:
    """Write what can be read in `source`, views and comments included, into the new file `target`."""
    with opened(target, options=options) as db:
        [name] = db.execute("SELECT current_database()").fetchone() or ("",)
        db.execute(f"ATTACH {quoted(str(source))} AS old (READ_ONLY)")
        db.execute(f'COPY FROM DATABASE old TO "{name}"')
        db.execute("CHECKPOINT")
        db.execute("DETACH old")
