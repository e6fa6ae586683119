"""The whole ledger as one file: taken while others write, and put back where nobody does.

What else belongs to a backup is upkeep/backup.py's business. The surprise: PostgreSQL's own programs do it there, so
they must be installed (pg_dump of the server's version or later), and everything in that database comes along.
"""

import os
import sqlite3
import subprocess
from collections.abc import Sequence, Set
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from diary_pipeline.core.errors import PermanentError, ServiceMissing
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.log_objects import IS_LET_GO
from diary_pipeline.ledger.opening import ledger_url
from diary_pipeline.ledger.tables import WITH_AUDIO, commits, recordings


@dataclass(frozen=True)
class Needed:
    """Which objects a copy of the ledger points to, by key."""

    objects: Set[str]
    """Without which something of it could not be read."""
    made_again: Set[str]
    """Which were lost, so that what they held is made again; whoever still has one keeps it until it is."""


def take(ledger: Ledger, into: Path) -> Needed:
    """Copy the ledger into a new file, for its owner alone, as it was at one instant; return what that copy needs."""
    wanted = ledger.engine.url
    into.touch(mode=0o600)
    if wanted.get_backend_name() == "sqlite":
        copy_sqlite(Path(wanted.database or ""), into)
        copy = sa.create_engine(f"sqlite:///{into}")
        try:
            with copy.connect() as conn:
                return _needed(conn)
        finally:
            copy.dispose()
    with ledger.reading() as conn:
        seen = conn.execute(sa.select(sa.func.pg_export_snapshot())).scalar_one()
        needed = _needed(conn)
        _run(["pg_dump", "--format=custom", f"--file={into}", f"--snapshot={seen}", "--no-password"], wanted)
    return needed


def _needed(conn: sa.Connection) -> Needed:
    audio = sa.select(recordings.c.object_key).where(WITH_AUDIO)
    objects, let_go = (sa.select(commits.c.object_id).where(which) for which in (~IS_LET_GO, IS_LET_GO))
    needed = conn.execute(sa.union_all(objects, audio)).scalars()
    return Needed(frozenset(needed), frozenset(conn.execute(let_go).scalars()))


def put_back(url: str, taken: Path) -> None:
    """Make the ledger what it was when the file was taken; what is there is replaced."""
    wanted = ledger_url(url)
    if wanted.get_backend_name() == "sqlite":
        place = Path(wanted.database or "")
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for beside in ("-wal", "-shm"):  # of the file that is replaced; the new one would be damaged by them
            place.with_name(place.name + beside).unlink(missing_ok=True)
        fresh = place.with_name(f".{place.name}.restored")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        copy_sqlite(taken, fresh)
        fresh.replace(place)
    else:
        _run(
            ["pg_restore", "--clean", "--if-exists", "--single-transaction", "--no-password", str(taken)], wanted, "-d"
        )


def copy_sqlite(source: Path, into: Path) -> None:
    """Copy a SQLite database that others may be writing to; the copy is whole and needs no other file."""
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as there,
        closing(sqlite3.connect(into)) as here,
    ):
        there.backup(here)
        here.execute("PRAGMA journal_mode=DELETE")


def _run(command: Sequence[str], url: sa.URL, database_option: str = "") -> None:
    said = {"PGHOST": url.host, "PGPORT": url.port, "PGUSER": url.username, "PGPASSWORD": url.password}
    # Not in the arguments: every user of the machine can read those.
    given = {name: str(value) for name, value in said.items() if value is not None}
    given["PGDATABASE"] = url.database or ""
    named = [database_option, url.database or ""] if database_option else []
    try:
        done = subprocess.run(
            [*command, *named], env={**os.environ, **given}, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise ServiceMissing(
            "postgres_client_missing", f"{command[0]} is not installed; install PostgreSQL's client programs."
        ) from error
    if done.returncode:
        said_first = (done.stderr.strip().splitlines() or ["nothing"])[0]
        raise PermanentError("ledger_copy_failed", f"{command[0]} ended with {done.returncode}: {said_first}")
