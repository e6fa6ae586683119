"""How a ledger's schema comes into being and grows. One numbered step a version; steps are never edited once released.

What the tables mean stands in tables.py. The surprise: SQLite and PostgreSQL both change schemas inside a transaction,
so a step that dies leaves nothing behind, and of many processes that open a new ledger one does the work. A new ledger
gets the tables of today from the first step, so later steps look before they add.
"""

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from diary_pipeline.core.errors import UsageError
from diary_pipeline.ledger.connect import Ledger, queue
from diary_pipeline.ledger.identity import begin_identity
from diary_pipeline.ledger.job_versions import at_their_end
from diary_pipeline.ledger.tables import (
    ERASURE_TABLES,
    LANES,
    LLM_TABLES,
    batch_items_recording,
    clock,
    history,
    identity,
    metadata,
    pointers,
    pointers_made_with,
    publications,
    recordings,
    recordings_created,
    recordings_with_audio,
    replaced_objects,
    schema_version,
    submissions,
    submissions_turn,
    submissions_waiting,
    work,
)
from diary_pipeline.ledger.tables_jobs import JOB_INDICES, JOB_TABLES
from diary_pipeline.ledger.tables_uploads import UPLOAD_TABLES
from diary_pipeline.ledger.turns import line_up

Step = Callable[[sa.Connection], None]


def _create(tx: sa.Connection) -> None:
    metadata.create_all(tx)
    tx.execute(clock.insert().values(id=1, n=0))


def _vocabulary_of_recordings(tx: sa.Connection) -> None:
    if not _has(tx, recordings.c.vocabulary):
        tx.exec_driver_sql("ALTER TABLE recordings ADD COLUMN vocabulary JSON NOT NULL DEFAULT '[]'")


def _language_models(tx: sa.Connection) -> None:
    metadata.create_all(tx, tables=LLM_TABLES)


def _what_notes_were_made_with(tx: sa.Connection) -> None:
    for column, kind in ((pointers.c.made_with, "TEXT"), (pointers.c.again_at, "FLOAT")):
        if not _has(tx, column):
            tx.exec_driver_sql(f"ALTER TABLE pointers ADD COLUMN {column.name} {kind}")
    pointers_made_with.create(tx, checkfirst=True)


def _what_earlier_notes_were_made_with(tx: sa.Connection) -> None:
    if not _has(tx, history.c.made_with):
        tx.exec_driver_sql("ALTER TABLE history ADD COLUMN made_with TEXT")


def _retention(tx: sa.Connection) -> None:
    if not _has(tx, recordings.c.audio_removed_at):
        tx.exec_driver_sql("ALTER TABLE recordings ADD COLUMN audio_removed_at FLOAT")
    for index in (recordings_with_audio, recordings_created):
        index.create(tx, checkfirst=True)


_CARRIED_OVER = """INSERT INTO publications (place, watermark, published_at)
SELECT '', watermark, published_at FROM published"""


def _one_publication_a_place(tx: sa.Connection) -> None:
    publications.create(tx, checkfirst=True)
    if sa.inspect(tx).has_table("published"):
        tx.exec_driver_sql(_CARRIED_OVER)
        tx.exec_driver_sql("DROP TABLE published")


def _objects_that_were_replaced(tx: sa.Connection) -> None:
    metadata.create_all(tx, tables=[replaced_objects])


def _erasures(tx: sa.Connection) -> None:
    metadata.create_all(tx, tables=ERASURE_TABLES)
    batch_items_recording.create(tx, checkfirst=True)


def _an_identity(tx: sa.Connection) -> None:
    metadata.create_all(tx, tables=[identity])
    begin_identity(tx)


def _which_publications_are_compacted(tx: sa.Connection) -> None:
    if not _has(tx, publications.c.compacted_seq):
        tx.exec_driver_sql("ALTER TABLE publications ADD COLUMN compacted_seq BIGINT NOT NULL DEFAULT 0")


def _jobs(tx: sa.Connection) -> None:
    kept = "VIRTUAL" if tx.dialect.name == "sqlite" else "STORED"  # the one that each can add
    added = (
        (submissions.c.not_before, "FLOAT NOT NULL DEFAULT 0"),
        (submissions.c.attempts, "INTEGER NOT NULL DEFAULT 0"),
        (submissions.c.fetching_since, "FLOAT"),
        (submissions.c.received_bytes, "BIGINT"),
        (submissions.c.expected_bytes, "BIGINT"),
        (submissions.c.lane, f"INTEGER GENERATED ALWAYS AS ({LANES}) {kept}"),
        (submissions.c.transcript_version, "TEXT"),
        (submissions.c.note_version, "TEXT"),
        (work.c.retries, "INTEGER NOT NULL DEFAULT 0"),
        (work.c.done_s, "FLOAT"),
    )
    for column, kind in added:
        if not _has(tx, column):
            tx.exec_driver_sql(f"ALTER TABLE {column.table.name} ADD COLUMN {column.name} {kind}")
    tx.execute(sa.schema.DropIndex(submissions_waiting, if_exists=True))  # of one lane; step 13 makes today's
    metadata.create_all(tx, tables=(*JOB_TABLES, *UPLOAD_TABLES))
    for index in JOB_INDICES:  # not by looking first: SQLAlchemy cannot read back an index of an expression
        tx.execute(sa.schema.CreateIndex(index, if_not_exists=True))
    tx.execute(submissions.update().where(submissions.c.commit_seq.is_not(None)).values(at_their_end()))


def _turns(tx: sa.Connection) -> None:
    if not _has(tx, submissions.c.turn_at):
        tx.exec_driver_sql("ALTER TABLE submissions ADD COLUMN turn_at FLOAT NOT NULL DEFAULT 0")
    line_up(tx)
    for index in (submissions_waiting, submissions_turn):  # one of the same name may be there, of other columns
        tx.execute(sa.schema.DropIndex(index, if_exists=True))
        tx.execute(sa.schema.CreateIndex(index))


STEPS: Sequence[Step] = (
    _create,
    _vocabulary_of_recordings,
    _language_models,
    _what_notes_were_made_with,
    _what_earlier_notes_were_made_with,
    _retention,
    _one_publication_a_place,
    _objects_that_were_replaced,
    _erasures,
    _an_identity,
    _which_publications_are_compacted,
    _jobs,
    _turns,
)
"""Step n brings version n - 1 to version n."""


def migrate(ledger: Ledger, steps: Sequence[Step] = STEPS) -> int:
    """Bring the schema to the version of `steps` and return it; nothing happens when it is there already."""
    with ledger.reading() as conn:
        if _version(conn, len(steps)) == len(steps):
            return len(steps)
    with ledger.writing() as tx:
        queue(tx, "migrations")
        for number in range(_version(tx, len(steps)) + 1, len(steps) + 1):
            steps[number - 1](tx)
            tx.execute(schema_version.insert().values(version=number))
    return len(steps)


def _has(conn: sa.Connection, column: sa.Column[object]) -> bool:
    return any(there["name"] == column.name for there in sa.inspect(conn).get_columns(column.table.name))


def _version(conn: sa.Connection, known: int) -> int:
    if not sa.inspect(conn).has_table(schema_version.name):
        return 0
    there = int(conn.execute(sa.select(sa.func.max(schema_version.c.version))).scalar() or 0)
    if there > known:
        raise UsageError(
            "ledger_newer",
            f"The ledger has schema version {there}, this program knows {known}: install the newer diary_pipeline.",
        )
    return there
