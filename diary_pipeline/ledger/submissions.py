"""Submissions: what somebody asked for, and what became of it; and the files that were seen already.

It becomes a recording in acceptance.py, and ends with that recording (settling.py), or here, when it is refused; how
far its bytes have come stands in fetching.py. The surprise: a submission without a recording is the queue of intake;
nothing else is written to put it there. The queue has two lanes, because what is here must not wait for what is far;
in each, whose turn it is stands in turns.py.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import sqlalchemy as sa

from diary_pipeline.core.batch import PRIORITIES, priority_rank
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.endings import count_endings
from diary_pipeline.ledger.failures import Failure, note_failures
from diary_pipeline.ledger.outbox import tell_ended
from diary_pipeline.ledger.planner import STEP_S, Waiting, in_order
from diary_pipeline.ledger.statements import chunks, insert_all_missing, insert_missing, now, upsert, upsert_all
from diary_pipeline.ledger.tables import FAR, NEAR, REFUSED_UNCOMMITTED, WAITING, seen_files, submissions
from diary_pipeline.ledger.tables_jobs import jobs
from diary_pipeline.ledger.turns import in_turn


@dataclass(frozen=True)
class Submission:
    """One row of `submissions`."""

    id: str
    owner: str
    source: str
    uri: str
    file_name: str
    options: Mapping[str, object]
    priority: int
    status: str
    recording_key: str | None
    duplicate: bool
    reason_code: str | None
    message: str | None
    created_at: float
    ended_at: float | None
    commit_seq: int | None
    """The commit that ended it; users see the result once the published watermark has reached it."""
    attempts: int
    """To fetch it, in vain."""
    fetching_since: float | None
    received_bytes: int | None
    expected_bytes: int | None
    lane: int

    @property
    def waits(self) -> bool:
        """Intake has neither accepted nor refused it."""
        return self.status == "pending" and self.recording_key is None

    @property
    def is_near(self) -> bool:
        """Its bytes are here, and whole."""
        return self.lane == NEAR

    @property
    def is_far(self) -> bool:
        """Its bytes must be fetched first."""
        return self.lane == FAR


@dataclass(frozen=True)
class Seen:
    """What a file looked like when it was last submitted."""

    size_bytes: int
    mtime_ns: int
    submission_id: str


@dataclass(frozen=True)
class NewFile:
    """A file to submit, as it was seen."""

    id: str
    uri: str
    file_name: str
    size_bytes: int
    mtime_ns: int


def submit(
    ledger: Ledger,
    *,
    owner: str,
    source: str,
    uri: str,
    file_name: str,
    options: Mapping[str, object],
    priority: str = "medium",
    id: str | None = None,
) -> str:
    """Put what lies at `uri` in the queue of intake and return the submission's id; a known `id` is left as it is."""
    id = id or uuid.uuid4().hex
    row = _new(owner, source, options, priority) | {"id": id, "uri": uri, "file_name": file_name}
    with ledger.writing() as tx:
        insert_missing(tx, submissions, in_turn(tx, [{**row, "created_at": now(tx)}])[0])
    return id


def submit_files(
    ledger: Ledger,
    files: Sequence[NewFile],
    *,
    owner: str,
    source: str,
    options: Mapping[str, object],
    priority: str = "medium",
) -> None:
    """Put files in the queue of intake and remember what they look like, in one transaction."""
    shared = _new(owner, source, options, priority)
    places = [(file, {"id": file.id, "uri": file.uri, "file_name": file.file_name}) for file in files]

    def write(tx: sa.Connection) -> None:
        at = now(tx)
        # A thousandth of a second apart: they are worked off in the order in which they were found.
        rows = [{**shared, **place, "created_at": at + n / 1_000} for n, (_, place) in enumerate(places)]
        insert_all_missing(tx, submissions, in_turn(tx, rows))
        upsert_all(tx, seen_files, [_seen(owner, f.uri, f.size_bytes, f.mtime_ns, f.id) for f in files])

    if files:
        ledger.write(write)


def _new(owner: str, source: str, options: Mapping[str, object], priority: str) -> dict[str, object]:
    return {
        "owner": owner,
        "source": source,
        "options": dict(options),
        "priority": priority_rank(priority),
        "status": "pending",
        "duplicate": False,
    }


def get(conn: sa.Connection, ids: Sequence[str]) -> list[Submission]:
    """Return the submissions of these ids, in their order; unknown ones are left out."""
    found: dict[str, Submission] = {}
    for some in chunks(dict.fromkeys(ids)):
        found |= {s.id: s for s in map(_submission, conn.execute(_ROWS.where(submissions.c.id.in_(some))))}
    return [found[id] for id in dict.fromkeys(ids) if id in found]


def starting(conn: sa.Connection, beginning: str, limit: int) -> list[str]:
    """Return ids that begin so; an index answers, because ids are hex in lower case."""
    if not beginning or set(beginning) - set("0123456789abcdef"):
        return []
    ids = sa.select(submissions.c.id).where(submissions.c.id >= beginning, submissions.c.id < f"{beginning}g")
    return list(conn.execute(ids.limit(limit)).scalars())


def waiting(conn: sa.Connection, limit: int, *, far: bool = False, step_s: float = STEP_S) -> list[Submission]:
    """Return what intake may look at now, in the planner's order: priority and age, and owners take turns.

    Of each priority it reads as many as may be returned, those whose turn comes first: never a whole backlog.
    `far`: what must be fetched, without what somebody is fetching or what pauses after a failure; otherwise what is
    here: files and uploads. `step_s`: of waiting, which lifts by one priority.
    """
    at = now(conn)
    due = _ROWS.where(WAITING, submissions.c.lane == (FAR if far else NEAR), submissions.c.not_before <= at)
    found: dict[str, Submission] = {}
    for priority in PRIORITIES.values():  # one range of the index each
        ordered = due.where(submissions.c.priority == priority).order_by(
            submissions.c.turn_at, submissions.c.created_at
        )
        found |= {s.id: s for s in map(_submission, conn.execute(ordered.limit(limit)))}
    queued = [
        Waiting(s.id, "transcript", "", s.owner, s.priority, None, max(0.0, at - s.created_at)) for s in found.values()
    ]
    return [found[item.key] for _, item in islice(in_order(queued, step_s), limit)]


def waiting_owners(conn: sa.Connection) -> set[str]:
    """Return whose files wait or are being taken in."""
    return set(conn.execute(sa.select(submissions.c.owner).where(WAITING).distinct()).scalars())


def refused_uncommitted(conn: sa.Connection, limit: int) -> list[str]:
    """Return the ids of refusals that the catalogue does not tell yet, oldest first."""
    chosen = sa.select(submissions.c.id).where(REFUSED_UNCOMMITTED).order_by(submissions.c.created_at)
    return list(conn.execute(chosen.limit(limit)).scalars())


def refuse(ledger: Ledger, id: str, code: str, message: str) -> None:
    """End a submission that cannot become a recording; one that did, or has ended, stays as it is."""
    with ledger.writing() as tx:
        refuse_in(tx, id, code, message)


def refuse_in(tx: sa.Connection, id: str, code: str, message: str) -> None:
    """Do what `refuse` does, within a transaction."""
    values = {"status": "refused", "reason_code": code, "message": message, "ended_at": now(tx)}
    if tx.execute(submissions.update().where(submissions.c.id == id, WAITING).values(**values)).rowcount:
        tell_ended(tx, [id])
        note_failures(tx, [Failure(id, "intake", code, now(tx))])
        count_endings(tx, [("refused", code)])


def drop(ledger: Ledger, id: str) -> None:
    """Forget a submission that nobody made; a folder's or bucket's file that was erased leaves no name."""
    with ledger.writing() as tx:
        gone = tx.execute(submissions.delete().where(submissions.c.id == id, submissions.c.recording_key.is_(None)))
        if gone.rowcount:
            tx.execute(jobs.delete().where(jobs.c.submission_id == id))


def counts(conn: sa.Connection) -> dict[str, int]:
    """Count all submissions by status; reads a whole index, so it is for people and not for ticks."""
    counted = sa.select(submissions.c.status, sa.func.count()).group_by(submissions.c.status)
    return dict(conn.execute(counted).tuples().all())


def seen(conn: sa.Connection, owner: str, paths: Sequence[str]) -> dict[str, Seen]:
    """Return what is remembered of these files of one owner."""
    t = seen_files.c
    found: dict[str, Seen] = {}
    for some in chunks(paths):
        chosen = sa.select(t.path, t.size_bytes, t.mtime_ns, t.submission_id).where(t.owner == owner, t.path.in_(some))
        found |= {path: Seen(*rest) for path, *rest in conn.execute(chosen).tuples()}
    return found


def remember(  # noqa: PLR0917 - the columns of one row, in their order
    ledger: Ledger, owner: str, path: str, size_bytes: int, mtime_ns: int, submission_id: str
) -> None:
    """Note what a file looks like, so that it is not hashed again before it changes."""
    with ledger.writing() as tx:
        upsert(tx, seen_files, _seen(owner, path, size_bytes, mtime_ns, submission_id))


def _seen(owner: str, path: str, size_bytes: int, mtime_ns: int, submission_id: str) -> dict[str, object]:
    looks = {"size_bytes": size_bytes, "mtime_ns": mtime_ns, "submission_id": submission_id}
    return {"owner": owner, "path": path, **looks}


_ROWS = sa.select(*(submissions.c[name] for name in Submission.__dataclass_fields__))


def _submission(row: sa.Row[tuple[object, ...]]) -> Submission:
    return Submission(**row._mapping)
