"""Corrections over HTTP: what `diary edit` does, for the recording that a job led to.

What a correction means, and every rule and code, is notes/editing.py's business; here are bodies, tags and statuses.

What surprises: numbers of segments and items mean what the client has read. So a job whose versions are no longer the
current ones is refused with 409, and a client that sends the `ETag` of what it read back as `If-Match` is told with 412
when anything of it reads otherwise by now, a correction of somebody else's included.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Collection, Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from diary_pipeline.api.auth import Asking, Caller
from diary_pipeline.api.jobs import NO_JOB, JobId, find_job
from diary_pipeline.api.parts import Given, Parts
from diary_pipeline.api.problems import Problem, answers
from diary_pipeline.catalogue.corrections import Correctable, correctable
from diary_pipeline.core.correction import Target
from diary_pipeline.core.errors import TransientError
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.commits import seen_now
from diary_pipeline.ledger.jobs import Job, results
from diary_pipeline.notes.edits import ALL, Edit

router = APIRouter(tags=["corrections"])
IfMatch = Annotated[str | None, Header(description="The ETag of what was read: 412 when it reads otherwise by now.")]
_MOST_AT_ONCE = 1_000
_REFUSALS = answers(
    401,
    403,
    405,
    429,
    503,
    s404=NO_JOB,
    s409="result_superseded: A newer version of this recording is current; correct it through the job that got it.",
    s412="precondition_failed: It was heard, written or corrected anew since it was read; read it again.",
    s422="correction_empty: An item cannot be empty; strike it instead.",
)


_REVERT = f"Ids of corrections to take back; `{ALL}` for every one."


class Body(BaseModel):
    """Something that is put right."""

    model_config = ConfigDict(extra="forbid")


class SegmentCorrection(Body):
    """What was really said in a segment."""

    id: int = Field(description="As the transcription numbers it; a silent one has no words to correct.")
    text: str = Field(description="Empty: nobody spoke.")


class TranscriptionCorrections(Body):
    """What is put right in a transcript."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"segments": [{"id": 4, "text": "I met Priya at the harbour."}]}},
    )

    segments: list[SegmentCorrection] = Field([], max_length=_MOST_AT_ONCE)
    revert: list[str] = Field([], description=_REVERT, max_length=_MOST_AT_ONCE)


class ItemCorrection(Body):
    """How an item of a note should read."""

    id: int = Field(description="As the note numbers it.")
    text: str


class NoteCorrections(Body):
    """What is put right in a note."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"title": "By the river", "items": [{"id": 2, "text": "Call Priya"}]}},
    )

    title: str | None = None
    note_date: dt.date | None = Field(None, description="The day that the note tells of, at most a year from now.")
    items: list[ItemCorrection] = Field([], max_length=_MOST_AT_ONCE)
    remove_items: list[int] = Field([], description="Items to strike.", max_length=_MOST_AT_ONCE)
    revert: list[str] = Field([], description=_REVERT, max_length=_MOST_AT_ONCE)


class CorrectionShown(BaseModel):
    """One thing that is put right."""

    correction_id: str
    target: Target
    placed: bool = Field(description="False: other words stand in its place now, so it changes nothing.")
    machine_text: str
    text: str
    made_at: dt.datetime
    made_by: str


class Corrected(BaseModel):
    """What is put right in a recording now."""

    job_id: str
    recording_key: str
    changed: bool = Field(default=False, description="False: everything read so already.")
    note_is_written_again: bool = Field(
        default=False, description="What was said reads otherwise: its note is planned anew."
    )
    corrections: list[CorrectionShown]


@router.get("/jobs/{job_id}/corrections", operation_id="getCorrections", responses=_REFUSALS)
def get_corrections(id: JobId, parts: Given, caller: Asking, response: Response) -> Corrected:
    """List what is put right in a recording, with the ids by which it is taken back."""
    caller.require("read")
    job = find_job(parts, caller, id)
    response.headers["ETag"] = tag_of(parts, job)
    return _shown(job, _correctable(parts, job))


@router.patch("/jobs/{job_id}/transcription", operation_id="correctTranscription", responses=_REFUSALS)
def correct_transcription(  # noqa: PLR0917 - the framework's way
    id: JobId,
    body: TranscriptionCorrections,
    parts: Given,
    caller: Asking,
    response: Response,
    if_match: IfMatch = None,
) -> Corrected:
    """Say what was really said; the note of this recording is written again, and nothing is heard again."""
    edits = [Edit("segment", one.text, one.id) for one in body.segments]
    return _correct(parts, caller, id, edits, body.revert, if_match, response)


@router.patch("/jobs/{job_id}/diary-note", operation_id="correctDiaryNote", responses=_REFUSALS)
def correct_diary_note(  # noqa: PLR0917 - the framework's way
    id: JobId, body: NoteCorrections, parts: Given, caller: Asking, response: Response, if_match: IfMatch = None
) -> Corrected:
    """Say how the note should read: its title, its day, its items."""
    edits = [
        *(Edit("item", one.text, one.id) for one in body.items),
        *(Edit("removed_item", number=number) for number in body.remove_items),
        *([Edit("title", body.title)] if body.title is not None else []),
        *([Edit("note_date", body.note_date.isoformat())] if body.note_date is not None else []),
    ]
    return _correct(parts, caller, id, edits, body.revert, if_match, response)


@router.delete("/jobs/{job_id}/corrections/{correction_id}", operation_id="revertCorrection", responses=_REFUSALS)
def revert_correction(  # noqa: PLR0917 - the framework's way
    id: JobId,
    correction_id: Annotated[str, Path(description=f"Its id, or `{ALL}`.")],
    parts: Given,
    caller: Asking,
    response: Response,
    if_match: IfMatch = None,
) -> Corrected:
    """Take a correction back, so that the machine's words stand there again."""
    return _correct(parts, caller, id, [], [correction_id], if_match, response)


def tag_of(parts: Parts, job: Job) -> str:
    """Give the tag of what can be read of a job: another one whenever its transcript or note reads otherwise."""
    with parts.ledger.reading() as conn:
        got = results(conn, job)
        seen = seen_now(conn, job.recording_key) if job.recording_key else {}
    versions = [part.version if part else None for part in (got.transcript, got.note)]
    said = json.dumps([job.recording_key, *versions, seen.get("correction")])
    return f'"{hashlib.sha256(said.encode()).hexdigest()[:16]}"'


def _correct(  # noqa: PLR0917 - what the routes were given
    parts: Parts,
    caller: Caller,
    id: str,
    edits: Sequence[Edit],
    revert: Collection[str],
    if_match: str | None,
    response: Response,
) -> Corrected:
    caller.require("submit")
    job = find_job(parts, caller, id)
    there = _correctable(parts, job)
    _demand_current(parts, job, there)
    if if_match is not None and if_match.strip() != "*" and tag_of(parts, job) not in _tags(if_match):
        raise _changed()
    try:
        done = parts.edit(
            there.recording, edits, caller.owner or job.owner, revert, seen=there.seen, alone=if_match is not None
        )
    except TransientError as error:
        if error.code != "correction_stale":
            raise
        raise (_changed() if if_match is not None else _superseded()) from error
    response.headers["ETag"] = tag_of(parts, job)
    shown = _shown(job, done.after)
    return shown.model_copy(update={"changed": bool(done.seq), "note_is_written_again": done.is_said_anew})


def _correctable(parts: Parts, job: Job) -> Correctable:
    if job.recording_key is None:
        raise Problem(404, "transcript_missing", "The job has no transcript, so there is nothing to correct.")
    with parts.ledger.reading() as conn:
        recording = recordings.get(conn, job.recording_key)
    return correctable(parts.ledger, parts.store, recording)


def _demand_current(parts: Parts, job: Job, there: Correctable) -> None:
    with parts.ledger.reading() as conn:
        got = results(conn, job)
    stood = ((got.transcript, there.seen["transcript"]), (got.note, there.seen["note"]))
    if any(result is not None and result.version != current for result, current in stood):
        raise _superseded()


def _shown(job: Job, there: Correctable) -> Corrected:
    placed = there.placed
    made = [
        CorrectionShown(
            correction_id=one.id,
            target=one.target,
            placed=one.id in placed,
            machine_text=one.machine_text,
            text=one.text,
            made_at=one.made_at,
            made_by=one.made_by,
        )
        for one in there.corrections.made
    ]
    return Corrected(job_id=job.id, recording_key=there.recording.key, corrections=made)


def _tags(header: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}


def _changed() -> Problem:
    told = "It was heard, written or corrected anew since it was read; read it again."
    return Problem(412, "precondition_failed", told)


def _superseded() -> Problem:
    told = "A newer version of this recording is current; read it again, or correct it through the job that got it."
    return Problem(409, "result_superseded", told)
