"""Notes that would be written otherwise today: which they are, and how their work becomes wanted again.

What is current is the configured writer's to say; nothing is written or paid here. What was said since makes no note
stale in this sense: a new transcript plans its note itself (settling.py).

What surprises: a stale note stays what users see until its successor is committed, so nothing of the recording's status
changes here. And whoever is tried in vain waits for about as long as the note is old before it is tried again: dead
routes are not asked in every tick, and no counter has to be kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.core.batch import PRIORITIES
from diary_pipeline.core.note import DEGRADED
from diary_pipeline.ledger.connect import Ledger, each, now
from diary_pipeline.ledger.tables import MADE, commits, pointers, work

DEGRADED_RETRY_S, RETRY_MAX_S = 900.0, 86_400.0
"""A provider that is down is back within minutes or hours; a key that is missing may be missing for a week."""
CurrentOf = Callable[[str], frozenset[str]]
"""What an owner's notes are made with today; a note made with anything else is stale. Empty: no route could write one,
and what is there is not to be had better."""


@dataclass(frozen=True)
class StaleNote:
    """A note that would be written otherwise today."""

    key: str
    owner: str
    made_with: str


@dataclass(frozen=True)
class StaleGroup:
    """Stale notes of one owner that were made with the same."""

    owner: str
    made_with: str
    notes: int
    audio_s: float


def plan_stale(ledger: Ledger, current_of: CurrentOf, limit: int, *, upgrades: bool) -> int:
    """Want stale notes made again, no more than keep `limit` notes waiting, and return how many that are.

    `upgrades`: the configured writer can better what stands in, so degraded notes are stale too. What waits or is being
    made anyway is left alone, and so are recordings whose transcript is to be made anew.
    """
    with ledger.reading() as conn:  # an idle tick does not queue behind writers
        room = limit - _waiting(conn, limit)
        found = list(_due(conn, current_of, room, upgrades)) if room > 0 else []
    return ledger.write(lambda tx: _want_again(tx, {note.key: note.made_with for note in found})) if found else 0


def stale_notes(
    conn: sa.Connection, owner: str, current: frozenset[str], limit: int, *, upgrades: bool
) -> list[StaleNote]:
    """Return an owner's stale notes that may be made again now, the longest due first of each kind.

    Costs what the answer costs, and one look for each thing the owner's notes were ever made with.
    """
    at = now(conn)
    found: list[StaleNote] = []
    for made_with in _stale(conn, owner, current, upgrades):
        if len(found) >= limit:
            break
        due = _made(owner, made_with) & (pointers.c.again_at <= at)
        chosen = sa.select(pointers.c.subject).where(MADE, due).order_by(pointers.c.again_at)
        keys = conn.execute(chosen.limit(limit - len(found))).scalars()
        found += [StaleNote(key, owner, made_with) for key in keys]
    return found


def stale_groups(conn: sa.Connection, owner: str, current: frozenset[str], *, upgrades: bool) -> list[StaleGroup]:
    """Count an owner's stale notes, those included that are planned already; for people, because it reads them all."""
    note = (work.c.recording_key == pointers.c.subject) & (work.c.stage == "note")
    counted = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(work.c.audio_s), 0.0))
    groups: list[StaleGroup] = []
    for made_with in _stale(conn, owner, current, upgrades):
        joined = counted.select_from(pointers.join(work, note)).where(MADE, _made(owner, made_with))
        notes, audio_s = conn.execute(joined).one()
        groups.append(StaleGroup(owner, made_with, int(notes), float(audio_s)))
    return groups


def newest_made_with(conn: sa.Connection, owner: str, made_with: str, limit: int) -> list[str]:
    """Return recordings of an owner whose notes were made with this, the latest day first; for people as well."""
    chosen = sa.select(pointers.c.subject).where(MADE, _made(owner, made_with)).order_by(pointers.c.subject.desc())
    return list(conn.execute(chosen.limit(limit)).scalars())


def owners_with_notes(conn: sa.Connection) -> Iterator[str]:
    """Give every owner of a note, without reading their notes."""
    return _hops(conn, pointers.c.owner, sa.true())


def first_again_at(made_with: str | None, at: float) -> float | None:
    """Say when a note that is committed at `at` may be made again, should it be stale."""
    if made_with is None:
        return None
    return at + DEGRADED_RETRY_S if made_with.startswith(DEGRADED) else 0.0


def _due(conn: sa.Connection, current_of: CurrentOf, limit: int, upgrades: bool) -> Iterator[StaleNote]:
    for owner in owners_with_notes(conn):
        found = stale_notes(conn, owner, current_of(owner), limit, upgrades=upgrades)
        yield from found
        limit -= len(found)
        if limit <= 0:
            return


def _waiting(conn: sa.Connection, limit: int) -> int:
    waiting = sa.select(work.c.recording_key).where(work.c.stage == "note", work.c.state == "ready").limit(limit)
    return int(conn.execute(sa.select(sa.func.count()).select_from(waiting.subquery())).scalar_one())


def _stale(conn: sa.Connection, owner: str, current: frozenset[str], upgrades: bool) -> Iterator[str]:
    """Give what an owner's stale notes were made with."""
    for made_with in _hops(conn, pointers.c.made_with, pointers.c.owner == owner) if current else ():
        if upgrades if made_with.startswith(DEGRADED) else made_with not in current:
            yield made_with


def _hops(conn: sa.Connection, column: sa.Column[str], among: sa.ColumnElement[bool]) -> Iterator[str]:
    """Give the values of an indexed column in its order, one look at the index for each."""
    last = ""
    chosen = sa.select(column).where(MADE, among, column > sa.bindparam("last")).order_by(column).limit(1)
    while (value := conn.execute(chosen, {"last": last}).scalar()) is not None:
        yield value
        last = value


def _made(owner: str, made_with: str) -> sa.ColumnElement[bool]:
    return (pointers.c.owner == owner) & (pointers.c.made_with == made_with)


def _want_again(tx: sa.Connection, made_with: Mapping[str, str]) -> int:
    keys, at = sorted(made_with), now(tx)
    chosen = sa.select(work).order_by(work.c.recording_key, work.c.stage).with_for_update()
    rows = {(row.recording_key, row.stage): row for row in each(tx, chosen, work.c.recording_key, keys)}
    made = sa.select(pointers.c.subject, pointers.c.made_with, commits.c.committed_at)
    there = made.join(commits, commits.c.object_id == pointers.c.object_id).where(pointers.c.kind == "note")
    same = [row for row in each(tx, there, pointers.c.subject, keys) if row.made_with == made_with[row.subject]]
    idle = [row.subject for row in same if _is_idle(rows, row.subject)]
    free = dict.fromkeys(("batch_id", "holder", "expires_at", "reason_code", "message"))
    # What is new goes first. A higher epoch fences whoever made the note before and was given up for dead.
    ready = {"state": "ready", "wanted": True, "attempts": 0, "ready_at": at, "priority": min(PRIORITIES.values())}
    again = work.update().where(work.c.stage == "note").values(**ready, **free, epoch=work.c.epoch + 1)
    each(tx, again, work.c.recording_key, idle)
    _put_off(tx, [(row.subject, at + _pause_s(at - row.committed_at)) for row in same])
    return len(idle)


def _is_idle(rows: Mapping[tuple[str, str], sa.Row[tuple[object, ...]]], key: str) -> bool:
    note, transcript = rows.get((key, "note")), rows.get((key, "transcript"))
    return note is not None and note.state == "done" and not (transcript is not None and transcript.wanted)


def _pause_s(age_s: float) -> float:
    return min(max(DEGRADED_RETRY_S, age_s), RETRY_MAX_S)


def _put_off(tx: sa.Connection, due: Sequence[tuple[str, float]]) -> None:
    """Let notes that were looked at now be looked at later, those left alone too: they would hide others for ever."""
    if due:
        mine = (pointers.c.subject == sa.bindparam("key")) & (pointers.c.kind == "note")
        later = pointers.update().where(mine).values(again_at=sa.bindparam("later"))
        tx.execute(later, [{"key": key, "later": at} for key, at in due])
