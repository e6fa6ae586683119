"""SQL over the published file, for people and scripts.

Only reads, and only that file: whatever the query says, it cannot open another file, load an extension or change a
setting. Commits that are not published yet are read.py's business.

What surprises: the hardening is part of how the file is opened, so a process that already has it open with other
settings cannot use this module on it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from diary_pipeline.core.errors import NotFound, ServiceMissing, UsageError

_LOCKED = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "lock_configuration": "true",
}


@dataclass(frozen=True)
class Answer:
    """What a query returned; instants are naive UTC."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def query(live: Path, sql: str, values: tuple[object, ...] = ()) -> Answer:
    """Run one SQL statement against the published catalogue; `values` fill its question marks."""
    if not live.exists():
        raise NotFound(
            "catalogue_missing",
            f"Nothing has been published to {live} yet; run `diary ingest PATH --wait` or `diary publish` first.",
        )
    try:
        db = duckdb.connect(str(live), read_only=True, config=dict(_LOCKED))
    except duckdb.Error as error:
        raise ServiceMissing(
            "catalogue_unreadable",
            f"{live} cannot be opened ({_sentence(error)}); close whoever writes to it, or run `diary publish`.",
        ) from error
    with db:
        try:
            statements = db.extract_statements(sql)
            if len(statements) != 1:
                raise UsageError("sql_invalid", f"Give one SQL statement; this is {len(statements) or 'empty'}.")
            result = db.execute(statements[0], list(values))
            columns = tuple(str(column[0]) for column in result.description or ())
            return Answer(columns, tuple(result.fetchall()) if columns else ())
        except duckdb.Error as error:
            raise UsageError("sql_invalid", _sentence(error)) from error


def _sentence(error: duckdb.Error) -> str:
    return str(error).partition("\n")[0]
