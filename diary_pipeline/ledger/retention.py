"""What has been kept for as long as its owner wants: audio whose note is there, and whole recordings.

Rules are settings' business, removing bytes upkeep/retain.py's. The surprise: audio is marked before its object goes
and once more afterwards, so that a killed run is finished by the next one, and nobody plans to hear what is going.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.statements import each, now
from diary_pipeline.ledger.tables import WITH_AUDIO, pointers, recordings, work

DAY_S = 86_400.0
GOING = 0.0


@dataclass(frozen=True)
class Rule:
    """After how many days something goes, and whose it is."""

    days: float
    owner: str | None
    """None: everybody's but `others`."""
    others: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Audio:
    """Our copy of one recording's audio."""

    key: str
    object_key: str
    size_bytes: int


def mark_audio(ledger: Ledger, rules: Sequence[Rule], limit: int) -> list[Audio]:
    """Mark audio that may go, and return it with what an earlier call marked and did not see gone.

    Never before transcript and note are committed, nor while somebody works on the recording or it waits.
    """
    with ledger.reading() as conn:  # an idle call does not queue behind writers
        at, found = now(conn), list[str]()
        for rule in rules:
            due = sa.select(recordings.c.key).where(
                WITH_AUDIO, _whose(rule), recordings.c.ended_at <= at - rule.days * DAY_S
            )
            found += conn.execute(due.where(_IS_DONE).limit(limit - len(found))).scalars()
    if found:
        ledger.write(lambda tx: _mark(tx, sorted(found)))
    with ledger.reading() as conn:
        columns = (recordings.c.key, recordings.c.object_key, recordings.c.size_bytes)
        return [Audio(*row) for row in conn.execute(sa.select(*columns).where(recordings.c.audio_removed_at == GOING))]


def note_removed(ledger: Ledger, keys: Iterable[str]) -> None:
    """Note that the audio of these recordings is gone."""
    with ledger.writing() as tx:
        gone = recordings.update().where(recordings.c.audio_removed_at == GOING).values(audio_removed_at=now(tx))
        each(tx, gone, recordings.c.key, sorted(keys))


def outlived(conn: sa.Connection, rules: Sequence[Rule], limit: int) -> list[str]:
    """Return recordings that were taken in too long ago to be kept, the oldest first."""
    at, found = now(conn), list[str]()
    for rule in rules:
        due = sa.select(recordings.c.key).where(_whose(rule), recordings.c.created_at <= at - rule.days * DAY_S)
        found += conn.execute(due.order_by(recordings.c.created_at).limit(limit - len(found))).scalars()
    return found


def _mark(tx: sa.Connection, keys: Sequence[str]) -> None:
    # Locked in everybody's order first: an UPDATE locks in whatever order it finds the rows.
    each(tx, sa.select(recordings.c.key).order_by(recordings.c.key).with_for_update(), recordings.c.key, keys)
    each(tx, recordings.update().where(WITH_AUDIO, _IS_DONE).values(audio_removed_at=GOING), recordings.c.key, keys)


def _whose(rule: Rule) -> sa.ColumnElement[bool]:
    return recordings.c.owner == rule.owner if rule.owner is not None else recordings.c.owner.not_in(rule.others)


def _stands(kind: str) -> sa.ColumnElement[bool]:
    return sa.exists().where(
        pointers.c.subject == recordings.c.key, pointers.c.kind == kind, pointers.c.object_id.is_not(None)
    )


_IS_DONE = sa.and_(
    recordings.c.status.in_(("completed", "degraded")),
    _stands("transcript"),
    _stands("note"),
    ~sa.exists().where(
        work.c.recording_key == recordings.c.key, work.c.wanted | work.c.state.in_(("ready", "planned"))
    ),
)
