"""Notes that would be written otherwise today: which they are, and how their work becomes wanted again.

What is current is the configured writer's to say; nothing is written or paid here. What was said since makes no note
stale in this sense: a new transcript plans its note itself (settling.py).

What surprises: a stale note stays what users see until its successor is committed, so nothing of the recording's status
changes here. And whoever is tried in vain waits for about as long as the note is old before it is tried again: dead
routes are not asked in every tick, and no counter has to be kept.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import sqlalchemy as sa

from diary_pipeline.core.note import DEGRADED
from diary_pipeline.ledger.again import WorkRows, after_what_is_new, locked
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.statements import each, now
from diary_pipeline.ledger.tables import MADE, commits, pointers, work

DEGRADED_RETRY_S, RETRY_MAX_S = 900.0, 86_400.0
"""A provider that is down is back within minutes or hours; a key that is missing may be missing for a week."""
# From pair to next pair through the index, which neither database does by itself for a DISTINCT. Not by comparing rows:
# for `(owner, made_with) > (?, ?)` SQLite begins at the equal ones, and 200,000 notes of one owner took 0.3 s. So they
# take 0.1 ms, and 10,000 owners 0.3 s (15 s with statements of their own for each).
_PAIRS = sa.text("""
WITH RECURSIVE pair(owner, made_with) AS (
    SELECT * FROM (
        SELECT owner, made_with FROM pointers
        WHERE made_with IS NOT NULL AND owner > '' ORDER BY owner, made_with LIMIT 1
    ) AS first
    UNION ALL
    SELECT found.owner, found.made_with FROM pair
    JOIN pointers AS found ON found.kind = 'note' AND found.subject = coalesce(
        (SELECT subject FROM pointers
         WHERE made_with IS NOT NULL AND owner = pair.owner AND made_with > pair.made_with
         ORDER BY made_with LIMIT 1),
        (SELECT subject FROM pointers
         WHERE made_with IS NOT NULL AND owner > pair.owner
         ORDER BY owner, made_with LIMIT 1)
    )
)
SELECT owner, made_with FROM pair
""")
CurrentOf = Callable[[str], frozenset[str]]
"""What an owner's notes are made with today; a note made with anything else is stale. Empty: no route could write one,
and what is there is not to be had better."""


@dataclass(frozen=True)
class Made:
    """Notes of one owner that were made with the same."""

    owner: str
    made_with: str


@dataclass(frozen=True)
class StaleGroup(Made):
    """How many of them there are."""

    notes: int
    audio_s: float


def plan_stale(ledger: Ledger, current_of: CurrentOf, limit: int, *, upgrades: bool) -> int:
    """Want stale notes made again, no more than keep `limit` notes waiting, and return how many that are.

    `upgrades`: the configured writer can better what stands in, so degraded notes are stale too. What waits or is being
    made anyway is left alone, and so are recordings whose transcript is to be made anew.
    """
    with ledger.reading() as conn:  # an idle tick does not queue behind writers
        room = limit - _waiting(conn, limit)
        found = _due(conn, stale_notes(conn, current_of, upgrades=upgrades), room) if room > 0 else {}
    return ledger.write(lambda tx: _want_again(tx, found)) if found else 0


def stale_notes(conn: sa.Connection, current_of: CurrentOf, *, upgrades: bool) -> Iterator[Made]:
    """Give whose notes are stale, and what those were made with; costs a look at the index for each such pair."""
    for owner, pairs in groupby(conn.execute(_PAIRS).all(), key=lambda pair: pair.owner):
        current = current_of(owner)
        for _, made_with in pairs if current else ():
            if upgrades if made_with.startswith(DEGRADED) else made_with not in current:
                yield Made(owner, made_with)


def counted(conn: sa.Connection, made: Made) -> StaleGroup:
    """Count notes, those included that are planned already; for people, because it reads them all."""
    note = (work.c.recording_key == pointers.c.subject) & (work.c.stage == "note")
    summed = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(work.c.audio_s), 0.0))
    notes, audio_s = conn.execute(summed.select_from(pointers.join(work, note)).where(MADE, _are(made))).one()
    return StaleGroup(made.owner, made.made_with, int(notes), float(audio_s))


def newest(conn: sa.Connection, made: Made, limit: int) -> list[str]:
    """Return recordings with such a note, the latest day first; for people as well."""
    chosen = sa.select(pointers.c.subject).where(MADE, _are(made)).order_by(pointers.c.subject.desc())
    return list(conn.execute(chosen.limit(limit)).scalars())


def first_again_at(made_with: str | None, at: float) -> float | None:
    """Say when a note that is committed at `at` may be made again, should it be stale."""
    if made_with is None:
        return None
    return at + DEGRADED_RETRY_S if made_with.startswith(DEGRADED) else 0.0


def _due(conn: sa.Connection, stale: Iterable[Made], limit: int) -> dict[str, str]:
    """Return recordings whose stale notes may be made again now, the longest due of a pair first, and with what."""
    at, found = now(conn), dict[str, str]()
    for made in stale:
        due = sa.select(pointers.c.subject).where(MADE, _are(made), pointers.c.again_at <= at)
        keys = conn.execute(due.order_by(pointers.c.again_at).limit(limit - len(found))).scalars()
        found |= dict.fromkeys(keys, made.made_with)
        if len(found) >= limit:
            break
    return found


def _waiting(conn: sa.Connection, limit: int) -> int:
    waiting = sa.select(work.c.recording_key).where(work.c.stage == "note", work.c.state == "ready").limit(limit)
    return int(conn.execute(sa.select(sa.func.count()).select_from(waiting.subquery())).scalar_one())


def _are(made: Made) -> sa.ColumnElement[bool]:
    return (pointers.c.owner == made.owner) & (pointers.c.made_with == made.made_with)


def _want_again(tx: sa.Connection, made_with: Mapping[str, str]) -> int:
    keys, at = sorted(made_with), now(tx)
    rows = locked(tx, keys)
    made = sa.select(pointers.c.subject, pointers.c.made_with, commits.c.committed_at)
    there = made.join(commits, commits.c.object_id == pointers.c.object_id).where(pointers.c.kind == "note")
    same = [row for row in each(tx, there, pointers.c.subject, keys) if row.made_with == made_with[row.subject]]
    idle = [row.subject for row in same if _is_idle(rows, row.subject)]
    each(tx, after_what_is_new("note", at), work.c.recording_key, idle)
    _put_off(tx, [(row.subject, at + _pause_s(at - row.committed_at)) for row in same])
    return len(idle)


def _is_idle(rows: WorkRows, key: str) -> bool:
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
