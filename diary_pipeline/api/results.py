"""What a job led to: its transcript and its note, as documents and as files.

Read by ledger pointer and not from the published catalogue, so what is committed is here at once: the versions that
this job got, with what their owner has put right since. What surprises: an object may vanish between the look at the
ledger and the opening of its file, when erasure or merging replaced it; then the ledger is asked once more.
"""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Annotated, Literal, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Query, Response

from diary_pipeline.api.auth import Asking, Caller
from diary_pipeline.api.corrections import tag_of
from diary_pipeline.api.jobs import NO_JOB, NO_SPEECH, JobId, find_job
from diary_pipeline.api.parts import Given, Parts
from diary_pipeline.api.problems import Problem, answers, problem, unavailable
from diary_pipeline.api.results_shown import Note, Transcription, shown_note, shown_transcript
from diary_pipeline.catalogue.read import note_at, transcript_at
from diary_pipeline.core.batch import ENDED
from diary_pipeline.core.errors import NotFound
from diary_pipeline.core.note import DiaryNote
from diary_pipeline.core.transcript import Transcript
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.jobs import Job, Results, results
from diary_pipeline.transcription.renderers.formats import RENDERERS, TranscriptFormat

router = APIRouter(tags=["results"])
Answer = TypeVar("Answer")
_MEDIA_TYPES = {
    "txt": "text/plain; charset=utf-8",
    "json": "application/json",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
}
_NONE_YET = "not_ready: The job is not that far; look at its status again in a while."
_REFUSALS = answers(401, 403, 405, 422, 429, 503)
_TRANSCRIPT_REFUSALS = _REFUSALS | answers(s404=NO_JOB)
_NOTE_REFUSALS = _REFUSALS | answers(s404=f"audio_no_speech: {NO_SPEECH}")
_UNSAFE = frozenset('"\\/:*?<>|%;')
LONGEST_NAME = 150


def _file(*forms: str) -> dict[int | str, dict[str, object]]:
    """Describe a download for OpenAPI."""
    text = {"schema": {"type": "string"}}
    return {200: {"description": "The file.", "content": {_MEDIA_TYPES[form]: text for form in forms}}}


@router.get("/jobs/{job_id}/transcription", operation_id="getTranscription", responses=_TRANSCRIPT_REFUSALS)
def get_transcription(
    id: JobId,
    parts: Given,
    caller: Asking,
    response: Response,
    words: Annotated[bool, Query(description="Also each word with its times.")] = False,
) -> Transcription:
    """Give what was said, with times."""
    caller.require("read")
    job = find_job(parts, caller, id)
    response.headers["ETag"] = tag_of(parts, job)  # before it is read: what moves in between must not pass for read
    return shown_transcript(job, _transcript(parts, caller, job), with_words=words)


@router.get("/jobs/{job_id}/diary-note", operation_id="getDiaryNote", responses=_NOTE_REFUSALS)
def get_diary_note(id: JobId, parts: Given, caller: Asking, response: Response) -> Note:
    """Give the note; 404 with the reason where there is none, `audio_no_speech` for a silent recording."""
    caller.require("read")
    job = find_job(parts, caller, id)
    response.headers["ETag"] = tag_of(parts, job)
    return shown_note(job, *_note(parts, caller, job))


@router.get(
    "/jobs/{job_id}/download/transcription",
    operation_id="downloadTranscription",
    response_class=Response,
    responses=_TRANSCRIPT_REFUSALS | _file("txt", "srt", "vtt", "json", "md"),
)
def download_transcription(
    id: JobId, parts: Given, caller: Asking, format: Annotated[TranscriptFormat, Query()] = "txt"
) -> Response:
    """Give what was said as a file."""
    caller.require("read")
    job = find_job(parts, caller, id)
    transcript = _transcript(parts, caller, job)
    with parts.ledger.reading() as conn:
        recording = recordings.get(conn, job.recording_key or "")
    return _download(job, RENDERERS[format](recording, transcript), format)


@router.get(
    "/jobs/{job_id}/download/diary-note",
    operation_id="downloadDiaryNote",
    response_class=Response,
    responses=_NOTE_REFUSALS | _file("md"),
)
def download_diary_note(
    id: JobId, parts: Given, caller: Asking, format: Annotated[Literal["md"], Query()] = "md"
) -> Response:
    """Give the note as a file."""
    caller.require("read")
    job = find_job(parts, caller, id)
    _, markdown = _note(parts, caller, job)
    return _download(job, markdown, format)


def _transcript(parts: Parts, caller: Caller, job: Job) -> Transcript:
    def read(job: Job, there: Results) -> Transcript | None:
        if there.transcript is None or job.recording_key is None:
            return None
        return transcript_at(parts.ledger, parts.store, job.recording_key, there.transcript.object_id)

    return _read(parts, caller, job, read)


def _note(parts: Parts, caller: Caller, job: Job) -> tuple[DiaryNote, str]:
    def read(job: Job, there: Results) -> tuple[DiaryNote, str] | None:
        if there.note is None or job.recording_key is None:
            return None
        return note_at(parts.ledger, parts.store, job.recording_key, there.note.object_id)

    return _read(parts, caller, job, read)


def _read(parts: Parts, caller: Caller, job: Job, read: Callable[[Job, Results], Answer | None]) -> Answer:
    for is_last in (False, True):
        try:
            with parts.ledger.reading() as conn:
                there = results(conn, job)
            found = read(job, there)
        except (NotFound, FileNotFoundError) as error:
            if is_last:
                raise unavailable("result_unavailable", "The result cannot be read now; ask again soon.") from error
            job = find_job(parts, caller, job.id)  # gone meanwhile: 404
            continue
        if found is not None:
            return found
        raise _nothing(job)
    raise AssertionError  # the loop returns or raises


def _nothing(job: Job) -> Problem:
    """Say why there is nothing to read."""
    if job.reason_code == "audio_no_speech":
        return Problem(404, job.reason_code, NO_SPEECH)
    if job.reason_code is not None:
        return Problem(404, job.reason_code, job.message or f"The job has {job.status}.")
    if job.status in ENDED:
        return Problem(404, "result_missing", f"The job is {job.status} and has none.")
    return problem(404, _NONE_YET)


def _download(job: Job, text: str, suffix: str) -> Response:
    headers = {"Content-Disposition": disposition(job.file_name, suffix)}
    return Response(text.encode(), media_type=_MEDIA_TYPES[suffix], headers=headers)


def disposition(file_name: str, suffix: str) -> str:
    """Name a download after the recording's file, for browsers that know RFC 6266 and those that do not."""
    stem = PurePosixPath(file_name).stem
    plain = "".join("_" if c in _UNSAFE or not c.isprintable() else c for c in stem).strip(". ")
    name = f"{plain[:LONGEST_NAME] or 'recording'}.{suffix}"
    ascii_name = name.encode("ascii", "replace").decode().replace("?", "_")
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}"
