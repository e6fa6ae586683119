"""The one row in which a catalogue file tells of itself: how far it has come, when, and how fresh that was.

Its columns are described in schema.py. What the ledger knows of publishing is ledger/publications.py's business.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from types import MappingProxyType

import duckdb

from diary_pipeline.catalogue.schema import SCHEMA_VERSION

OFFLINE = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
"""No extension is needed, and none may be fetched: the pipeline opens no connection that is not configured."""


@dataclass(frozen=True)
class State:
    """One file; see schema.STATE. Instants are naive UTC, as everywhere in the file."""

    watermark: int
    published_at: dt.datetime
    schema_version: int = SCHEMA_VERSION
    committed_at: dt.datetime | None = None
    freshness_s: float | None = None
    oldest_freshness_s: float | None = None
    recordings: int = 0
    seconds: float = 0.0
    marts_watermark: int | None = None
    marts_stamp: str = ""


_COLUMNS = ", ".join(field.name for field in fields(State))


def read_state(db: duckdb.DuckDBPyConnection) -> State | None:
    """Return what a file tells of itself; None when it is no catalogue of this schema."""
    try:
        row = db.execute(
            f"SELECT {_COLUMNS} FROM catalogue_state WHERE schema_version = ?",  # noqa: S608 - our own names
            [SCHEMA_VERSION],
        ).fetchone()
    except (duckdb.CatalogException, duckdb.BinderException):
        return None
    return None if row is None else State(*row)


def write_state(db: duckdb.DuckDBPyConnection, state: State) -> None:
    """Replace the row."""
    values = astuple(state)
    db.execute("BEGIN")
    db.execute("DELETE FROM catalogue_state")
    marks = ", ".join("?" * len(values))
    db.execute(f"INSERT INTO catalogue_state ({_COLUMNS}) VALUES ({marks})", list(values))  # noqa: S608 - our own names
    db.execute("COMMIT")


@contextmanager
def opened(
    path: Path, *, read_only: bool = False, options: Mapping[str, str] = MappingProxyType({})
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a catalogue file for the publisher itself, with options of DuckDB; users ask query.py."""
    with duckdb.connect(str(path), read_only=read_only, config={**OFFLINE, **options}) as db:
        # DuckDB draws one onto standard output after two seconds, where the figures of a publish are read from.
        db.execute("SET enable_progress_bar = false")
        yield db
