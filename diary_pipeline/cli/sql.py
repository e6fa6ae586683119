"""`diary sql`: one question to the published catalogue, or what can be asked.

Whatever is asked, it only reads and only that file: catalogue/query.py sees to that.
"""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from diary_pipeline.cli.home import begin
from diary_pipeline.cli.output import Format, FormatOption, print_rows, say
from diary_pipeline.core.errors import NotFound, UsageError


def sql(
    query: Annotated[
        str | None, typer.Argument(help="One SQL statement; `-` reads it from standard input. With --schema: a table.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Read the statement from this file.")] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="List tables and views; with a name, its columns and what they mean.")
    ] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="How many rows are printed at most.")] = None,
    form: FormatOption = Format.table,
) -> None:
    """Query the published catalogue with SQL. It is read-only and cannot reach other files.

    Examples: `diary sql "SELECT note_date, title, summary FROM notes ORDER BY note_date" --format csv`;
    `diary sql --schema`; `diary sql --schema notes`; `diary sql --file week.sql`; `diary sql - < week.sql`.
    """
    if schema and file:
        raise UsageError("usage_invalid", "--schema lists what there is and runs no file: leave one of the two.")
    live = begin().catalogue_file
    from diary_pipeline.catalogue import query as catalogue

    if schema:
        told = catalogue.schema_of(live, query)
        print_rows(told.columns, told.rows, form)
        return
    statement = _statement(query, file)
    started = time.perf_counter()
    found = catalogue.query(live, statement, limit=limit)
    seconds = time.perf_counter() - started
    print_rows(found.columns, found.rows, form)
    more = "; there are more" if found.more else ""
    say(f"{len(found.rows)} rows in {seconds:.3f} s{more}")


def _statement(said: str | None, file: Path | None) -> str:
    if (said is None) == (file is None):
        raise UsageError(
            "usage_invalid", "Give one SQL statement: as an argument, by --file, or as `-` by standard input."
        )
    if file is None:
        return sys.stdin.read() if said == "-" else str(said)
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise NotFound("file_missing", f"{file} cannot be read ({error.strerror}): name another file.") from error
    except UnicodeDecodeError as error:
        raise UsageError("sql_invalid", f"{file} is no text in UTF-8: save it as such.") from error
