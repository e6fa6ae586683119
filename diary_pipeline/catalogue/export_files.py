"""An exported diary as a folder of Parquet or CSV files, one a table, for programs that read no DuckDB.

What is in it is export.py's business: the files are written from such a database. Computed views are written too,
because a folder cannot compute them.

What surprises: CSV is RFC 4180 (CRLF, quotes where needed) in UTF-8, lists are JSON, and NULL is an empty field like an
empty text, for CSV has no word for it.
"""

import csv
import datetime as dt
import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Literal

import duckdb

from diary_pipeline.catalogue.descriptions import quoted
from diary_pipeline.catalogue.export import MARTS, STATE, SUBJECTS, OnTable, unnamed
from diary_pipeline.catalogue.state import OFFLINE

FilesForm = Literal["parquet", "csv"]
MANIFEST = ".diary-export.json"
"""Says that the folder is ours, and what it is."""
_ROWS = 5_000


def export_files(database: Path, part: Path, form: FilesForm, on_table: OnTable = lambda *_: None) -> None:
    """Write every table and view of an exported database into a new folder."""
    part.mkdir(mode=0o700)
    with duckdb.connect(str(database), read_only=True, config=dict(OFFLINE)) as db:
        write: Callable[[duckdb.DuckDBPyConnection, str, Path], int] = _parquet if form == "parquet" else _csv
        tables = {}
        for table, name in _tables(db):
            tables[name] = write(db, table, part / f"{name}.{form}")
            on_table(name, tables[name])
        [(made_at, user, since, until)] = db.execute(f"FROM {STATE}").fetchall()
    said = {"form": form, "made_at": made_at, "user_id": user, "since": since, "until": until, "tables": tables}
    (part / MANIFEST).write_text(json.dumps(said, default=str, indent=1) + "\n", encoding="utf-8")


def is_files_export(folder: Path) -> bool:
    """Tell whether a folder is an export of ours."""
    return (folder / MANIFEST).is_file()


def files_without(folder: Path, part: Path, form: FilesForm, subjects: Collection[str]) -> int:
    """Write such a folder anew without some recordings and refused submissions; return how many rows are gone.

    Marts are left out whole, as in a database.
    """
    part.mkdir(mode=0o700)
    gone = 0
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    for name in [n for n in manifest["tables"] if not n.startswith(f"{MARTS}_")]:
        old, new = folder / f"{name}.{form}", part / f"{name}.{form}"
        kept = (_parquet_without if form == "parquet" else _csv_without)(old, new, subjects)
        gone += manifest["tables"][name] - kept
        manifest["tables"][name] = kept
    manifest["tables"] = {name: rows for name, rows in manifest["tables"].items() if (part / f"{name}.{form}").exists()}
    (part / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return gone


def _tables(db: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, str]]:
    """Give every table as SQL names it, and its file's name."""
    of_main = (
        "SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = 'main' "
        "UNION ALL SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' ORDER BY 1"
    )
    yield from ((name, name) for (name,) in db.execute(of_main).fetchall())
    of_marts = "SELECT table_name FROM duckdb_tables() WHERE schema_name = ? ORDER BY 1"
    marts = db.execute(of_marts, [MARTS]).fetchall()
    yield from ((f'{MARTS}."{name}"', f"{MARTS}_{name}") for (name,) in marts)


def _parquet(db: duckdb.DuckDBPyConnection, table: str, file: Path) -> int:
    name = file.stem
    meanings = dict(
        db.execute(
            "SELECT column_name, coalesce(comment, '') FROM duckdb_columns() WHERE schema_name <> 'data' "
            "AND CASE schema_name WHEN 'main' THEN '' ELSE schema_name || '_' END || table_name = ?",
            [name],
        ).fetchall()
    )
    told = json.dumps(meanings, ensure_ascii=False)
    db.execute(
        f"COPY (FROM {table}) TO {quoted(str(file))} (FORMAT parquet, COMPRESSION zstd, "
        f"KV_METADATA {{diary_table: {quoted(name)}, diary_columns: {quoted(told)}}})"
    )
    return _counted(db, file)


def _parquet_without(old: Path, new: Path, subjects: Collection[str]) -> int:
    with duckdb.connect(config=dict(OFFLINE)) as db:
        db.execute("CREATE TABLE gone(subject VARCHAR)")
        db.executemany("INSERT INTO gone VALUES (?)", [[subject] for subject in subjects])
        source = f"read_parquet({quoted(str(old))})"
        columns = [row[0] for row in db.execute(f"DESCRIBE FROM {source}").fetchall()]
        said = db.execute("SELECT key, value FROM parquet_kv_metadata(?)", [str(old)]).fetchall()
        told = {bytes(key).decode(): bytes(value).decode() for key, value in said}
        kept = ", ".join(f"{key}: {quoted(value)}" for key, value in told.items() if key.startswith("diary_"))
        db.execute(
            f"COPY (FROM {source} WHERE {unnamed(columns)}) TO {quoted(str(new))} "
            f"(FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{kept}}})"
        )
        return _counted(db, new)


def _counted(db: duckdb.DuckDBPyConnection, file: Path) -> int:
    return int(db.execute("SELECT num_rows FROM parquet_file_metadata(?)", [str(file)]).fetchall()[0][0])


def _csv(db: duckdb.DuckDBPyConnection, table: str, file: Path) -> int:
    found = db.execute(f"FROM {table}")
    rows = 0
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow([column[0] for column in found.description or ()])
        while some := found.fetchmany(_ROWS):
            writer.writerows([_cell(value) for value in row] for row in some)
            rows += len(some)
    return rows


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value


def _csv_without(old: Path, new: Path, subjects: Collection[str]) -> int:
    rows = 0
    with old.open(encoding="utf-8", newline="") as source, new.open("w", encoding="utf-8", newline="") as out:
        reader, writer = csv.reader(source), csv.writer(out, lineterminator="\r\n")
        columns = next(reader)
        writer.writerow(columns)
        naming = [place for place, column in enumerate(columns) if column in SUBJECTS]
        for row in reader:
            if not any(row[place] in subjects for place in naming):
                writer.writerow(row)
                rows += 1
    return rows
