"""One object of the log: a folder of Parquet files, one a table.

Which rows go into one is for those who write it to say (commit.py, rewrite.py, merge.py). An object is immutable: what
must change is written anew under another id.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from diary_pipeline.catalogue.schema import RECORDINGS, TABLES
from diary_pipeline.ledger.log_objects import Holding
from diary_pipeline.ledger.pointers import PointerKind
from diary_pipeline.storage.store import ObjectStore

Tables = Mapping[str, pa.Table]
STAGED = "diary-commit-"
STAGED_S = 60.0
"""By then whoever made a folder has locked it."""


def write_object(store: ObjectStore, object_id: str, tables: Tables) -> int:
    """Store tables as one object, which nobody sees before the ledger points to it, and return its bytes."""
    with tempfile.TemporaryDirectory(prefix=STAGED) as folder, _locked(Path(folder), fcntl.LOCK_SH):
        files: dict[str, Path] = {}
        for name, table in tables.items():
            path = files[f"{name}.parquet"] = Path(folder, f"{name}.parquet")
            # Small row groups let a reader of one recording skip the rest; measured at no cost in size.
            pq.write_table(table, path, compression="zstd", row_group_size=8192)
        return store.put_folder(object_id, files)


def sweep_staged() -> None:
    """Remove what killed processes of this machine left of objects that they were staging."""
    for left in Path(tempfile.gettempdir()).glob(f"{STAGED}*"):
        with suppress(OSError):  # being written, somebody else's, or just gone
            if time.time() - left.stat().st_mtime > STAGED_S:
                with _locked(left, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    shutil.rmtree(left)


def read_object(store: ObjectStore, object_id: str) -> Tables:
    """Return the tables of an object by name; NotFound or FileNotFoundError when another has just taken its place."""
    folder = store.path(object_id)
    return {file.stem: pq.read_table(file, partitioning=None) for file in sorted(folder.glob("*.parquet"))}


def rows_of(tables: Tables, object_kind: PointerKind, held: Iterable[Holding]) -> Tables:
    """Return the rows of an object that belong to some of what it holds; there is a table, if an empty one, for any."""
    subjects: dict[PointerKind, set[str]] = {}
    for h in held:
        subjects.setdefault(h.kind, set()).add(h.subject)
    chosen = {
        name: table.filter(
            pc.is_in(_subject(name, table), pa.array(subjects.get(_kind(name, object_kind), ()), pa.string()))
        )
        for name, table in tables.items()
    }
    return {name: table for name, table in chosen.items() if len(table)} or chosen


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Hold a folder; the kernel lets go of it when the process is killed."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, how)
        yield
    finally:
        os.close(lock)


def _kind(table: str, object_kind: PointerKind) -> PointerKind:
    """Return whose rows a table holds: `checks` lies in objects of two kinds, and follows the object's."""
    kinds = {t.name: t.kind for t in TABLES if t.name != "checks"}
    return kinds.get(table, object_kind)


def _subject(name: str, table: pa.Table) -> pa.ChunkedArray:
    key = table["recording_key"]
    return pc.coalesce(key, table["submission_id"]) if name == RECORDINGS.name else key
