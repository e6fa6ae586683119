"""SQL over the published file, for people and scripts.

Only reads, and only that file: whatever the query says, it cannot open another file, load an extension or change a
setting. Commits that are not published yet are read.py's business.

What surprises: the hardening is part of how the file is opened, so a process that already has it open with other
settings cannot use this module on it.
"""

import re
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
    more: bool = False
    """Whether there were more rows than the limit."""


def query(live: Path, sql: str, values: tuple[object, ...] = (), limit: int | None = None) -> Answer:
    """Run one SQL statement against the published catalogue; `values` fill its question marks.

    A limit is how many rows are fetched at most, whatever the statement says.
    """
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
            if not columns:
                return Answer((), ())
            rows = result.fetchall() if limit is None else result.fetchmany(limit + 1)
            return Answer(columns, tuple(rows[:limit]), more=limit is not None and len(rows) > limit)
        except duckdb.Error as error:
            raise UsageError("sql_invalid", _sentence(error)) from error


def schema_of(live: Path, table: str | None = None) -> Answer:
    """Tell which tables and views there are, or the columns of one, with what they mean; UsageError: no such one."""
    if table is None:
        return query(live, f"SELECT name, comment FROM ({_TABLES}) ORDER BY schema_name, name")  # noqa: S608 - ours
    schema, _, name = table.rpartition(".")
    found = query(
        live,
        "SELECT column_name, data_type, comment FROM duckdb_columns() "
        "WHERE NOT internal AND schema_name = ? AND table_name = ? ORDER BY column_index",
        (schema or "main", name),
    )
    if not found.rows:
        names = ", ".join(row[0] for row in schema_of(live).rows)
        raise UsageError("sql_invalid", f"There is no table {table}; there are {names}.")
    return found


_TABLES = """
SELECT schema_name, CASE schema_name WHEN 'main' THEN '' ELSE schema_name || '.' END || name AS name, comment
FROM (
  SELECT schema_name, view_name AS name, comment, internal FROM duckdb_views()
  UNION ALL SELECT schema_name, table_name, comment, internal FROM duckdb_tables()
) WHERE NOT internal AND schema_name <> 'data'
"""


def _sentence(error: duckdb.Error) -> str:
    """Give what is wrong, what may have been meant and where, in one line."""
    told = str(error)
    what = told.partition("\n")[0].rstrip("!. ")
    candidates = re.search(r"^(?:Candidate bindings: |Did you mean )(.+?)\??$", told, re.M)
    meant = f", did you mean {candidates[1]}" if candidates else ""
    line = re.search(r"^LINE (\d+):", told, re.M)
    where = f" (line {line[1]})" if line and line[1] != "1" else ""
    return f"{what}{meant}{where}"
