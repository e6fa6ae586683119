"""Stage results and commit them: what makes a batch's work visible, whole or not at all.

Whether a change may be committed is the ledger's to say (ledger/commits.py); which rows it adds is rows.py's business.

What surprises: when the ledger refuses some recordings of a batch, the object is thrown away and staged again without
them, because an object that holds a row the ledger does not know of could never be erased. And when `record` *raises*,
the object stays: the commit may have happened. An orphan costs bytes, a hole costs a diary.

With each recording that ends go all attempts of language models that the ledger knows of, those of killed runs and of
earlier versions too: rows are replaced whole, and what was paid stays paid.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from diary_pipeline.catalogue.log_object import write_object
from diary_pipeline.catalogue.read import transcripts_of
from diary_pipeline.catalogue.rows import (
    Rows,
    arrow_tables,
    call_rows,
    note_rows,
    outcome_row,
    refusal_row,
    transcript_rows,
)
from diary_pipeline.core.batch import Check, Lease, Stage, Status
from diary_pipeline.core.errors import TransientError
from diary_pipeline.core.llm_call import Attempt
from diary_pipeline.core.note import DiaryNote
from diary_pipeline.core.recording import Recording
from diary_pipeline.core.transcript import Transcript
from diary_pipeline.ledger import llm_calls, submissions
from diary_pipeline.ledger.commits import Change, Committed, record, record_refusals
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.storage.keys import catalogue_object_id
from diary_pipeline.storage.store import ObjectStore

TRIED_AGAIN = " It is tried again by itself."
"""What the message of a failure ends with while a retry is due."""
TRIES = 20
"""How often others may be faster with some of the same refusals; each time there are fewer left."""


@dataclass(frozen=True)
class FinishedTranscript:
    """A transcript that may be published."""

    recording: Recording
    lease: Lease
    transcript: Transcript
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class FinishedNote:
    """A note that may be published, or the certainty that there is nothing to note."""

    recording: Recording
    lease: Lease
    transcript: Transcript
    note: DiaryNote | None
    reason_code: str | None
    """`audio_no_speech` when there is no note."""
    checks: tuple[Check, ...]
    markdown: str = ""
    """The note as people read it."""
    corrections: str | None = None
    """Version of the corrections that `markdown` holds."""


@dataclass(frozen=True)
class Failed:
    """A stage that went wrong."""

    recording: Recording
    lease: Lease
    stage: Stage
    code: str
    message: str
    retry_after_s: Sequence[float] = ()
    """Pauses after which it is tried again by itself; empty: it went wrong for good."""


def commit_transcripts(
    ledger: Ledger, store: ObjectStore, finished: Sequence[FinishedTranscript], failed: Sequence[Failed] = ()
) -> Committed:
    """Commit the transcripts of one batch, and the failures among them."""
    entries = [
        _Entry(
            Change(f.recording.key, f.lease.epoch, "generating_notes", f.transcript.version),
            (transcript_rows(f.recording, f.transcript, f.checks),),
        )
        for f in finished
    ]
    return _commit(ledger, store, "transcript", [*entries, *_failures(ledger, store, failed)])


def commit_notes(
    ledger: Ledger, store: ObjectStore, finished: Sequence[FinishedNote], failed: Sequence[Failed] = ()
) -> Committed:
    """Commit the notes of one batch, and the failures among them; each is dropped if its transcript was replaced."""
    calls = _calls(ledger, [f.recording.key for f in finished])
    noted = [_noted(f, calls.get(f.recording.key, ())) for f in finished]
    return _commit(ledger, store, "note", [*noted, *_failures(ledger, store, failed)])


def commit_refusals(ledger: Ledger, store: ObjectStore, submission_ids: Sequence[str]) -> int:
    """Commit the outcome rows of refused submissions that have none yet and return the seq; 0 when there are none.

    TransientError `refusals_uncommitted` when the ledger says again and again that others were faster.
    """
    for _ in range(TRIES):
        with ledger.reading() as conn:
            waiting = [
                s for s in submissions.get(conn, submission_ids) if s.status == "refused" and s.commit_seq is None
            ]
        if not waiting:
            return 0
        rows = [refusal_row(s) for s in waiting]
        object_id = catalogue_object_id("outcome")
        size = write_object(store, object_id, arrow_tables([{"recordings": rows}]))
        seq = record_refusals(ledger, object_id=object_id, size_bytes=size, submission_ids=[s.id for s in waiting])
        if seq:
            return seq
        store.delete(object_id)  # somebody committed some of them meanwhile
    raise TransientError(
        "refusals_uncommitted",
        f"{len(waiting)} refusals could not be committed, because others were faster {TRIES} times; tried again later.",
    )


def no_note_version(transcript: Transcript) -> str:
    """Return the version of the note pointer of a recording that has nothing to note."""
    return f"none-{transcript.version}"


@dataclass(frozen=True)
class _Entry:
    change: Change
    rows: Sequence[Rows]


def _noted(f: FinishedNote, calls: Sequence[Attempt]) -> _Entry:
    status: Status = "degraded" if f.note is not None and f.note.degraded else "completed"
    change = Change(
        f.recording.key,
        f.lease.epoch,
        status,
        f.note.version if f.note is not None else no_note_version(f.transcript),
        f.reason_code,
        requires=("transcript", f.transcript.heard_version),
        corrections=f.corrections,
        made_with=f.note.made_with if f.note is not None else None,
    )
    ended = outcome_row(f.recording, f.transcript, status, reason_code=f.reason_code, at=_now())
    noted = note_rows(f.recording, f.note, f.markdown, f.checks)
    return _Entry(change, (noted, call_rows(f.recording, calls), {"recordings": [ended]}))


def _failures(ledger: Ledger, store: ObjectStore, failed: Sequence[Failed]) -> list[_Entry]:
    noteless = [f.recording.key for f in failed if f.stage == "note"]
    transcripts = transcripts_of(ledger, store, noteless) if noteless else {}
    calls = _calls(ledger, [f.recording.key for f in failed])
    return [
        _Entry(
            Change(f.recording.key, f.lease.epoch, "failed", None, f.code, f.message, retry_after_s=f.retry_after_s),
            (
                {"recordings": [_failure_row(f, transcripts.get(f.recording.key))]},
                call_rows(f.recording, calls.get(f.recording.key, ())),
            ),
        )
        for f in failed
    ]


def _calls(ledger: Ledger, keys: Sequence[str]) -> Mapping[str, Sequence[Attempt]]:
    with ledger.reading() as conn:
        return llm_calls.attempts_of(conn, keys)


def _failure_row(f: Failed, transcript: Transcript | None) -> dict[str, object]:
    return outcome_row(
        f.recording, transcript, "failed", failed_stage=f.stage, reason_code=f.code, message=f.message, at=_now()
    )


def _commit(ledger: Ledger, store: ObjectStore, kind: Stage, entries: Sequence[_Entry]) -> Committed:
    left = sorted(entries, key=lambda e: e.change.key)  # zone maps find a recording when its rows lie in order
    if len({e.change.key for e in left}) < len(left):
        raise ValueError("a recording stands twice in one commit")
    dropped: list[Committed] = []
    done = Committed(0)
    while left:
        object_id = catalogue_object_id(kind)
        size = write_object(store, object_id, arrow_tables(rows for e in left for rows in e.rows))
        done = record(ledger, kind=kind, object_id=object_id, size_bytes=size, changes=[e.change for e in left])
        if done.seq:
            break
        store.delete(object_id)
        dropped.append(done)
        left = [e for e in left if e.change.key not in done.dropped]
    return Committed(
        done.seq,
        done.committed,
        already=tuple(k for d in dropped for k in d.already),
        fenced=tuple(k for d in dropped for k in d.fenced),
        stale=tuple(k for d in dropped for k in d.stale),
        kept=tuple(k for d in dropped for k in d.kept),
        retried=tuple(k for d in dropped for k in d.retried),
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
