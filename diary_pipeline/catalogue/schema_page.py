"""The schema as people read it: docs/catalogue.md, written from schema.py and descriptions.py.

Nothing is decided here. `make catalogue-docs` writes the page; a house test fails when it is not current.
"""

from collections.abc import Iterator
from pathlib import Path

import duckdb

from diary_pipeline.catalogue import fold
from diary_pipeline.catalogue.descriptions import PUBLIC, descriptions
from diary_pipeline.catalogue.schema import SCHEMA_VERSION, TABLES

PAGE = "docs/catalogue.md"
HEADER = f"""\
# The catalogue

Generated from `diary_pipeline/catalogue/schema.py` and `descriptions.py` by `make catalogue-docs`; change it there.

`catalogue.duckdb` below `DIARY_HOME` holds everything a recording became. It is replaced as a whole with every publish,
so whoever has it open keeps what it was, and whoever opens it sees the newest. The descriptions stand in the file too:
`diary sql --schema notes`, or `SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'notes'`.

Ask the views in schema `{PUBLIC}`; what lies behind them (schema `data`) may move. Tables are joined by
`recording_key`, and by `segment_id` within a recording. Instants (`_at`) are UTC without a zone, seconds (`_s`) count
from the start of the recording, money is US dollars. A name that is here is never renamed; columns and tables may be
added. This is schema version {SCHEMA_VERSION}. docs/exports.md tells how a diary leaves it.
"""  # noqa: S608 - a page
_KINDS = {
    "transcript": "with each transcript",
    "note": "with each note",
    "outcome": "whenever a recording has ended",
    "correction": "with each correction",
}


def page() -> str:
    """Write docs/catalogue.md."""
    return "\n".join([HEADER, *_tables()])


def _tables() -> Iterator[str]:
    comes = {t.name: [_KINDS[s.kind] for s in TABLES if s.name == t.name] for t in TABLES if t.published}
    known = descriptions()
    with duckdb.connect() as db:
        fold.create(db)
        columns = db.execute(
            "SELECT table_name, list([column_name, data_type] ORDER BY column_index) FROM duckdb_columns() "
            "WHERE schema_name = ? AND NOT internal GROUP BY ALL",
            [PUBLIC],
        ).fetchall()
    types = dict(columns)
    for name, described in known.items():
        source = f" Rows come {' and '.join(comes[name])}." if name in comes else " Computed when it is asked."
        told = "" if name == "catalogue_state" else source
        yield f"## {name}\n\nOne row is {described.row}.{told}\n\n| column | type | meaning |\n|---|---|---|"
        yield from (f"| `{c}` | {kind} | {described.columns.get(c, '')} |" for c, kind in types[name])
        yield ""


def main(root: Path = Path()) -> None:
    """Write the page below a folder, the working directory unless told."""
    (root / PAGE).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
