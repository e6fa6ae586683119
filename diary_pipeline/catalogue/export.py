"""A diary as one `.duckdb` file of its own: everything of the published one, or one person's, or some days.

The same tables, views and comments, so what asks the catalogue asks an export. As Parquet or CSV: export_files.py.
Where an export may lie, and what becomes of it when a recording is erased, is upkeep/exports.py's business.

What surprises: rows are copied into a new file. A copy of the published file with rows deleted would still hold other
people's words in its bytes.
"""

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from diary_pipeline.catalogue import fold
from diary_pipeline.catalogue.descriptions import quoted
from diary_pipeline.catalogue.schema import DATA, TABLES
from diary_pipeline.catalogue.state import OFFLINE
from diary_pipeline.core.errors import NotFound, ServiceMissing

MARTS = "marts"
SUBJECTS = ("recording_key", "submission_id", "done_recording_key")
"""Columns that name whose words stand in a row."""
STATE = "export_state"
_STATE = f"""CREATE TABLE {STATE}(made_at TIMESTAMP, user_id VARCHAR, since DATE, until DATE);
COMMENT ON TABLE {STATE} IS 'what this export is; always one row';
COMMENT ON COLUMN {STATE}.made_at IS 'when it was made, UTC';
COMMENT ON COLUMN {STATE}.user_id IS 'whose diary alone it holds; NULL: everybody''s';
COMMENT ON COLUMN {STATE}.since IS 'first day it holds; NULL: from the beginning';
COMMENT ON COLUMN {STATE}.until IS 'last day it holds; NULL: to the end';
"""
_WORDS = """
CREATE TABLE words(recording_key VARCHAR, user_id VARCHAR, segment_id INTEGER, word_id INTEGER, text VARCHAR,
  start_s DOUBLE, end_s DOUBLE, probability DOUBLE);
COMMENT ON TABLE words IS 'a word of a segment';
COMMENT ON COLUMN words.word_id IS 'counts from 0 within the segment';
COMMENT ON COLUMN words.start_s IS 'seconds from the start of the recording';
COMMENT ON COLUMN words.end_s IS 'seconds from the start of the recording';
COMMENT ON COLUMN words.probability IS '0 to 1; NULL: unknown';
"""


@dataclass(frozen=True)
class Selection:
    """Which part of the diary. Days are those that notes tell of, or of the recording where there is no note."""

    user: str | None = None
    since: dt.date | None = None
    until: dt.date | None = None

    @property
    def of_days(self) -> bool:
        """Whether it leaves out days."""
        return self.since is not None or self.until is not None


WordFiles = Callable[[Collection[str], int], Sequence[tuple[str, Path]]]
"""From recording keys and a watermark to (key, Parquet file of its segments in the log); those without are left out."""
OnTable = Callable[[str, int], None]
"""Hears of each table that is written, and how many rows it has."""


def export_database(
    live: Path, part: Path, selection: Selection, words: WordFiles | None = None, on_table: OnTable = lambda *_: None
) -> None:
    """Write the selection into a new DuckDB file; NotFound when nothing is published.

    Marts come along where they tell whose each row is; of some days only those that tell of which recording, too.
    """
    if not live.exists():
        raise NotFound("catalogue_missing", f"Nothing has been published to {live} yet; run `diary publish` first.")
    with duckdb.connect(str(part), config=dict(OFFLINE)) as db:
        fold.create(db)
        db.execute(_STATE)
        db.execute(f"ATTACH {quoted(str(live))} AS source (READ_ONLY)")
        at = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        chosen = [at, selection.user, selection.since, selection.until]
        db.execute(f"INSERT INTO {STATE} VALUES (?, ?, ?, ?)", chosen)  # noqa: S608
        db.execute("INSERT INTO catalogue_state BY NAME SELECT * FROM source.main.catalogue_state")
        _Copying(db, selection, on_table).run()
        if words:
            on_table("words", _add_words(db, words))
        db.execute("DETACH source")
        db.execute("CHECKPOINT")


class _Copying:
    """From `source` into the open file."""

    def __init__(self, db: duckdb.DuckDBPyConnection, selection: Selection, on_table: OnTable) -> None:
        self.db = db
        self.selection = selection
        self.on_table = on_table

    def run(self) -> None:
        if self.selection.of_days:
            self._choose()
        for name in dict.fromkeys(t.name for t in TABLES if t.published):
            if columns := self._columns("main", name):
                self._copy(f"INSERT INTO {DATA}.{name} BY NAME", "main", name, columns)
        marts = self.db.execute(_OF_SOURCE, [MARTS]).fetchall()
        if marts:
            self.db.execute(f"CREATE SCHEMA {MARTS}")
        for (name,) in marts:
            columns = self._columns(MARTS, name)
            if self._copy(f'CREATE TABLE {MARTS}."{name}" AS', MARTS, name, columns):
                self._comment(name)

    def _choose(self) -> None:
        days = [self.selection.since or dt.date.min, self.selection.until or dt.date.max]
        self.db.execute("CREATE TEMP TABLE chosen(recording_key VARCHAR)")
        self.db.execute(
            "INSERT INTO chosen SELECT r.recording_key FROM source.main.recordings r "
            "LEFT JOIN source.main.notes n USING (recording_key) "
            "WHERE r.recording_key IS NOT NULL AND coalesce(n.note_date, r.recorded_day) BETWEEN ? AND ?",
            days,
        )

    def _columns(self, schema: str, name: str) -> set[str]:
        return {column for (column,) in self.db.execute(_COLUMNS, [schema, name]).fetchall()}

    def _copy(self, into: str, schema: str, name: str, columns: Collection[str]) -> bool:
        """Copy the selected rows of a table; False: it does not say which those are, so none are."""
        wanted: list[tuple[str, list[object]]] = []
        if self.selection.user is not None:
            if "user_id" not in columns:
                return False
            wanted.append(("user_id = ?", [self.selection.user]))
        if self.selection.of_days:
            if "recording_key" not in columns:
                return False
            wanted.append(("recording_key IN (FROM chosen)", []))
        where = " AND ".join(condition for condition, _ in wanted) or "true"
        self.db.execute(
            f'{into} SELECT * FROM source.{schema}."{name}" WHERE {where}',  # noqa: S608 - names of the file itself
            [value for _, values in wanted for value in values],
        )
        place = DATA if schema == "main" else schema
        [(rows,)] = self.db.execute(f'SELECT count(*) FROM {place}."{name}"').fetchall()  # noqa: S608
        self.on_table(name, int(rows))
        return True

    def _comment(self, mart: str) -> None:
        for (said,) in self.db.execute(_COMMENT, [MARTS, mart]).fetchall():
            self.db.execute(f'COMMENT ON TABLE {MARTS}."{mart}" IS {quoted(said)}')
        for column, said in self.db.execute(_COMMENTS, [MARTS, mart]).fetchall():
            self.db.execute(f'COMMENT ON COLUMN {MARTS}."{mart}"."{column}" IS {quoted(said)}')


_OF_SOURCE = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'source' AND schema_name = ? ORDER BY 1"
_COLUMNS = (
    "SELECT column_name FROM duckdb_columns() "
    "WHERE database_name = 'source' AND schema_name = ? AND table_name = ? ORDER BY column_index"
)
_COMMENT = (
    "SELECT comment FROM duckdb_tables() "
    "WHERE database_name = 'source' AND schema_name = ? AND table_name = ? AND comment IS NOT NULL"
)
_COMMENTS = (
    "SELECT column_name, comment FROM duckdb_columns() "
    "WHERE database_name = 'source' AND schema_name = ? AND table_name = ? AND comment IS NOT NULL"
)
WORDS_AT_ONCE = 5_000
"""Recordings whose words are read in one go; bounds the memory."""


def _add_words(db: duckdb.DuckDBPyConnection, files: WordFiles) -> int:
    db.execute(_WORDS)
    [(watermark,)] = db.execute("SELECT watermark FROM catalogue_state").fetchall()
    keys = [k for (k,) in db.execute("SELECT DISTINCT recording_key FROM segments ORDER BY 1").fetchall()]
    for start in range(0, len(keys), WORDS_AT_ONCE):
        placed = [(key, str(path)) for key, path in files(keys[start : start + WORDS_AT_ONCE], watermark)]
        if not placed:
            continue
        subject, path = (list(column) for column in zip(*placed, strict=True))
        db.register("placed", pa.table({"subject": subject, "path": path}))
        db.execute(
            "INSERT INTO words SELECT recording_key, user_id, segment_id, word_id, w.text, w.start_s, w.end_s, "
            "w.probability FROM (SELECT s.recording_key, s.user_id, s.segment_id, unnest(s.words) AS w, "
            "generate_subscripts(s.words, 1) - 1 AS word_id "
            "FROM read_parquet(?, union_by_name = true, filename = true) s "
            "JOIN placed p ON p.path = s.filename AND p.subject = s.recording_key) ORDER BY ALL",
            [sorted(set(path))],
        )
        db.unregister("placed")
    [(rows,)] = db.execute("SELECT count(*) FROM words").fetchall()
    return int(rows)


def is_export(file: Path) -> bool:
    """Tell whether a file is an export of ours; ServiceMissing when somebody has it open to write, so nobody knows."""
    try:
        with duckdb.connect(str(file), read_only=True, config=dict(OFFLINE)) as db:
            return bool(db.execute(f"SELECT 1 FROM {STATE}").fetchall())  # noqa: S608
    except duckdb.Error as error:
        if "lock" in str(error):
            raise ServiceMissing("export_in_use", f"{file} is open elsewhere: close it, then try again.") from error
        return False


def without(file: Path, part: Path, subjects: Collection[str]) -> int:
    """Write an export anew without some recordings and refused submissions; return how many rows are gone.

    Marts are left out whole: they sum up what may not be there any more.
    """
    gone = 0
    with duckdb.connect(str(part), config=dict(OFFLINE)) as db:
        fold.create(db)
        db.execute(_STATE)
        db.execute(f"ATTACH {quoted(str(file))} AS source (READ_ONLY)")
        db.register("gone", pa.table({"subject": pa.array(sorted(subjects), pa.string())}))
        if there := db.execute(_COLUMNS, ["main", "words"]).fetchall():
            db.execute(_WORDS)
        stored = [(f"{DATA}.{t}", t) for t in dict.fromkeys(t.name for t in TABLES if t.published)]
        rest = [("catalogue_state", "catalogue_state"), (STATE, STATE), *([("words", "words")] if there else [])]
        for place, name in (*stored, *rest):
            columns = {column for (column,) in db.execute(_COLUMNS, ["main", name]).fetchall()}
            if columns:
                kept = unnamed(columns)
                db.execute(f"INSERT INTO {place} BY NAME SELECT * FROM source.main.{name} WHERE {kept}")  # noqa: S608
                counts = f"(SELECT count(*) FROM source.main.{name}) - (SELECT count(*) FROM {place})"  # noqa: S608
                gone += int(db.execute(f"SELECT {counts}").fetchall()[0][0])
        db.execute("DETACH source")
        db.execute("CHECKPOINT")
    return gone


def unnamed(columns: Collection[str]) -> str:
    """Give the condition of SQL under which a row names none of the registered `gone` subjects."""
    naming = [name for name in SUBJECTS if name in columns]
    return " AND ".join(f"({name} IS NULL OR {name} NOT IN (FROM gone))" for name in naming) or "true"
