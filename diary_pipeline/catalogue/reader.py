"""The published catalogue from Python, for notebooks and scripts of users: DuckDB relations, pandas and Arrow.

    from diary_pipeline.catalogue.reader import open_catalogue

    with open_catalogue(".diary/catalogue.duckdb") as diary:
        diary.df("SELECT note_date, mood FROM notes WHERE user_id = ?", ["me"])
        diary.notes(since="2026-05-01").arrow()

Reads only. What our own commands ask is query.py's business.

What surprises: DuckDB gives a second open of a path in one process the file that the first has open, even after another
was published. Here the file is attached to a connection of its own and attached anew once its inode changed. Not to be
shared between threads.
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import duckdb

from diary_pipeline.catalogue.descriptions import quoted
from diary_pipeline.catalogue.state import OFFLINE
from diary_pipeline.core.errors import NotFound, ServiceMissing

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]
    import pyarrow as pa


def open_catalogue(path: Path | str) -> "Catalogue":
    """Open a published catalogue, or an export of one, to read; NotFound where there is none."""
    return Catalogue(Path(path))


class Catalogue:
    """What is published. Every question sees one whole publish, the newest there was when it was asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = duckdb.connect(config=dict(OFFLINE))
        self._attached: tuple[int, int] | None = None
        self._fresh()

    def sql(self, query: str, values: Sequence[object] = ()) -> duckdb.DuckDBPyRelation:
        """Ask; `values` fill its question marks. A relation is computed when its rows are fetched."""
        return self._fresh().sql(query, params=list(values) or None)

    def df(self, query: str, values: Sequence[object] = ()) -> "pd.DataFrame":
        """Ask for a pandas frame; instants are naive UTC."""
        return self.sql(query, values).df()

    def arrow(self, query: str, values: Sequence[object] = ()) -> "pa.Table":
        """Ask for an Arrow table."""
        return self.sql(query, values).to_arrow_table()

    def notes(
        self, user: str | None = None, since: dt.date | str | None = None, until: dt.date | str | None = None
    ) -> duckdb.DuckDBPyRelation:
        """Give the notes of a user, or of all, that tell of these days (both included), in their order."""
        wanted = (
            ("user_id = ?", user),
            ("note_date >= CAST(? AS DATE)", since),
            ("note_date <= CAST(? AS DATE)", until),
        )
        said = [(condition, value) for condition, value in wanted if value is not None]
        where = " AND ".join(condition for condition, _ in said) or "true"
        return self.sql(
            f"FROM notes WHERE {where} ORDER BY note_date, recording_key",
            [value for _, value in said],
        )

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _fresh(self) -> duckdb.DuckDBPyConnection:
        """Attach what lies there now, unless it is attached."""
        try:
            seen = self.path.stat()
        except FileNotFoundError as error:
            raise NotFound("catalogue_missing", f"Nothing is published at {self.path}: run `diary publish`.") from error
        if (seen.st_dev, seen.st_ino) != self._attached:
            try:
                if self._attached:
                    self._db.execute("USE memory")
                    self._db.execute("DETACH diary")
                    self._attached = None
                self._db.execute(f"ATTACH {quoted(str(self.path))} AS diary (READ_ONLY)")
                self._db.execute("USE diary")
            except duckdb.Error as error:
                raise ServiceMissing(
                    "catalogue_unreadable", f"{self.path} cannot be opened; close whoever writes to it."
                ) from error
            self._attached = (seen.st_dev, seen.st_ino)
        return self._db
