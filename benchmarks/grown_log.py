"""A log as years of diaries leave it, written by SQL: the real layout of objects and ledger, without anybody speaking.

Every note has 20 segments, 6 items and about 2 kB of Markdown; words come out of a vocabulary of 4,096, so that text
compresses no better than text does. Word times are left out: a fold does not read them.
"""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import duckdb
import sqlalchemy as sa

from diary_pipeline.catalogue.schema import DUCKDB, TABLES, Table
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.tables import clock, commits, history, pointers
from diary_pipeline.storage.keys import catalogue_object_id

OWNERS = 997
FIRST_DAY = dt.date(2024, 1, 1)
DAYS = 730
SEGMENTS = 20
ITEMS = 6
BATCH = 1000
"""Recordings in one object, as a merge leaves them."""
COMMITTED_AT = 1_700_000_000.0

_TEXT = "array_to_string([w[1 + (hash(n * 977 + {salt} * 31 + x) % 4096)::INT] for x in range({words})], ' ')"
_SPEECH = _TEXT.format(salt="s", words=12)
_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "recordings": {
        "submission_id": "'sub-' || n", "file_name": "'memo ' || n || '.m4a'", "content_sha256": "sha256(n::VARCHAR)",
        "duration_s": "60 + n % 600", "recorded_at": "day::TIMESTAMP + INTERVAL (n % 86400) SECOND",
        "recorded_at_source": "'container_utc'", "recorded_at_confidence": "0.8", "recorded_day": "day",
        "time_zone": "'UTC'", "language": "'en'", "language_probability": "0.99", "status": "'completed'",
        "whisper_model": "'base'", "transcript_version": "'t1'", "processed_at": "day::TIMESTAMP",
    },
    "transcripts": {"duration_s": "60 + n % 600", "language": "'en'", "engine": "'grown'", "version": "'t1'"},
    "segments": {
        "segment_id": "s", "start_s": "s * 3.0", "end_s": "s * 3.0 + 2.5", "kind": "'speech'", "text": _SPEECH,
        "language": "'en'", "avg_logprob": "-0.2 - (n % 50) / 100", "no_speech_prob": "0.01",
        "compression_ratio": "1.4", "rung": "'batched'", "language_probability": "0.99",
    },
    "notes": {
        "note_date": "day", "title": _TEXT.format(salt="1", words=5), "summary": _TEXT.format(salt="2", words=30),
        "mood": "['neutral', 'positive', 'negative', 'mixed'][1 + n % 4]", "writer": "'offline'", "degraded": "false",
        "language": "'en'", "markdown": _TEXT.format(salt="3", words=280), "prompt_version": "'p1'",
        "transcript_version": "'t1'", "cost_usd": "0", "limits": "[]", "version": "'n1'",
    },
    "note_items": {
        "item_id": "s", "kind": "['event', 'action', 'person', 'place', 'topic', 'quote'][1 + s % 6]",
        "text": _SPEECH, "segment_id": "s", "start_s": "s * 3.0", "end_s": "s * 3.0 + 2.5", "quote": _SPEECH,
    },
    "checks": {"check_name": "'check_' || s", "passed": "true", "severity": "'ERROR'", "detail": "''"},
}  # fmt: skip
_EACH = {"segments": SEGMENTS, "note_items": ITEMS, "checks": 3}


class GrownLog:
    """A log of `size` recordings over two years, and whatever is added later."""

    def __init__(self, ledger: Ledger, objects: Path, size: int) -> None:
        self.ledger = ledger
        self.objects = objects
        self.a_day = max(1, size // DAYS)

    def grow(self, first: int, count: int) -> None:
        """Add recordings number `first` and following, in the order of their days, a thousand in an object."""
        with duckdb.connect() as db:
            db.execute("SET memory_limit = '2GB'")
            db.execute(
                "CREATE TABLE vocabulary AS SELECT list(left(md5(i::VARCHAR), 3 + i % 7)) AS w FROM range(4096) t(i)"
            )
            for start in range(first, first + count, BATCH):
                until = min(start + BATCH, first + count)
                db.execute(f"CREATE OR REPLACE TABLE heads AS {self._heads(start, until)}")
                subjects = db.execute("SELECT recording_key, user_id FROM heads ORDER BY recording_key").fetchall()
                for kind, told in (("transcript", ("transcript",)), ("note", ("note", "outcome"))):
                    object_id = catalogue_object_id(kind)
                    size = self._write(db, kind, object_id)
                    self._commit(object_id, kind, told, subjects, size)

    def key(self, n: int) -> str:
        """Return the key of a recording."""
        [(key,)] = duckdb.sql(f"SELECT recording_key FROM ({self._heads(n, n + 1)})").fetchall()
        return str(key)

    def _heads(self, first: int, until: int) -> str:
        """The day leads the key, as in real ones."""
        day = f"DATE '{FIRST_DAY}' + (n // {self.a_day})::INT"
        return (
            f"SELECT n, {day} AS day, strftime({day}, '%Y-%m-%d') || '-memo-' || n || '-' || left(md5(n::VARCHAR), 12) "
            f"AS recording_key, 'owner-' || hash(n) % {OWNERS} AS user_id FROM range({first}, {until}) r(n)"
        )

    def _write(self, db: duckdb.DuckDBPyConnection, kind: str, object_id: str) -> int:
        folder = self.objects / object_id
        folder.mkdir(parents=True)
        for table in TABLES:
            if table.name in _COLUMNS and (kind == table.kind or (kind, table.kind) == ("note", "outcome")):
                target = folder / f"{table.name}.parquet"
                db.execute(f"COPY ({_select(table)}) TO '{target}' (COMPRESSION zstd, ROW_GROUP_SIZE 8192)")
        return sum(file.stat().st_size for file in folder.iterdir())

    def _commit(
        self, object_id: str, kind: str, told: tuple[str, ...], subjects: list[tuple[str, str]], size: int
    ) -> None:
        with self.ledger.writing() as tx:
            seq = tx.execute(sa.select(clock.c.n)).scalar_one() + 1
            tx.execute(clock.update().values(n=seq))
            row = {"object_id": object_id, "kind": kind, "seq": seq, "size_bytes": size}
            tx.execute(commits.insert().values(**row, committed_at=COMMITTED_AT))
            placed = [
                {"subject": key, "kind": one, "seq": seq, "version": f"{one}-1", "object_id": object_id, "owner": owner}
                for key, owner in subjects
                for one in told
            ]
            tx.execute(pointers.insert(), placed)
            names = list(history.c.keys())
            tx.execute(history.insert(), [{name: row[name] for name in names} for row in placed])


def _select(table: Table) -> str:
    said = {"recording_key": "recording_key", "user_id": "user_id", "stage": f"'{table.kind}'", **_COLUMNS[table.name]}
    columns = [c for c in table.columns if getattr(c, "logged", True)]
    listed = ", ".join(f'CAST({said.get(c.name, "NULL")} AS {DUCKDB[c.type]}) AS "{c.name}"' for c in columns)
    times = _EACH.get(table.name, 1)
    return f"SELECT {listed} FROM heads, range({times}) t(s), vocabulary ORDER BY recording_key, s"
