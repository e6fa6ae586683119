"""The file tells what it holds."""

from collections.abc import Iterator

import duckdb
import pytest

from diary_pipeline.catalogue import fold
from diary_pipeline.catalogue.descriptions import COMPUTED, descriptions


@pytest.fixture
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty catalogue."""
    with duckdb.connect() as opened:
        fold.create(opened)
        yield opened


def test_every_column_that_users_see_is_described_in_the_file(db: duckdb.DuckDBPyConnection) -> None:
    silent = db.execute(
        "SELECT table_name, column_name FROM duckdb_columns() "
        "WHERE NOT internal AND schema_name = 'main' AND coalesce(comment, '') = ''"
    ).fetchall()
    assert not silent, "say in catalogue/schema.py or descriptions.py what they mean"


def test_every_table_and_view_says_what_a_row_of_it_is(db: duckdb.DuckDBPyConnection) -> None:
    of_view = "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"
    of_table = "SELECT table_name, comment FROM duckdb_tables() WHERE schema_name = 'main'"
    told = dict(db.execute(f"{of_view} UNION ALL {of_table}").fetchall())
    assert told == {name: d.row for name, d in descriptions().items()}


def test_no_column_is_described_that_is_not_there(db: duckdb.DuckDBPyConnection) -> None:
    there = set(
        db.execute("SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'main'").fetchall()
    )
    assert {(c.name, own) for c in COMPUTED for own in c.own} <= there


def test_a_column_that_a_view_passes_on_keeps_its_meaning(db: duckdb.DuckDBPyConnection) -> None:
    said = (
        "SELECT comment FROM duckdb_columns() WHERE schema_name = 'main' AND column_name = 'quote' AND table_name = ?"
    )
    [of_item], [of_action] = (db.execute(said, [t]).fetchone() for t in ("note_items", "action_items"))
    assert of_item == of_action == "word for word from that segment"
