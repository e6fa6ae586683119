"""How far the files that users open have come, by place: one row for each file that a publisher keeps.

A place is a machine and a path, because two publishers with two disks keep two files, and what one shows is no
promise about the other. Publishing itself is the catalogue's business.

What surprises: who asks from a machine that publishes nothing (a daemon beside a publisher in a pod of its own) hears
of the file that was published last.
"""

import socket
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa

from diary_pipeline.ledger.commits import first_made_at, made_at
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.statements import now, upsert
from diary_pipeline.ledger.tables import publications


@dataclass(frozen=True)
class Publication:
    """One published file."""

    place: str
    watermark: int = 0
    """Users see every commit up to here; 0 before the first publish."""
    published_at: float = 0.0
    """Seconds since the epoch, by the database's clock."""
    marts: str = ""
    """Which build of dbt's file was looked at last; see catalogue/marts.py."""
    watched_until: float = 0.0
    """A process that publishes by itself means to look again before that."""
    compacted_seq: int = 0
    """No byte is in the file of what was hidden up to here."""


def place_of(live: Path) -> str:
    """Name the published file at a path of this machine."""
    return f"{socket.gethostname()}:{live.absolute()}"


def publication(conn: sa.Connection, place: str | None = None) -> Publication:
    """Return what is known of the file at a place, or else of the one that was published last."""
    mine = publications.c.place == (place or "")
    rows = conn.execute(sa.select(publications).order_by(mine.desc(), publications.c.published_at.desc()).limit(1))
    row = rows.one_or_none()
    return Publication(*row) if row else Publication(place or "")


def published_watermark(conn: sa.Connection, place: str | None = None) -> int:
    """Return the seq up to which users can see everything at a place; 0 before the first publish."""
    return publication(conn, place).watermark


def waited(conn: sa.Connection, place: str, head: int, at: float) -> tuple[float | None, float | None]:
    """Return for how many seconds, at an instant, the newest and the oldest commit up to `head` were not seen there.

    None and None: all have been.
    """
    noted = publication(conn, place)
    seen = noted.watermark if noted.place == place else 0
    newest, oldest = made_at(conn, head), first_made_at(conn, seen)
    if newest is None or oldest is None or head <= seen:
        return None, None
    return at - newest, at - oldest


def set_published(ledger: Ledger, place: str, watermark: int, marts: str = "") -> float:
    """Note how far the file at a place has come, and return when that was, by the database's clock."""
    with ledger.writing() as tx:
        at = now(tx)
        row = {"place": place, "watermark": watermark, "published_at": at, "marts": marts}
        upsert(tx, publications, row)
    return at


def set_compacted(ledger: Ledger, place: str, seq: int) -> None:
    """Note that the file at a place, which was published there before, has no byte of what was hidden up to `seq`."""
    with ledger.writing() as tx:
        tx.execute(publications.update().where(publications.c.place == place).values(compacted_seq=seq))


def not_compacted(conn: sa.Connection, hidden: int) -> int:
    """Count the places that a process looks after by itself and whose files may hold bytes of what `hidden` hid."""
    behind = publications.c.compacted_seq < hidden
    watched = publications.c.watched_until > now(conn)
    return int(conn.execute(sa.select(sa.func.count()).where(behind & watched)).scalar_one())


def watch(ledger: Ledger, place: str, for_s: float) -> None:
    """Note that this process looks after the file at a place by itself, for so many seconds from now."""
    with ledger.writing() as tx:
        there = publication(tx, place)
        mine = there if there.place == place else Publication(place)
        upsert(tx, publications, vars(replace(mine, watched_until=now(tx) + for_s)))


def is_watched(conn: sa.Connection) -> bool:
    """Tell whether somebody looks after a file by itself, wherever that lies."""
    return (
        conn.execute(sa.select(publications.c.place).where(publications.c.watched_until > now(conn))).first()
        is not None
    )
