"""How a submission becomes a recording: a new one, or the one that is there already.

recordings.py reads what this file writes. Probing, hashing and storing the audio happened before, in intake.

What surprises: an owner's work takes turns in *their own* time. Each new recording's `turn_at` lies its own length
after the last one the owner still has waiting, but never in the past. Somebody who brings ten years of memos at once
therefore fills their own future, and the planner, which reads a window of the lowest turns, meets the next person's
single memo at once, without ever walking the backlog.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.core.batch import ENDED, Stage
from diary_pipeline.core.errors import NotFound, PermanentError, TransientError, UsageError
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger import tombstones
from diary_pipeline.ledger.again import ready
from diary_pipeline.ledger.connect import GaveWay, Ledger
from diary_pipeline.ledger.endings import count_endings
from diary_pipeline.ledger.job_versions import current
from diary_pipeline.ledger.outbox import tell_ended
from diary_pipeline.ledger.retention import GOING
from diary_pipeline.ledger.statements import insert_missing, now
from diary_pipeline.ledger.tables import pointers, recordings, submissions, work

CANCELLED = "cancelled"
"""The reason of work that nobody waits for any more, because its last job was cancelled."""
HOPELESS = frozenset({"audio_empty", "audio_unreadable", "audio_truncated"})
"""Failures that no setting and no second look at the same bytes could change."""


class AudioGoing(TransientError):
    """Retention removes this very audio now; the submission waits until it has."""


@dataclass(frozen=True)
class Accepted:
    """What became of an accepted submission."""

    key: str
    duplicate: bool
    """The owner had brought the same audio before."""
    new_work: bool
    """Something is to be transcribed because of it."""


def accept(
    ledger: Ledger,
    submission_id: str,
    recording: Recording,
    priority: int,
    audio_s: float,
    *,
    tombstone: str | None = None,
) -> Accepted:
    """Make a recording of a submission, or let it share the one with the same owner and content.

    Same model, language and vocabulary: the submission takes over that recording's status, and what failed is tried
    anew when a person asks. Different ones: they are what is wanted from now on, and whoever transcribes with the old
    ones is fenced. Accepting again answers the same.

    AudioRefused `audio_erased` while `tombstone` stands: what was erased since intake looked does not come back.
    """
    return ledger.write(lambda tx: _accept(tx, submission_id, recording, priority, audio_s, tombstone))


def _accept(  # noqa: PLR0917 - what `accept` was given, in its order
    tx: sa.Connection, submission_id: str, recording: Recording, priority: int, audio_s: float, tombstone: str | None
) -> Accepted:
    asked = _asked(tx, submission_id)
    if asked.recording_key is not None:
        return Accepted(asked.recording_key, asked.duplicate, new_work=False)
    at = now(tx)
    if insert_missing(tx, recordings, _row(recording, submission_id, at)):
        # Asked after the insert, which has waited for an erasure that is deleting the recording's row at this moment.
        if tombstone is not None and tombstones.is_there(tx, tombstone):
            raise tombstones.refusal(recording.file_name, recording.owner)
        _add_work(tx, recording, priority, audio_s, at)
        _answer(tx, submission_id, {"recording_key": recording.key})
        return Accepted(recording.key, duplicate=False, new_work=True)
    key = _same_content(tx, recording)
    todo = work.c.recording_key == key
    stages = {
        row.stage: row for row in tx.execute(sa.select(work).where(todo).order_by(work.c.stage).with_for_update())
    }
    there = tx.execute(sa.select(recordings).where(recordings.c.key == key).with_for_update()).one_or_none()
    if there is None:  # erased since its key was read
        raise GaveWay
    if there.audio_removed_at == GOING:  # its object may go at any moment, also the one that was just stored
        raise AudioGoing("audio_going", f"The audio of {key} is just being removed; it is taken in again then.")
    if there.audio_removed_at is not None:  # whoever brings it again has it stored again
        tx.execute(recordings.update().where(recordings.c.key == key).values(audio_removed_at=None))
    shared: dict[str, object] = {"recording_key": key, "duplicate": True}
    if any(getattr(there, name) != wish for name, wish in _wishes(recording).items()):
        again: Stage | None = "transcript"
    else:
        is_asked = asked.source not in ("folder", "bucket") or there.status == "cancelled"
        again = _failed_stage(there, stages["transcript"]) if is_asked else None
    if again is None:
        raised = work.update().where(todo, work.c.state == "ready", work.c.priority < priority)
        tx.execute(raised.values(priority=priority))
        standing = _standing(tx, there, at)
        _answer(tx, submission_id, {**shared, **standing})
        if there.status in ENDED:
            count_endings(tx, [(there.status, there.reason_code)])
        return Accepted(key, duplicate=True, new_work=False)
    _answer(tx, submission_id, {**shared, "status": _want_again(tx, again, key, recording, priority=priority, at=at)})
    return Accepted(key, duplicate=True, new_work=True)


def _asked(tx: sa.Connection, submission_id: str) -> sa.Row[tuple[object, ...]]:
    """Return a submission that may be answered, or was; the lock keeps a second worker from answering otherwise."""
    row = tx.execute(sa.select(submissions).where(submissions.c.id == submission_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound("submission_missing", f"There is no submission {submission_id}: submit the file again.")
    if row.recording_key is None and row.status != "pending":
        raise UsageError("submission_ended", f"Submission {submission_id} is {row.status}: submit the file again.")
    return row


def _same_content(tx: sa.Connection, recording: Recording) -> str:
    same = (recordings.c.owner == recording.owner) & (recordings.c.content_sha256 == recording.content_sha256)
    key: str | None = tx.execute(sa.select(recordings.c.key).where(same)).scalar_one_or_none()
    if key is None:
        if tx.execute(sa.select(recordings.c.id).where(recordings.c.key == recording.key)).first() is None:
            raise GaveWay  # it was erased while this waited for its row
        raise PermanentError(
            "key_taken", f"Another recording has the key {recording.key}: rename the file, submit again."
        )
    return key


def _standing(tx: sa.Connection, there: sa.Row[tuple[object, ...]], at: float) -> dict[str, object]:
    """What a submission shares with its recording: how it stands, or how and with which commit it ended."""
    shared = {"status": there.status, "reason_code": there.reason_code, "message": there.message}
    if there.status not in ENDED:
        return shared
    outcome = (pointers.c.subject == there.key) & (pointers.c.kind == "outcome")
    seq = tx.execute(sa.select(pointers.c.seq).where(outcome)).scalar()
    return {**shared, "ended_at": at, "commit_seq": seq, **current(there.key)}


def _failed_stage(there: sa.Row[tuple[object, ...]], transcript: sa.Row[tuple[object, ...]]) -> Stage | None:
    """Return the stage that went wrong, or was cancelled, and is worth another try; None: nothing could change."""
    if there.status == "cancelled":
        return "transcript" if transcript.reason_code == CANCELLED else "note"
    if there.status == "failed" and there.reason_code not in HOPELESS:
        return "note" if there.failed_stage == "note" else "transcript"
    # The model wanted now could not transcribe it, and the transcript of an earlier one stands.
    kept = transcript.state == "done" and transcript.reason_code not in {None, *HOPELESS}
    return "transcript" if kept else None


def _want_again(tx: sa.Connection, stage: Stage, key: str, recording: Recording, *, priority: int, at: float) -> str:
    """Want a stage of a recording made again, whoever is making it now, and return the status that means."""
    todo = work.c.recording_key == key
    again = work.update().where(todo, work.c.stage == stage).values(**ready(at), epoch=work.c.epoch + 1)
    if stage == "transcript":
        again = again.values(model=recording.whisper_model, turn_at=_turn(tx, recording.owner, at, 0.0))
    tx.execute(again)
    tx.execute(work.update().where(todo).values(priority=priority))  # its note will be as urgent
    status = "pending" if stage == "transcript" else "generating_notes"
    wanted = {**_wishes(recording), "status": status}
    ended = dict.fromkeys(("failed_stage", "reason_code", "message", "ended_at"))
    tx.execute(recordings.update().where(recordings.c.key == key).values(**wanted, **ended))
    return status


def _wishes(recording: Recording) -> dict[str, object]:
    return {
        "whisper_model": recording.whisper_model,
        "language": recording.language,
        "vocabulary": list(recording.vocabulary),
    }


def _add_work(tx: sa.Connection, recording: Recording, priority: int, audio_s: float, at: float) -> None:
    tx.execute(
        work.insert().values(
            recording_key=recording.key,
            stage="transcript",
            state="ready",
            wanted=True,
            model=recording.whisper_model,
            priority=priority,
            audio_s=audio_s,
            ready_at=at,
            owner=recording.owner,
            turn_at=_turn(tx, recording.owner, at, audio_s),
            epoch=0,
            attempts=0,
        )
    )


def _turn(tx: sa.Connection, owner: str, at: float, audio_s: float) -> float:
    theirs = (work.c.stage == "transcript") & (work.c.state == "ready") & (work.c.owner == owner)
    last = tx.execute(sa.select(sa.func.max(work.c.turn_at)).where(theirs)).scalar()
    return at if last is None else max(at, last + audio_s)


def _answer(tx: sa.Connection, submission_id: str, values: dict[str, object]) -> None:
    tx.execute(submissions.update().where(submissions.c.id == submission_id).values(**values))
    if "ended_at" in values:
        tell_ended(tx, [submission_id])


def _row(recording: Recording, submission_id: str, at: float) -> dict[str, object]:
    spoken = recording.recorded_at
    return {
        "key": recording.key,
        "owner": recording.owner,
        "content_sha256": recording.content_sha256,
        "submission_id": submission_id,
        "file_name": recording.file_name,
        "object_key": recording.object_key,
        "size_bytes": recording.size_bytes,
        "container": recording.container,
        "declared_s": recording.declared_s,
        "recorded_at": spoken.at.timestamp(),
        "recorded_day": spoken.day.isoformat(),
        "recorded_zone": spoken.zone,
        "recorded_at_source": spoken.source,
        "recorded_at_confidence": spoken.confidence,
        "recorded_at_note": spoken.note,
        "title": recording.title,
        "tags": list(recording.tags),
        **_wishes(recording),
        "status": "pending",
        "created_at": at,
    }
