"""What a commit means for everybody who waits: work, batches, recordings and submissions.

Used by commits.py inside its transaction, and by nobody else; whether a change may be committed is decided there.

What surprises: a new transcript, or a corrected one, takes the note's work away from whoever is writing one, because
that note would belong to the old transcript: epoch + 1, its batch item released. And the note of a transcript that is
wanted anew is committed as any other, but ends nothing: who asked for another model waits for the note of that one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa

from diary_pipeline.core.batch import ENDED, Stage
from diary_pipeline.ledger.again import ready
from diary_pipeline.ledger.claims import settle
from diary_pipeline.ledger.connect import GaveWay
from diary_pipeline.ledger.failures import Failure, note_failures
from diary_pipeline.ledger.job_versions import NOTHING, Versions, current, current_transcript
from diary_pipeline.ledger.outbox import listeners, tell_ended
from diary_pipeline.ledger.retries import RETRY, pause_s
from diary_pipeline.ledger.statements import each, insert_all_missing, now
from diary_pipeline.ledger.tables import batches, recordings, submissions, work

Reason = Mapping[str, str | None]


class Change(Protocol):
    """The part of commits.Change that is needed here."""

    @property
    def key(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def version(self) -> str | None: ...
    @property
    def reason_code(self) -> str | None: ...
    @property
    def message(self) -> str: ...
    @property
    def retry_after_s(self) -> Sequence[float]: ...


@dataclass(frozen=True)
class Work:
    """One locked row of `work`."""

    state: str
    wanted: bool
    epoch: int
    batch_id: str | None
    priority: int
    audio_s: float
    reason_code: str | None
    retries: int


class Settlement:
    """The work of some recordings, locked until the transaction ends."""

    def __init__(self, tx: sa.Connection, stage: Stage, keys: Sequence[str]) -> None:
        self.tx = tx
        self.stage: Stage = stage
        self.work = _locked(tx, keys)
        self.at = now(tx)

    def commit(self, changes: Sequence[Change], seq: int) -> None:
        """Tell everybody about changes that are committed now."""
        alike: dict[tuple[str, bool, str | None, str], list[str]] = {}
        for c in changes:
            alike.setdefault((c.status, c.version is None, c.reason_code, c.message), []).append(c.key)
        for (status, failed, code, message), keys in alike.items():
            reason = {"reason_code": code, "message": message or None}
            self._finish(keys, "failed" if failed else "done", "failed" if failed else "committed", reason)
            told = self._told(keys)
            self._show(told, status, reason, self.stage if failed else None)
            self._answer(told, status, reason, seq, current(submissions.c.recording_key))
        if self.stage == "transcript":
            self.want_notes([c.key for c in changes if c.version is not None])

    def find(self, change: Change, *, noted: bool, outcome: str | None, seq: int) -> None:
        """Tell everybody about a change that needs no commit: current already, or failed while a good version stays.

        `noted`: the current note belongs to the current transcript. `outcome`: how the recording ended last, if ever.
        """
        key, kept = [change.key], change.version is None
        reason = {"reason_code": change.reason_code, "message": change.message or None}
        self._finish(key, "done", "failed" if kept else "committed", reason)
        if not self._told(key):
            return
        coming = False
        if self.stage == "transcript":
            note = self.work.get((change.key, "note"))
            coming = note is not None and note.wanted
            if not (kept or noted or coming):
                self.want_notes(key)
                coming = True
        status, _, code = ("generating_notes", "", "") if coming or not outcome else outcome.partition(":")
        standing: Reason = {"reason_code": code or None}
        # A transcript is there, so only the note can have failed; the sentence about that still stands in the row.
        failed_stage = "note" if status == "failed" else None
        self._show(key, status, standing if failed_stage else {**standing, "message": None}, failed_stage)
        if kept:  # who asked for the version that failed gets an honest answer, although the good one stays
            status, standing = "failed", reason
            got = NOTHING if self.stage == "transcript" else current_transcript(submissions.c.recording_key)
        else:
            got = current(submissions.c.recording_key)
        self._answer(key, status, standing, seq, got)

    def put_aside(self, change: Change) -> None:
        """Note a failure that nobody waited for and that changes nothing else."""
        reason = {"reason_code": change.reason_code, "message": change.message or None}
        self._finish([change.key], "failed", "failed", reason)

    def try_again(self, change: Change) -> None:
        """Let a failure that may go away wait for its retry: for users the recording is still on its way."""
        mine = self.work[change.key, self.stage]
        at = self.at + (pause_s(mine.retries, change.retry_after_s) or 0.0)
        reason = {"reason_code": change.reason_code, "message": change.message or None}
        again = {**ready(at), "state": RETRY, "retries": mine.retries + 1, **reason}
        todo = (work.c.recording_key == change.key) & (work.c.stage == self.stage)
        self.tx.execute(work.update().where(todo).values(again))
        self._mark_items(self.stage, [change.key], "failed")
        self._note_failures([change.key], reason, at)
        shown = {"status": "pending" if self.stage == "transcript" else "generating_notes", **reason}
        for key in self._told([change.key]):
            for table, column in ((recordings, recordings.c.key), (submissions, submissions.c.recording_key)):
                self.tx.execute(table.update().where(column == key, table.c.ended_at.is_(None)).values(shown))

    def plan_again(self, key: str) -> None:
        """Give work back that was done from something no longer current."""
        self._mark_items(self.stage, [key], "released")
        mine = (work.c.recording_key == key) & (work.c.stage == self.stage)
        self.tx.execute(work.update().where(mine).values(ready(self.at)))

    def want_notes(self, keys: Sequence[str]) -> None:
        """Have notes written of what is said now; whoever is writing one of what was said before comes too late."""
        known = [k for k in keys if (k, "note") in self.work]
        if known:
            self._mark_items("note", known, "released")
            again = work.update().where(work.c.stage == "note").values(epoch=work.c.epoch + 1, **ready(self.at))
            each(self.tx, again, work.c.recording_key, known)
        fresh = [
            {
                "recording_key": key,
                "stage": "note",
                "model": "",
                "priority": self.work[(key, "transcript")].priority,
                "audio_s": self.work[(key, "transcript")].audio_s,
                "epoch": 0,
                **ready(self.at),
            }
            for key in keys
            if (key, "note") not in self.work
        ]
        if fresh and insert_all_missing(self.tx, work, fresh) < len(fresh):
            raise GaveWay  # somebody asked for the note by hand since the rows were locked

    def _finish(self, keys: Sequence[str], state: str, outcome: str, reason: Reason) -> None:
        done: dict[str, object] = {"state": state, "wanted": False, "holder": None, "expires_at": None, **reason}
        if state == "done":
            done["retries"] = 0
        each(self.tx, work.update().where(work.c.stage == self.stage).values(**done), work.c.recording_key, keys)
        self._mark_items(self.stage, keys, outcome)
        if outcome == "failed":
            self._note_failures(keys, reason)

    def _note_failures(self, keys: Sequence[str], reason: Reason, again_at: float | None = None) -> None:
        code = reason["reason_code"] or ""
        note_failures(self.tx, [Failure(key, self.stage, code, self.at, again_at) for key in keys])

    def _mark_items(self, stage: Stage, keys: Sequence[str], outcome: str) -> None:
        carried: dict[str, list[str]] = {}
        for key in keys:
            row = self.work.get((key, stage))
            if row is not None and row.batch_id is not None:
                carried.setdefault(row.batch_id, []).append(key)
        for batch_id, some in sorted(carried.items()):
            settle(self.tx, batch_id, dict.fromkeys(some, outcome))

    def _told(self, keys: Sequence[str]) -> Sequence[str]:
        """Return the recordings that a commit moves on: not those whose transcript is to be made anew."""
        if self.stage == "transcript":
            return keys
        return [k for k in keys if not ((transcript := self.work.get((k, "transcript"))) and transcript.wanted)]

    def _show(self, keys: Sequence[str], status: str, reason: Reason, failed_stage: str | None) -> None:
        ended_at = self.at if status in ENDED else None
        shown = recordings.update().values(status=status, failed_stage=failed_stage, ended_at=ended_at, **reason)
        each(self.tx, shown, recordings.c.key, keys)

    def _answer(self, keys: Sequence[str], status: str, reason: Reason, seq: int, got: Versions) -> None:
        """Open submissions follow their recording; ended ones keep their answer, but a failure since put right, and a
        stand-in that the note itself has replaced.

        The note of an older transcript does not put right that another one could not be made.
        """
        ending = {"ended_at": self.at, "commit_seq": seq, **got} if status in ENDED else {}
        told = submissions.update().values(status=status, **reason, **ending)
        listening = listeners(self.tx, keys) if ending else []
        each(self.tx, told.where(submissions.c.ended_at.is_(None)), submissions.c.recording_key, keys)
        ended, upgraded = [job.id for job in listening if job.status not in ENDED], list[str]()
        if status in ENDED and status != "failed":
            met = [k for k in keys if not (self.stage == "note" and self.work[k, "transcript"].reason_code)]
            # An expression, because a plain `status = ...` leads SQLite to walk all that have that status.
            worse = ("failed", "degraded") if status == "completed" else ("failed",)
            each(self.tx, told.where(submissions.c.status.concat("").in_(worse)), submissions.c.recording_key, met)
            put_right = [job for job in listening if job.status in worse and job.recording_key in set(met)]
            ended += [job.id for job in put_right]
            upgraded += [job.id for job in put_right if job.status == "degraded"]
        if ended:
            tell_ended(self.tx, ended, upgraded)


def _locked(tx: sa.Connection, keys: Sequence[str]) -> Mapping[tuple[str, str], Work]:
    """Lock the batches and then the work of these recordings, the order that connect.py asks for."""
    carrying = sa.select(work.c.batch_id).where(work.c.batch_id.is_not(None))
    ids = {row.batch_id for row in each(tx, carrying, work.c.recording_key, keys)}
    theirs = sa.select(batches.c.id).order_by(batches.c.id).with_for_update()
    locked = {row.id for row in each(tx, theirs, batches.c.id, sorted(ids))}
    columns = [work.c[name] for name in Work.__dataclass_fields__]
    chosen = sa.select(work.c.recording_key, work.c.stage, *columns).order_by(work.c.recording_key, work.c.stage)
    rows = each(tx, chosen.with_for_update(), work.c.recording_key, sorted(keys))
    found = {(key, stage): Work(*row) for key, stage, *row in rows}
    if not {w.batch_id for w in found.values()} <= locked | {None}:
        raise GaveWay
    return found
