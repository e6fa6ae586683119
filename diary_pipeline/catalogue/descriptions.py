"""What each table, view and column of the published file means: the comments inside it, and docs/catalogue.md.

Meanings of stored columns stand in schema.py; here stand those of the views that compute. A column that a view passes
on keeps the meaning it has where it is stored, so it is said once. Types are asked of DuckDB, which binds the views.

What surprises: nothing here is needed to fold. `DESCRIBE` shows no comments; `duckdb_columns()` and
`diary sql --schema` do.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from diary_pipeline.catalogue.schema import COMMIT_SEQ, STATE, TABLES, Table

PUBLIC = "main"
"""Schema of the views by which users know the tables."""


@dataclass(frozen=True)
class Description:
    """A public table or view: what one row of it is, and what each column means."""

    name: str
    row: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Computed:
    """A view whose rows are computed from stored ones, or the row that tells of the file itself."""

    name: str
    row: str
    passes_on: Sequence[Table]
    """Where columns come from whose meaning stays; the first that has one of that name."""
    own: Mapping[str, str]

    @property
    def description(self) -> Description:
        """Its description; of the columns passed on, all that it may have."""
        meanings = {c.name: c.meaning for t in reversed(self.passes_on) for c in (*t.columns, COMMIT_SEQ)}
        return Description(self.name, self.row, {**meanings, **self.own})


def _table(name: str) -> Table:
    return next(t for t in TABLES if t.name == name)


COMPUTED = (
    Computed(
        "recording_costs",
        "a recording, and what language models cost for its note",
        (_table("recordings"),),
        {
            "attempts": "language model calls for it, answers taken from what was kept included",
            "unpriced_attempts": "of those, calls whose price nobody knows",
            "cost_usd": "US dollars of the attempts whose price is known",
            "usd_per_audio_hour": "US dollars by hour of its audio; NULL: a price or the duration is unknown",
        },
    ),
    Computed(
        "action_items",
        "an action of a note, open until a later entry of the same person says that it is done or dropped",
        (_table("note_items"), _table("notes")),
        {
            "status": "open, done or dropped",
            "done_date": "when it was done or dropped, by what was said; NULL: open",
            "done_recording_key": "the recording in which that was said; NULL: open",
            "done_segment_id": "the segment of that recording in which it was said",
            "done_start_s": "seconds from the start of that recording",
            "done_end_s": "seconds from the start of that recording",
            "done_quote": "word for word from that segment",
        },
    ),
    Computed(
        "catalogue_state",
        "the file itself; always one row",
        (),
        {c.name: c.meaning for c in STATE},
    ),
)
"""A test holds these against what the file has, both ways."""


def descriptions() -> Mapping[str, Description]:
    """Describe all public tables and views, by name."""
    shown = [t for t in TABLES if t.published and any(statement.startswith("CREATE VIEW") for statement in t.ddl)]
    stored = (Description(t.name, t.row, {c.name: c.meaning for c in t.visible}) for t in shown)
    return {d.name: d for d in (*stored, *(c.description for c in COMPUTED))}


def comment(db: duckdb.DuckDBPyConnection) -> None:
    """Write the descriptions into an open catalogue, as comments on its tables, views and their columns."""
    db.execute(";\n".join(_statements(db)))


def _statements(db: duckdb.DuckDBPyConnection) -> Iterator[str]:
    known = descriptions()
    views = {(str(schema), str(name)) for schema, name in db.execute(_VIEWS).fetchall()}
    for schema, name, columns in db.execute(_COLUMNS).fetchall():
        if described := known.get(name):
            kind = "VIEW" if (schema, name) in views else "TABLE"
            yield f"COMMENT ON {kind} {schema}.{name} IS {quoted(described.row)}"
            for column in columns:
                if meaning := described.columns.get(column):
                    yield f'COMMENT ON COLUMN {schema}.{name}."{column}" IS {quoted(meaning)}'


_COLUMNS = """
SELECT schema_name, table_name, list(column_name ORDER BY column_index) FROM duckdb_columns()
WHERE NOT internal AND database_name = current_database() GROUP BY ALL ORDER BY ALL
"""
_VIEWS = "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal AND database_name = current_database()"


def quoted(text: str) -> str:
    """Write a text as a literal of SQL, where no parameter is allowed."""
    return "'" + text.replace("'", "''") + "'"
