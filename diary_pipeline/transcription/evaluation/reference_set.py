"""Reads a reference set: a CSV file that names recordings and what is really said in them.

Columns `audio` and `reference`; others are ignored. A reference is the text itself or the name of a .txt file, and
names are relative to the CSV file. What comes of hearing them is evaluation.py's business.

What surprises: rows are numbered as a spreadsheet shows them, so the first recording stands in row 2.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from diary_pipeline.core.errors import NotFound, PermanentError, UsageError

COLUMNS = ("audio", "reference")


@dataclass(frozen=True)
class Reference:
    """One recording of the set."""

    row: int
    name: str
    """The audio file as the set names it."""
    audio: Path
    text: str


@dataclass(frozen=True)
class Failed:
    """A row that could not be evaluated; the sentence names it."""

    row: int
    name: str
    code: str
    message: str


def read_reference_set(file: Path) -> tuple[list[Reference], list[Failed]]:
    """Read a set; NotFound or UsageError when nothing in it can be read, a row's own fault goes with the row."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            lines = list(csv.reader(opened, strict=True))
    except FileNotFoundError as error:
        raise NotFound("manifest_missing", f"{file} is not there: name the CSV file of the reference set.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError("manifest_unreadable", f"{file} is no CSV file in UTF-8 that can be read: {error}.") from error
    named = [name.strip().lower() for name in lines[0]] if lines else []
    if missing := [column for column in COLUMNS if column not in named]:
        raise UsageError(
            "manifest_columns",
            f"{file} has no column {' and no column '.join(missing)}: line 1 must be `audio,reference`, with commas.",
        )
    good: list[Reference] = []
    failed: list[Failed] = []
    for row, cells in _filled(lines):
        values = dict(zip(named, (cell.strip() for cell in cells), strict=False))
        try:
            good.append(_reference(row, values, len(cells) - len(named), file.parent))
        except PermanentError as error:
            failed.append(Failed(row, values.get("audio", ""), error.code, error.message))
    if not good and not failed:
        raise UsageError("manifest_empty", f"{file} names no recording below its first line.")
    return good, failed


def _filled(lines: list[list[str]]) -> Iterator[tuple[int, list[str]]]:
    return ((row, cells) for row, cells in enumerate(lines[1:], 2) if any(cell.strip() for cell in cells))


def _reference(row: int, values: dict[str, str], surplus: int, folder: Path) -> Reference:
    if surplus > 0:
        raise UsageError(
            "manifest_row", f"Row {row} has {surplus} cells too many: put a reference with commas in double quotes."
        )
    name, said = values.get("audio", ""), values.get("reference", "")
    if not name:
        raise UsageError("manifest_row", f"Row {row} names no audio file.")
    audio = folder / name
    if not audio.is_file():
        raise NotFound("audio_missing", f"Row {row}: audio file {name} is not there.")
    if said.lower().endswith(".txt") and "\n" not in said:
        said = _text(row, said, folder)
    if not said.strip():
        raise UsageError("reference_empty", f"Row {row}: {name} has an empty reference; write down what is said in it.")
    return Reference(row, name, audio, said)


def _text(row: int, name: str, folder: Path) -> str:
    try:
        return (folder / name).read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise NotFound("reference_missing", f"Row {row}: reference file {name} is not there.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "reference_unreadable", f"Row {row}: reference file {name} cannot be read as UTF-8 text."
        ) from error
