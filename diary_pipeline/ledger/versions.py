"""The versions that are kept of a recording's transcript and note, and which of them users see.

Making a version is commits.py's business; here one that was committed before is pointed at once more. Merging the log
(catalogue/merge.py) lets go of all but the current and the previous ones.

What surprises: a transcript takes its note along, and a note its transcript, because a note belongs to one transcript
version. And who goes back has chosen: the note that is shown then counts as made with nothing, so that no sensor writes
it anew behind their back. Going forward to the newest one takes that back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.core.batch import Stage
from diary_pipeline.core.errors import NotFound, PermanentError
from diary_pipeline.ledger.clock import next_seq, tick
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.pointers import Pointer, move, pointers_of
from diary_pipeline.ledger.settling import Settlement
from diary_pipeline.ledger.statements import each, now
from diary_pipeline.ledger.tables import commits, history, pointers, recordings, work


@dataclass(frozen=True)
class Version:
    """A committed result of one stage that can still be shown."""

    stage: Stage
    version: str
    made_seq: int
    """Of the commit that made it."""
    seq: int
    """Of that commit, or of the last time somebody went back to it."""
    object_id: str
    made_at: float
    made_with: str | None
    transcript: str
    """The transcript it was made from; of a transcript its own version."""
    current: bool


@dataclass(frozen=True)
class Shown:
    """What users see from the next publish on."""

    seq: int
    transcript: str
    note: str | None
    """None: no kept note belongs to that transcript, so one is written now."""


def kept(conn: sa.Connection, key: str) -> list[Version]:
    """Return the versions of a recording's transcript and note, the last made first; each once."""
    there = sa.select(history, commits.c.committed_at).join(commits, commits.c.object_id == history.c.object_id)
    of_stages = history.c.kind.in_(("transcript", "note"))
    rows = conn.execute(there.where(history.c.subject == key, of_stages).order_by(history.c.seq)).all()
    mine = sa.select(pointers.c.kind, pointers.c.version).where(pointers.c.subject == key)
    current = set(conn.execute(mine.where(pointers.c.object_id.is_not(None))).tuples())
    transcripts = [row for row in rows if row.kind == "transcript"]
    found: dict[tuple[str, str], Version] = {}
    for row in rows:
        same = (row.kind, row.version)
        of = next((t.version for t in reversed(transcripts) if t.seq <= row.seq), None)
        if of is not None:
            made = found.get(same)
            found[same] = Version(
                stage=row.kind,
                version=row.version,
                made_seq=made.made_seq if made else row.seq,
                seq=row.seq,
                object_id=row.object_id,
                made_at=made.made_at if made else row.committed_at,
                made_with=row.made_with,
                transcript=of,
                current=same in current,
            )
    return sorted(found.values(), key=lambda v: v.made_seq, reverse=True)


def went_back(conn: sa.Connection, keys: Sequence[str]) -> set[str]:
    """Return those recordings of which users see a transcript that is not the last one made."""
    made = sa.func.min(history.c.seq).label("made_seq")
    all_made = sa.select(history.c.subject, history.c.version, made).where(history.c.kind == "transcript")
    newest: dict[str, tuple[int, str | None]] = {}
    for row in each(conn, all_made.group_by(history.c.subject, history.c.version), history.c.subject, keys):
        newest[row.subject] = max(newest.get(row.subject, (0, None)), (row.made_seq, row.version))
    shown = pointers_of(conn, keys, "transcript")
    return {key for key, p in shown.items() if p.object_id and key in newest and newest[key][1] != p.version}


def show_version(ledger: Ledger, key: str, version: str) -> Shown:
    """Make a kept version of a recording's transcript or note the one that users see; it may begin with `version`.

    NotFound `version_missing`; PermanentError `recording_busy` while the recording is worked on.
    """
    return ledger.write(lambda tx: _show(tx, key, lambda some: _named(some, key, version)))


def show_previous(ledger: Ledger, key: str, stage: Stage | None = None) -> Shown:
    """Go one version back: of the note where the current transcript has an earlier one, else of the transcript.

    NotFound `version_missing` when there is nothing before; PermanentError `recording_busy`.
    """
    return ledger.write(lambda tx: _show(tx, key, lambda some: _previous(some, key, stage)))


def _show(tx: sa.Connection, key: str, choose: Callable[[Sequence[Version]], Version]) -> Shown:
    seq = next_seq(tx)
    settlement = Settlement(tx, "transcript", [key])
    owner = tx.execute(sa.select(recordings.c.owner).where(recordings.c.key == key)).scalar_one_or_none()
    if owner is None:
        raise NotFound("recording_missing", f"There is no recording {key}; `diary notes` shows those that there are.")
    if any(row.wanted or row.state in ("ready", "planned") for row in settlement.work.values()):
        raise PermanentError(
            "recording_busy", f"{key} is being worked on; try again when `diary status` shows it ended."
        )
    some = kept(tx, key)
    wanted = choose(some)
    transcript = _the(some, "transcript", wanted.transcript)
    notes = [v for v in some if v.stage == "note" and v.transcript == transcript.version]
    note = wanted if wanted.stage == "note" else next(iter(notes), None)
    if not transcript.current:
        move(tx, "transcript", [_pointer(transcript, key, owner, seq)])
        seq += 1  # a note is younger than its transcript
    if note is None:
        settlement.want_notes([key])
        status = {"status": "generating_notes", "reason_code": None, "message": None, "ended_at": None}
        tx.execute(recordings.update().where(recordings.c.key == key).values(status))
    else:
        is_newest = note == next(v for v in some if v.stage == "note")
        move(tx, "note", [_pointer(note, key, owner, seq, made_with=note.made_with if is_newest else None)])
        mine = (history.c.subject == key) & (history.c.kind == "note") & (history.c.seq == seq)
        tx.execute(history.update().where(mine).values(made_with=note.made_with))
        _show_outcome(tx, key, owner, note, seq)
    tick(tx, seq)
    # Whoever still computes from what was current before comes too late.
    tx.execute(work.update().where(work.c.recording_key == key).values(epoch=work.c.epoch + 1))
    return Shown(seq, transcript.version, note.version if note else None)


def _show_outcome(tx: sa.Connection, key: str, owner: str, note: Version, seq: int) -> None:
    """Let the recording have ended as it did with this note; its outcome row lies in the same object."""
    mine = (history.c.subject == key) & (history.c.kind == "outcome") & (history.c.seq == note.seq)
    row = tx.execute(sa.select(history.c.version, history.c.object_id).where(mine)).one_or_none()
    if row is None:
        return
    move(tx, "outcome", [Pointer(key, "outcome", owner, row.version, row.object_id, seq)])
    status, _, code = row.version.partition(":")
    how = {"status": status, "reason_code": code or None, "message": None, "failed_stage": None, "ended_at": now(tx)}
    tx.execute(recordings.update().where(recordings.c.key == key).values(how))


def _pointer(version: Version, key: str, owner: str, seq: int, made_with: str | None = None) -> Pointer:
    return Pointer(key, version.stage, owner, version.version, version.object_id, seq, made_with)


def _named(some: Sequence[Version], key: str, version: str) -> Version:
    fitting = [v for v in some if version and v.version.startswith(version)]
    if len(fitting) != 1:
        what = "is not kept" if not fitting else "may be several"
        raise NotFound(
            "version_missing", f"Version {version} of {key} {what}; `diary promote {key}` lists those there are."
        )
    return fitting[0]


def _previous(some: Sequence[Version], key: str, stage: Stage | None) -> Version:
    shown = {v.stage: v for v in some if v.current}
    earlier = [v for v in some if v.stage in shown and v.made_seq < shown[v.stage].made_seq]
    # A note of an earlier transcript is gone back to by its transcript.
    notes = [v for v in earlier if v.stage == "note" and v.transcript == shown["note"].transcript]
    transcripts = [v for v in earlier if v.stage == "transcript"]
    found = {"note": notes, "transcript": transcripts, None: notes or transcripts}[stage]
    if not found:
        raise NotFound("version_missing", f"Nothing earlier of {key} is kept, so there is nothing to go back to.")
    return found[0]


def _the(some: Sequence[Version], stage: Stage, version: str) -> Version:
    return next(v for v in some if (v.stage, v.version) == (stage, version))
