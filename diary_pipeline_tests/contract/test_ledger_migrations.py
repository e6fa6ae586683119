"""A ledger of any version there was becomes one of today, and keeps what is in it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from diary_pipeline.ledger import recordings, submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.migrations import STEPS
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.planner import DEFAULT_AUDIO_S
from diary_pipeline.ledger.submissions import NewFile
from diary_pipeline.ledger.tables import (
    ERASURE_TABLES,
    LLM_TABLES,
    NOT_WHOLE,
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
from diary_pipeline.ledger.tables import submissions as table
from diary_pipeline.ledger.tables_jobs import JOB_INDICES, JOB_TABLES
from diary_pipeline.ledger.tables_uploads import UPLOAD_TABLES
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
    tx.exec_driver_sql("DROP INDEX submissions_waiting")
    metadata.drop_all(tx, tables=(*JOB_TABLES, *UPLOAD_TABLES))
    of_versions = ("transcript_version", "note_version")
    of_fetching = "lane not_before attempts fetching_since received_bytes expected_bytes".split()
    for name in (*of_versions, *of_fetching):
        tx.exec_driver_sql(f"ALTER TABLE submissions DROP COLUMN {name}")
    for name in ("retries", "done_s"):
        tx.exec_driver_sql(f"ALTER TABLE work DROP COLUMN {name}")
    tx.exec_driver_sql(
        f"CREATE INDEX submissions_waiting ON submissions (status, priority DESC, created_at) {_WAITING}"
    )


_WAITING = "WHERE status = 'pending' AND recording_key IS NULL"


def _without_turns(tx: sa.Connection) -> None:
    submissions_turn.drop(tx)
    submissions_waiting.drop(tx)
    tx.exec_driver_sql("ALTER TABLE submissions DROP COLUMN turn_at")
    columns = "status, lane, priority, not_before, created_at"
    tx.exec_driver_sql(f"CREATE INDEX submissions_waiting ON submissions ({columns}) {_WAITING}")


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
    _without_turns,
)
"""What steps 2, 3, ... brought, taken away: the ledger that a program of the version before knew."""


def shape(conn: sa.Connection) -> dict[str, Any]:
    """Give tables, columns and the SQL of indexes, whatever their order; SQLAlchemy cannot read back each of them."""
    inspector = sa.inspect(conn)
    told = "tbl_name, name, sql FROM sqlite_master WHERE type = 'index'"
    if conn.dialect.name == "postgresql":
        told = "tablename, indexname, indexdef FROM pg_indexes"
    indexes = conn.exec_driver_sql(f"SELECT {told}").tuples().all()
    return {
        table: (
            {c["name"]: (str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)},
            {name: sql for of, name, sql in indexes if of == table},
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


def test_what_waited_before_there_were_turns_gets_them_as_if_it_came_in_today(ledger: Ledger, ledger_url: str) -> None:
    asked = {"source": "folder", "options": {}}
    many = [NewFile(f"{n:032x}", f"file:///a/{n}", f"{n}.m4a", 1, 1) for n in range(4)]
    submissions.submit_files(ledger, many, owner="anna", **asked)
    submissions.submit_files(ledger, [replace(many[0], id="b" * 32)], owner="ben", **asked)
    for id, uri in (("c" * 32, "https://a.example/1"), ("d" * 32, "upload:1"), ("e" * 32, "upload:2")):
        submissions.submit(ledger, owner="anna", uri=uri, file_name="1.m4a", id=id, **asked)
    half = (table.c.id == "d" * 32, {"not_before": NOT_WHOLE})
    ended = (table.c.id == many[3].id, {"status": "refused", "turn_at": 0.0})
    turns = sa.select(table.c.id, table.c.turn_at).order_by(table.c.id)
    with ledger.writing() as tx:
        for which, values in (half, ended):
            tx.execute(table.update().where(which).values(**values))
        today = dict(tx.execute(turns).tuples().all())
        # Nobody ended before the later ones came in, so these stand one further than without it.
        today |= {id: today[id] - DEFAULT_AUDIO_S for id in ("d" * 32, "e" * 32)}
        _without_turns(tx)
        tx.execute(schema_version.delete().where(schema_version.c.version > 12))
    ledger.close()
    again = open_ledger(ledger_url)
    with again.reading() as conn:
        assert dict(conn.execute(turns).tuples().all()) == pytest.approx(today, abs=0.01)
        assert [s.owner for s in submissions.waiting(conn, 3)] == ["anna", "ben", "anna"]
    again.close()
