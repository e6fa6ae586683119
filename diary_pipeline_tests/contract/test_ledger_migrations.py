"""A ledger of any version there was becomes one of today, and keeps what is in it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.migrations import STEPS
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.tables import (
    ERASURE_TABLES,
    LLM_TABLES,
    batch_items_recording,
    identity,
    metadata,
    pointers_made_with,
    publications,
    recordings_created,
    recordings_with_audio,
    replaced_objects,
    schema_version,
    submissions_turn,
    submissions_waiting,
)
from diary_pipeline.ledger.tables_jobs import JOB_INDICES, JOB_TABLES
from diary_pipeline.ledger.tables_uploads import UPLOAD_TABLES, refused_uploads
from diary_pipeline_tests.builders import make_recording
from diary_pipeline_tests.contract.test_ledger_submissions import submit

Undo = Callable[[sa.Connection], object]


def _without_vocabulary(tx: sa.Connection) -> None:
    tx.exec_driver_sql("ALTER TABLE recordings DROP COLUMN vocabulary")


def _without_language_models(tx: sa.Connection) -> None:
    metadata.drop_all(tx, tables=LLM_TABLES)


def _without_made_with(tx: sa.Connection) -> None:
    pointers_made_with.drop(tx)
    for column in ("made_with", "again_at"):
        tx.exec_driver_sql(f"ALTER TABLE pointers DROP COLUMN {column}")


def _without_earlier_made_with(tx: sa.Connection) -> None:
    tx.exec_driver_sql("ALTER TABLE history DROP COLUMN made_with")


def _without_retention(tx: sa.Connection) -> None:
    recordings_with_audio.drop(tx)
    recordings_created.drop(tx)
    tx.exec_driver_sql("ALTER TABLE recordings DROP COLUMN audio_removed_at")


def _with_one_publication(tx: sa.Connection) -> None:
    publications.drop(tx)
    tx.exec_driver_sql("CREATE TABLE published (id INTEGER PRIMARY KEY, watermark BIGINT, published_at FLOAT)")
    tx.exec_driver_sql("INSERT INTO published VALUES (1, 0, 0.0)")


def _without_replaced_objects(tx: sa.Connection) -> None:
    replaced_objects.drop(tx)


def _without_erasures(tx: sa.Connection) -> None:
    batch_items_recording.drop(tx)
    metadata.drop_all(tx, tables=ERASURE_TABLES)


def _without_identity(tx: sa.Connection) -> None:
    identity.drop(tx)


def _without_compactions(tx: sa.Connection) -> None:
    tx.exec_driver_sql("ALTER TABLE publications DROP COLUMN compacted_seq")


def _without_jobs(tx: sa.Connection) -> None:
    for index in JOB_INDICES:
        index.drop(tx)
    submissions_waiting.drop(tx)
    submissions_turn.drop(tx)
    metadata.drop_all(tx, tables=(*JOB_TABLES, *UPLOAD_TABLES))
    of_versions = ("transcript_version", "note_version")
    of_fetching = "lane turn_at not_before attempts fetching_since received_bytes expected_bytes".split()
    for name in (*of_versions, *of_fetching):
        tx.exec_driver_sql(f"ALTER TABLE submissions DROP COLUMN {name}")
    for name in ("retries", "done_s"):
        tx.exec_driver_sql(f"ALTER TABLE work DROP COLUMN {name}")


def _without_contents_of_refused_uploads(tx: sa.Connection) -> None:
    refused_uploads.drop(tx)


UNDO: Sequence[Undo] = (
    _without_vocabulary,
    _without_language_models,
    _without_made_with,
    _without_earlier_made_with,
    _without_retention,
    _with_one_publication,
    _without_replaced_objects,
    _without_erasures,
    _without_identity,
    _without_compactions,
    _without_jobs,
    _without_contents_of_refused_uploads,
)
"""What steps 2, 3, ... brought, taken away: the ledger that a program of the version before knew."""


def shape(conn: sa.Connection) -> dict[str, Any]:
    """Give tables, columns and indexes, whatever their order; SQLAlchemy cannot read back an index of expressions."""
    inspector = sa.inspect(conn)
    where = "sqlite_master WHERE type = 'index'" if conn.dialect.name == "sqlite" else "pg_indexes"
    table_of, name_of = ("tbl_name", "name") if conn.dialect.name == "sqlite" else ("tablename", "indexname")
    indexes = conn.exec_driver_sql(f"SELECT {table_of}, {name_of} FROM {where}").tuples().all()
    return {
        table: (
            {c["name"]: (str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)},
            sorted(index for of, index in indexes if of == table),
        )
        for table in inspector.get_table_names()
    }


def test_every_step_can_be_taken_away_for_these_tests() -> None:
    assert len(UNDO) == len(STEPS) - 1, "say in UNDO what the new step brought"


@pytest.mark.parametrize("version", range(1, len(UNDO) + 2))
def test_a_ledger_of_that_version_becomes_one_of_today(ledger: Ledger, ledger_url: str, version: int) -> None:
    first = submit(ledger)
    memo = make_recording(submission_id=first)
    recordings.accept(ledger, first, memo, 1, 60)
    with ledger.reading() as conn:
        today = shape(conn)
    with ledger.writing() as tx:
        for undo in reversed(UNDO[version - 1 :]):
            undo(tx)
        tx.execute(schema_version.delete().where(schema_version.c.version > version))
    with ledger.reading() as conn:
        assert (shape(conn) == today) == (version == len(STEPS))
    ledger.close()
    again = open_ledger(ledger_url)
    with again.reading() as conn:
        assert shape(conn) == today
        assert [row.recording for row in recordings.rows(conn, [memo.key])] == [memo]
    again.close()
