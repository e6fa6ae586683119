"""How commands print: rows on standard output in three formats; everything that is no data on standard error.

What surprises: a table is cut to the window only when a person looks at it; in a pipe every cell is whole.
"""

import csv
import datetime as dt
import json
import math
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 10_000


class Format(StrEnum):
    """What the data is printed as."""

    table = "table"
    json = "json"
    csv = "csv"


class EvalFormat(StrEnum):
    """What an evaluation is printed as."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"


FormatOption = Annotated[Format, typer.Option("--format", "-f", help="What the rows are printed as.")]


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[object]], form: Format) -> None:
    """Print rows under their column names."""
    match form:
        case Format.json:
            print_json(as_dicts(columns, rows))
        case Format.csv:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([_cell(value) for value in row] for row in rows)
        case Format.table:
            _print_table(columns, rows)


def as_dicts(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[dict[str, object]]:
    """Give rows as JSON objects have them."""
    return [dict(zip(columns, map(_plain, row), strict=True)) for row in rows]


def print_json(value: object) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(_plain(value), ensure_ascii=False, indent=2) + "\n")


def print_markdown_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows as a table of a Markdown page."""
    for cells in (columns, ["---"] * len(columns), *rows):
        print(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")


def print_markdown(text: str) -> None:
    """Render Markdown for a person, or pass it on as it is when nobody looks."""
    if not sys.stdout.isatty():
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(text))


def console() -> "Console":
    """Give the console that progress bars draw on: standard error."""
    from rich.console import Console

    return Console(stderr=True)


def say(sentence: str) -> None:
    """Tell the person at the terminal something that is no data."""
    print(sentence, file=sys.stderr)


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        # a key is there to be copied: it stays on one line
        table.add_column(column, overflow="fold", no_wrap=column.endswith("_key"))
    for row in rows:
        # Text and not str: square brackets of a title are no markup
        table.add_row(*[Text(shown(_cell(value))) for value in row])
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False).print(table)


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no word for it
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    return str(value)


def _cell(value: object) -> str:
    plain = _plain(value)
    if plain is None:
        return ""
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def short(key: str) -> str:
    """Give the end of a recording key that commands take for the whole, so that a table fits a terminal."""
    return key[-12:]


def shown(text: str) -> str:
    """Make a file name safe to show: a terminal would obey control characters in it."""
    return "".join(c if c == "\n" or unicodedata.category(c) != "Cc" else "\N{REPLACEMENT CHARACTER}" for c in text)
