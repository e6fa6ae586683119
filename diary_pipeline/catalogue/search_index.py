"""The search file: a SQLite FTS5 index beside the catalogue, which follows it as the catalogue follows the log.

It holds the text of every published note and transcript once more, so only its owner may read it (0600), and erasure
has to end in `compact`. Who asks it, and how, is search.py's business.

What surprises: it carries its own watermark and can always be thrown away. A file that is missing, damaged or of
another schema answers watermark 0, and the next publish fills a new one.
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from diary_pipeline.catalogue.search_documents import FIELDS, SLICE, Document, documents
from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.ledger.pointers import Pointer
from diary_pipeline.observability.logs import log

logger = log("catalogue.search_index")

SCHEMA_VERSION = 1
"""A file of another version is built anew from the published catalogue."""
BUSY_S = 30.0
"""How long a writer or `compact` waits for others; readers wait for nobody."""

# AUTOINCREMENT: vectors that were made for a document that is gone must never meet another one's text.
_DDL = (
    "CREATE TABLE state(watermark INTEGER NOT NULL, schema_version INTEGER NOT NULL)",
    f"INSERT INTO state VALUES (0, {SCHEMA_VERSION})",  # noqa: S608 - a number of this file
    "CREATE TABLE documents(id INTEGER PRIMARY KEY AUTOINCREMENT, recording_key TEXT NOT NULL UNIQUE, "
    "user_id TEXT NOT NULL, day TEXT NOT NULL, title TEXT NOT NULL, languages TEXT NOT NULL, "
    "spots TEXT NOT NULL, embedded_with TEXT)",
    "CREATE INDEX documents_owner ON documents(user_id, day)",
    # All passages of a document in one row: a row for each took nearly twice the CPU seconds to compare.
    "CREATE TABLE vectors(document INTEGER PRIMARY KEY, passages TEXT NOT NULL, vectors BLOB NOT NULL)",
    # Diacritics go, so that "Spaziergange" finds "Spaziergänge". No porter: it knows English alone (docs/search.md).
    f"CREATE VIRTUAL TABLE words USING fts5({', '.join(FIELDS)}, tokenize = 'unicode61 remove_diacritics 2')",
)
_NEW_DOCUMENT = "INSERT INTO documents(recording_key, user_id, day, title, languages, spots) VALUES (?, ?, ?, ?, ?, ?)"
_NEW_WORDS = f"INSERT INTO words(rowid, {', '.join(FIELDS)}) VALUES (?, {', '.join('?' * len(FIELDS))})"  # noqa: S608


class SearchIndex:
    """The search file at `path`; ServiceMissing where this SQLite has no FTS5, or the file cannot be written now."""

    def __init__(self, path: Path, busy_s: float = BUSY_S) -> None:
        self.path = path
        self._busy_s = busy_s
        _demand_fts5()

    def watermark(self) -> int:
        """Return the last commit that can be found; 0 also when the file is missing or cannot be used."""
        return watermark(self.path) or 0

    def follow(self, db: duckdb.DuckDBPyConnection, moved: Sequence[Pointer], head: int) -> None:
        """Replace the documents of every subject that moved by what `db` shows, and note that `head` is reached.

        A slice is one transaction, the watermark is in the last one: killed in between, the same is done again.
        """
        mark = watermark(self.path)
        if mark is None or mark > head:  # another schema, damage, or the truth of a ledger that was restored since
            self.drop()
        try:
            self._fold(db, sorted({pointer.subject for pointer in moved}) if self.path.exists() else _all(db), head)
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise ServiceMissing(
                    "search_not_written",
                    f"{self.path} cannot be written ({error}): make room or end who holds it, and publish again.",
                ) from error
            logger.warning("search_damaged")
            self.drop()
            self._fold(db, _all(db), head)

    def _fold(self, db: duckdb.DuckDBPyConnection, subjects: Sequence[str], head: int) -> None:
        slices = [subjects[start : start + SLICE] for start in range(0, len(subjects), SLICE)]
        with self.writing() as index:
            for some in slices[:-1]:
                with transaction(index):
                    _replace(index, some, documents(db, some))
            with transaction(index):
                for some in slices[-1:]:
                    _replace(index, some, documents(db, some))
                index.execute("UPDATE state SET watermark = ?", [head])

    def compact(self) -> None:
        """Leave no byte of a deleted document in the file; ServiceMissing when somebody reads without end.

        A deleted word stays in FTS5's b-tree until its segments are merged, and its page until the file is rewritten.
        """
        if watermark(self.path) is None:
            return  # nothing that we could read, and the next `follow` throws it away
        with self.writing() as index:
            index.execute("INSERT INTO words(words) VALUES ('optimize')")
            index.execute("VACUUM")
            busy, *_ = index.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise ServiceMissing(
                "search_busy", f"{self.path} is read without end, so deleted text stays in its log: try again later."
            )

    def drop(self) -> None:
        """Remove the file; the next `follow` from watermark 0 fills a new one."""
        for suffix in ("", "-wal", "-shm", "-journal"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open the file for changes, made where it is missing."""
        if not self.path.exists():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))  # SQLite's own would follow umask
        with contextlib.closing(sqlite3.connect(self.path, timeout=self._busy_s, isolation_level=None)) as index:
            index.execute("PRAGMA journal_mode = WAL")
            index.execute("PRAGMA synchronous = NORMAL")  # a lost tail is folded again: the watermark goes with it
            index.execute("PRAGMA secure_delete = ON")
            if not index.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                with transaction(index):
                    for statement in _DDL:
                        index.execute(statement)
            yield index


def watermark(path: Path) -> int | None:
    """Return the last commit in a search file; None when it is missing, damaged or of another schema."""
    if not path.exists():
        return None
    try:
        with contextlib.closing(reading(path)) as index:
            row = index.execute("SELECT watermark FROM state WHERE schema_version = ?", [SCHEMA_VERSION]).fetchone()
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
        return None
    return None if row is None else int(row[0])


def reading(path: Path) -> sqlite3.Connection:
    """Open a search file for questions; nobody is blocked by it."""
    index = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    index.execute("PRAGMA query_only = ON")
    return index


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Tell a file that is no index of ours from one that is only busy, or a disk that is full."""
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _all(db: duckdb.DuckDBPyConnection) -> Sequence[str]:
    found = db.execute("SELECT recording_key FROM notes UNION SELECT recording_key FROM segments ORDER BY 1")
    return [row[0] for row in found.fetchall()]


@contextlib.contextmanager
def transaction(index: sqlite3.Connection) -> Iterator[None]:
    """Change the file as a whole or not at all."""
    index.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        index.execute("ROLLBACK")
        raise
    index.execute("COMMIT")


def _replace(index: sqlite3.Connection, subjects: Sequence[str], there: Iterator[Document]) -> None:
    for subject in subjects:
        row = index.execute("SELECT id FROM documents WHERE recording_key = ?", [subject]).fetchone()
        if row is not None:
            index.execute("DELETE FROM words WHERE rowid = ?", row)
            index.execute("DELETE FROM vectors WHERE document = ?", row)
            index.execute("DELETE FROM documents WHERE id = ?", row)
    for document in there:
        spots = json.dumps({name: spots for name, spots in document.spots.items() if spots}, separators=(",", ":"))
        languages = " ".join(document.languages)
        head = (document.recording_key, document.user_id, document.day, document.title, languages, spots)
        number = index.execute(_NEW_DOCUMENT, head).lastrowid
        index.execute(_NEW_WORDS, (number, *("\n".join(document.lines[name]) for name in FIELDS)))


def _demand_fts5() -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as probe:
        try:
            probe.execute("CREATE VIRTUAL TABLE probe USING fts5(text)")
        except sqlite3.OperationalError as error:
            raise ServiceMissing(
                "fts5_missing",
                f"This Python's SQLite {sqlite3.sqlite_version} has no FTS5, which search needs: use a Python whose "
                "SQLite was built with it.",
            ) from error
