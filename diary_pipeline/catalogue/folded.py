"""What the published file holds of each kind, laid beside what the ledger points to.

Only looks; making rows follow their pointers again is a fold's business, and asking for that ledger/mending.py's.

What surprises: a transcript has no row of its own there; its segments and checks stand for it. The ledger knows which
versions there are and not how many rows each has, so a version that lost some of its rows is not seen here.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from diary_pipeline.catalogue.schema import CORRECTED_NOTES, DATA
from diary_pipeline.catalogue.state import opened, read_state
from diary_pipeline.ledger.pointers import PointerKind

HELD: Mapping[PointerKind, str] = {
    "outcome": f"SELECT coalesce(recording_key, submission_id) AS subject, user_id, commit_seq FROM {DATA}.recordings",  # noqa: S608
    "note": f"SELECT recording_key AS subject, user_id, commit_seq FROM {DATA}.notes",  # noqa: S608
    "transcript": f"SELECT recording_key AS subject, user_id, commit_seq FROM {DATA}.segments "  # noqa: S608
    f"UNION SELECT k.recording_key, k.user_id, greatest(k.commit_seq, c.commit_seq) FROM {DATA}.checks k "
    f"LEFT JOIN {CORRECTED_NOTES.stored} c USING (recording_key) WHERE k.stage = 'transcript'",
}
"""One row for each version that users see, with the seq of its corrections where those are younger: its segments and
its note have taken that over (fold_corrections.py). Corrections have none of their own: all of a recording's may have
been taken back."""


@dataclass(frozen=True)
class Unlike:
    """A subject whose rows are not those that its pointer names."""

    subject: str
    owner: str | None
    """None: it has no rows."""


class Folded:
    """A published file, open to be looked at."""

    def __init__(self, db: duckdb.DuckDBPyConnection, watermark: int) -> None:
        self._db = db
        self.watermark = watermark

    def summed(self, kind: PointerKind, first: int) -> tuple[int, int]:
        """Return how many versions of a kind there are that were committed from `first` on, and their seqs' sum."""
        held = f"SELECT count(*), coalesce(sum(commit_seq), 0) FROM ({HELD[kind]}) WHERE commit_seq >= ?"  # noqa: S608
        count, total = self._db.execute(held, [first]).fetchall()[0]
        return int(count), int(total)

    def unlike(self, kind: PointerKind, first: int, expected: Sequence[tuple[str, int]]) -> Iterator[Unlike]:
        """Yield the subjects that have other rows than expected, also one version twice; in their order."""
        subjects, seqs = [s for s, _ in expected], [n for _, n in expected]
        self._db.register(
            "expected", pa.table({"subject": pa.array(subjects, pa.string()), "seq": pa.array(seqs, pa.int64())})
        )
        found = self._db.execute(
            f"WITH held AS (SELECT subject, commit_seq AS seq, any_value(user_id) AS owner, count(*) AS versions "  # noqa: S608
            f"FROM ({HELD[kind]}) WHERE commit_seq >= ? GROUP BY ALL) "
            "SELECT subject, max(owner) FROM held FULL JOIN expected e USING (subject, seq) "
            "WHERE held.seq IS NULL OR e.seq IS NULL OR versions > 1 GROUP BY subject ORDER BY subject",
            [first],
        )
        while rows := found.fetchmany(1000):
            yield from (Unlike(*row) for row in rows)


@contextmanager
def open_folded(live: Path) -> Iterator[Folded | None]:
    """Open the published file for a moment; None: there is none of this schema, so the next publish builds it anew."""
    if not live.exists():
        yield None
        return
    with opened(live, read_only=True) as db:
        state = read_state(db)
        yield None if state is None else Folded(db, state.watermark)
