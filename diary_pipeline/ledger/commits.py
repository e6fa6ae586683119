"""Commits: the one transaction that makes staged objects the truth.

What the transaction means for recordings, submissions, work and batches is settling.py's business; how pointers move
is that of pointers.py; building and staging objects is the catalogue's. Nobody else writes `clock`, `commits`,
`pointers` or `history`, but for log_objects.py, versions.py (going back), mending.py (what was lost) and erasure.

What surprises: the clock row is locked before anything is read. Commits therefore queue, `seq` has no gaps and follows
commit order, so a reader that asks for `seq > watermark` can never miss a commit that finished late.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import sqlalchemy as sa

from diary_pipeline.core.batch import ENDED, Stage, Status
from diary_pipeline.core.correction import EDITED
from diary_pipeline.core.errors import NotFound
from diary_pipeline.core.note import DEGRADED
from diary_pipeline.ledger import job_versions
from diary_pipeline.ledger.clock import next_seq, tick
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.endings import count_endings
from diary_pipeline.ledger.pointers import Pointer, PointerKind, current_of, move
from diary_pipeline.ledger.retries import pause_s
from diary_pipeline.ledger.settling import Settlement
from diary_pipeline.ledger.statements import each, now
from diary_pipeline.ledger.tables import commits, pointers, recordings, submissions

Verdict = Literal["new", "already", "kept", "fenced", "stale", "retried"]
Seen = Mapping[PointerKind, str | None]
"""Versions of a recording's transcript, note and corrections; None: there is none."""


@dataclass(frozen=True)
class Change:
    """What a batch wants to become of one recording."""

    key: str
    epoch: int
    """Of the lease under which it was computed."""
    status: Status
    version: str | None
    """None: the stage failed."""
    reason_code: str | None = None
    message: str = ""
    requires: tuple[str, str] | None = None
    """(kind, version): the pointer of that kind must still be at that version."""
    made_with: str | None = None
    """Of a note: DiaryNote.made_with."""
    corrections: str | None = None
    """Of a note: version of the corrections that it is shown with; they must be the current ones too."""
    retry_after_s: Sequence[float] = ()
    """Of a failure that may go away: pauses after which it is tried again, the first one first. Empty: for good."""


@dataclass(frozen=True)
class Correcting:
    """What an owner wants to put right in one recording."""

    key: str
    version: str
    """Of everything that is put right in it then."""
    seen: Seen
    """What it was corrected from."""
    is_said_anew: bool
    """What was said reads otherwise with it: the note is made again, and whoever is making one makes it in vain."""


@dataclass(frozen=True)
class Committed:
    """What became of the changes. Either all are in `committed`, or none is and `seq` is 0: stage the rest again."""

    seq: int
    committed: tuple[str, ...] = ()
    already: tuple[str, ...] = ()
    """This version is current already: settled as if committed now."""
    fenced: tuple[str, ...] = ()
    """Somebody else holds the lease now, or nobody may."""
    stale: tuple[str, ...] = ()
    """What it was computed from is no longer current: planned again."""
    kept: tuple[str, ...] = ()
    """What users see stays: an earlier good version of what failed now or is a stand-in now, or a recording that waits
    for another stage."""
    retried: tuple[str, ...] = ()
    """Failed, and tried again by themselves: nothing has ended."""

    @property
    def dropped(self) -> frozenset[str]:
        """The keys that must not be staged again."""
        return frozenset((*self.already, *self.fenced, *self.stale, *self.kept, *self.retried))


def record(ledger: Ledger, *, kind: Stage, object_id: str, size_bytes: int, changes: Sequence[Change]) -> Committed:
    """Commit a staged object, which holds a recording at most once and no row of any recording not named in `changes`.

    All or nothing: when a change cannot be committed, those that need no object are settled, nothing else is written,
    and the caller stages the rest under a new object. Otherwise an object could hold text the ledger does not know of.
    """
    if not changes:
        return Committed(0)
    return ledger.write(lambda tx: _record(tx, kind, object_id, size_bytes, changes))


def record_refusals(ledger: Ledger, *, object_id: str, size_bytes: int, submission_ids: Sequence[str]) -> int:
    """Commit outcome rows of refused submissions and return the seq; 0: some had theirs already, nothing is written."""
    with ledger.writing() as tx:
        seq = next_seq(tx)
        owners = dict(
            map(tuple, each(tx, sa.select(submissions.c.id, submissions.c.owner), submissions.c.id, submission_ids))
        )
        # A pointer at nothing is what an erasure left: a file that lies in a folder is refused again under the same id.
        has_row = any(p.object_id for p in current_of(tx, submission_ids).values())
        if not owners or len(owners) < len(submission_ids) or has_row:
            return 0
        _commit(tx, "outcome", object_id, size_bytes, seq=seq, at=now(tx))
        move(tx, "outcome", [Pointer(i, "outcome", owners[i], "refused", object_id, seq) for i in submission_ids])
        each(tx, submissions.update().values(commit_seq=seq), submissions.c.id, submission_ids)
        return seq


def record_corrections(ledger: Ledger, *, object_id: str, size_bytes: int, wanted: Correcting) -> int:
    """Commit what is put right in a recording now and return the seq; 0: what was seen has changed, nothing is written.

    NotFound when the recording is not there, or was erased.
    """
    return ledger.write(lambda tx: _record_corrections(tx, object_id, size_bytes, wanted))


def seen_now(conn: sa.Connection, key: str) -> Seen:
    """Return what a correction would be laid over."""
    return _seen(current_of(conn, [key]), key)


def outcome_version(change: Change) -> str:
    """Say how a recording ended, as the version of its outcome pointer: `completed`, `failed:audio_truncated`."""
    return f"{change.status}:{change.reason_code}" if change.reason_code else change.status


def made_at(conn: sa.Connection, seq: int) -> float | None:
    """Return when the last commit up to `seq` was made, by the database's clock; None: there is none."""
    newest = sa.select(commits.c.committed_at).where(commits.c.seq <= seq).order_by(commits.c.seq.desc()).limit(1)
    return conn.execute(newest).scalar_one_or_none()


def first_made_at(conn: sa.Connection, after: int) -> float | None:
    """Return when the first commit after a seq was made, by the database's clock; None: there is none."""
    oldest = sa.select(commits.c.committed_at).where(commits.c.seq > after).order_by(commits.c.seq).limit(1)
    return conn.execute(oldest).scalar_one_or_none()


def _record(tx: sa.Connection, kind: Stage, object_id: str, size_bytes: int, changes: Sequence[Change]) -> Committed:
    keys = [c.key for c in changes]
    seq = next_seq(tx)
    settlement = Settlement(tx, kind, keys)
    current = current_of(tx, keys)
    verdicts = {c.key: _verdict(c, kind, settlement, current) for c in changes}
    if set(verdicts.values()) == {"new"}:
        owners = dict(map(tuple, each(tx, sa.select(recordings.c.key, recordings.c.owner), recordings.c.key, keys)))
        _commit(tx, kind, object_id, size_bytes, seq=seq, at=settlement.at)
        moved = [c for c in changes if c.version]
        move(tx, kind, [Pointer(c.key, kind, owners[c.key], c.version, object_id, seq, c.made_with) for c in moved])
        ended = [(c.key, outcome_version(c)) for c in changes if c.status in ENDED]
        move(tx, "outcome", [Pointer(key, "outcome", owners[key], how, object_id, seq) for key, how in ended])
        settlement.commit(changes, seq)
        for change in moved:
            replaced = current.get((change.key, kind))
            if replaced is not None and replaced.made_with == EDITED:
                job_versions.follow(tx, change.key, replaced.version or "", change.version or "")
        count_endings(tx, [(c.status, c.reason_code) for c in changes if c.status in ENDED])
        return Committed(seq, committed=tuple(keys))
    for change in changes:
        if verdicts[change.key] == "stale":
            settlement.plan_again(change.key)
        elif verdicts[change.key] == "retried":
            settlement.try_again(change)
        elif verdicts[change.key] in ("already", "kept"):
            if (change.key, kind) in current:
                _find(settlement, change, current)
            else:
                settlement.put_aside(change)

    failed = [c for c in changes if verdicts[c.key] == "kept" and c.version is None]
    count_endings(tx, [("failed", c.reason_code) for c in failed])

    def of(verdict: Verdict) -> tuple[str, ...]:
        return tuple(k for k in keys if verdicts[k] == verdict)

    dropped = {verdict: of(verdict) for verdict in get_args(Verdict) if verdict != "new"}
    return Committed(0, **dropped)


def _record_corrections(tx: sa.Connection, object_id: str, size_bytes: int, wanted: Correcting) -> int:
    key, seq = wanted.key, next_seq(tx)
    settlement = Settlement(tx, "note", [key])
    owner = tx.execute(sa.select(recordings.c.owner).where(recordings.c.key == key)).scalar_one_or_none()
    current = current_of(tx, [key])
    transcript = current.get((key, "transcript"))
    if owner is None or transcript is None or transcript.object_id is None:
        raise NotFound("recording_missing", "The recording is not there any more, so nothing of it can be corrected.")
    if _seen(current, key) != wanted.seen:
        return 0
    _commit(tx, "correction", object_id, size_bytes, seq=seq, at=settlement.at)
    move(tx, "correction", [Pointer(key, "correction", owner, wanted.version, object_id, seq)])
    if wanted.is_said_anew:
        mine = (pointers.c.subject == key) & (pointers.c.kind == "note") & pointers.c.object_id.is_not(None)
        tx.execute(pointers.update().where(mine).values(made_with=EDITED, again_at=0.0))
        settlement.want_notes([key])
    return seq


def _seen(current: Mapping[tuple[str, str], Pointer], key: str) -> Seen:
    kinds: tuple[PointerKind, ...] = ("transcript", "note", "correction")
    there = {kind: current.get((key, kind)) for kind in kinds}
    return {kind: p.version if p and p.object_id else None for kind, p in there.items()}


def _verdict(
    change: Change, kind: Stage, settlement: Settlement, current: Mapping[tuple[str, str], Pointer]
) -> Verdict:
    mine = settlement.work.get((change.key, kind))
    if mine is None or mine.epoch != change.epoch:
        return "fenced"
    if change.requires is not None:
        needed = current.get((change.key, change.requires[0]))
        is_there = needed is not None and needed.object_id is not None and needed.version == change.requires[1]
        if not is_there or _seen(current, change.key)["correction"] != change.corrections:
            return "stale"
    there = current.get((change.key, kind))
    if there is not None and there.object_id is None:
        there = None
    if change.version is None:
        if mine.wanted and pause_s(mine.retries, change.retry_after_s) is not None:
            return "retried"
        # A note that was asked for by hand before there is a transcript: the recording goes its way.
        is_early = kind == "note" and not mine.wanted and (change.key, "transcript") not in current
        return "kept" if there or is_early else "new"
    if there and _stands_in_for_good(change, there, current):
        return "kept"
    same = there and there.version == change.version and there.made_with in (change.made_with, None)
    return "already" if same else "new"


def _stands_in_for_good(change: Change, there: Pointer, current: Mapping[tuple[str, str], Pointer]) -> bool:
    """Tell whether a degraded note would take the place of a good one of the same transcript."""
    is_good = not (there.made_with or "").startswith(DEGRADED)
    return change.status == "degraded" and is_good and _is_of_transcript(there, current)


def _is_of_transcript(note: Pointer | None, current: Mapping[tuple[str, str], Pointer]) -> bool:
    # Note commits are fenced on the transcript pointer, so a note that is younger than the transcript belongs to it,
    # unless its owner has corrected since what was said.
    transcript = current.get((note.subject, "transcript")) if note else None
    return bool(note and note.object_id and note.made_with != EDITED and transcript and note.seq > transcript.seq)


def _find(settlement: Settlement, change: Change, current: Mapping[tuple[str, str], Pointer]) -> None:
    transcript, note, outcome = (current.get((change.key, kind)) for kind in ("transcript", "note", "outcome"))
    how, seq = outcome.version if outcome else None, max(p.seq for p in (transcript, note, outcome) if p)
    settlement.find(change, noted=_is_of_transcript(note, current), outcome=how, seq=seq)


def _commit(tx: sa.Connection, kind: PointerKind, object_id: str, size_bytes: int, *, seq: int, at: float) -> None:
    tick(tx, seq)
    tx.execute(commits.insert().values(object_id=object_id, kind=kind, seq=seq, size_bytes=size_bytes, committed_at=at))
