"""`POST /v1/audio/transcriptions` as OpenAI answers it, so that its official clients work with another `base_url`.

The request is a job like any other, of source `openai`: durable, listed, de-duplicated, its note is written too. How an
answer is written stands in openai_answers.py, how it is waited for in watch.py.

What surprises: there is no other way to hear something, so a worker must be alive, and a request that waited too long
is answered 504 with the job's id, whose transcript can be fetched later. Whoever hangs up before is waited for no more;
the job stays. Who asks for what was heard just so before is answered with that, whatever others have wanted of the
recording since; the job goes its way all the same.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from diary_pipeline.api.auth import Asking
from diary_pipeline.api.incoming import Incoming, shown_name
from diary_pipeline.api.models import Wishes
from diary_pipeline.api.multipart import is_form, read_form
from diary_pipeline.api.openai_answers import FORMATS, GRANULARITIES, Answer, written
from diary_pipeline.api.opening import IdempotencyKey, options_of
from diary_pipeline.api.parts import Given, Parts
from diary_pipeline.api.problems import Problem, answers
from diary_pipeline.api.uploads import opened
from diary_pipeline.api.watch import HEARD, Watch
from diary_pipeline.api.wishes import wishes_of
from diary_pipeline.catalogue.read import transcript_at, transcript_of
from diary_pipeline.core.errors import NotFound
from diary_pipeline.core.recording import Recording
from diary_pipeline.core.transcript import Transcript
from diary_pipeline.intake.options import MAX_TAG, MAX_TERMS
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.jobs_read import Job
from diary_pipeline.ledger.jobs_results import heard_before

SOURCE = "openai"
USUAL = "whisper-1"
"""OpenAI's name for its model, which clients have written into them: here the deployment's usual one."""
CLIENT_GONE = 499
"""For the log alone, as nginx writes it."""
IGNORED = frozenset({"temperature", "stream", "chunking_strategy", "include[]", "include"})
"""Fields of OpenAI's that change nothing here; `stream` is refused when it is asked for."""


_SPOKEN = {"application/json": {"schema": {"type": "object"}}, "text/plain": {"schema": {"type": "string"}}}

router = APIRouter(prefix="/v1", tags=["OpenAI"])


@router.post(
    "/audio/transcriptions",
    operation_id="openaiTranscription",
    response_class=Response,
    responses=answers(
        400,
        401,
        s404="model_not_found: The model does not exist here; GET /v1/models lists them.",
        s409="job_cancelled: The job was cancelled before it was heard.",
        s500="transcript_missing: The job has no transcript.",
        s504="transcript_not_ready: It is not heard yet; GET /jobs/{job_id}/transcription gives it later.",
    )
    | {200: {"description": "What was said, as response_format says.", "content": _SPOKEN}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file", "model"],
                        "properties": {
                            "file": {"type": "string", "format": "binary"},
                            "model": {"type": "string", "example": USUAL},
                            "language": {"type": "string", "example": "en"},
                            "prompt": {"type": "string", "description": "Names and terms, as hints."},
                            "response_format": {"type": "string", "enum": list(FORMATS), "default": "json"},
                            "timestamp_granularities[]": {
                                "type": "array",
                                "items": {"type": "string", "enum": list(GRANULARITIES)},
                            },
                        },
                    }
                }
            },
        }
    },
)
async def transcribe(request: Request, parts: Given, who: Asking, key: IdempotencyKey = None) -> Response:
    """Take a recording and answer with what was said in it, once that is heard."""
    who.require("submit")
    who.require("read")
    content_type = request.headers.get("content-type")
    if not is_form(content_type):
        raise Problem(400, "form_invalid", "The recording comes as multipart/form-data, in the field file.")
    async with Incoming(parts.settings.scratch_dir, parts.limits.max_size_bytes) as file:
        form = await read_form(content_type, request.stream(), file)
        wishes, answer = _asked(form.fields, parts)
        job = await asyncio.to_thread(opened, parts, who, wishes, file, shown_name(form.file_name), key, SOURCE)
        owner = who.owner or wishes.user_id or parts.settings.default_owner
        before = await asyncio.to_thread(_heard_before, parts, owner, file.sha256, wishes)
    if before is not None:
        return written(answer, *before, job.id)
    most_s = parts.settings.openai_wait_s
    try:
        watch: Watch = request.app.state.watch
        ended = await watch.until(job.id, HEARD, most_s, request.is_disconnected)
    except ClientDisconnect:
        return Response(status_code=CLIENT_GONE)
    except TimeoutError as error:
        told = f"It is not heard after {most_s:g} s; GET /jobs/{job.id}/transcription gives it later."
        raise Problem(504, "transcript_not_ready", told, {"X-Job-Id": job.id}) from error
    return await asyncio.to_thread(_answered, parts, job.id, ended, answer)


@router.get("/models", operation_id="openaiModels")
def models(parts: Given, who: Asking) -> JSONResponse:
    """List the models that a recording may ask for."""
    who.require("read")
    return JSONResponse({"object": "list", "data": [_model(name) for name in _models(parts)]})


@router.get(
    "/models/{model}",
    operation_id="openaiModel",
    responses=answers(401, s404="model_not_found: The model does not exist here; GET /v1/models lists them."),
)
def model(model: str, parts: Given, who: Asking) -> JSONResponse:
    """Tell of one model."""
    who.require("read")
    if model not in _models(parts):
        raise _no_model(model)
    return JSONResponse(_model(model))


def _asked(fields: Mapping[str, Sequence[str]], parts: Parts) -> tuple[Wishes, Answer]:
    said = {name: list(texts) for name, texts in fields.items() if name not in IGNORED}
    if (fields.get("stream") or ["false"])[0].lower() == "true":
        raise Problem(400, "stream_unsupported", "Transcripts are not streamed here; leave `stream` out.")
    [form] = said.pop("response_format", ["json"])[:1]
    if form not in FORMATS:
        raise Problem(400, "response_format_unsupported", f"response_format is one of {', '.join(FORMATS)}.")
    pieces = said.pop("timestamp_granularities[]", []) + said.pop("timestamp_granularities", [])
    if set(pieces) - set(GRANULARITIES):
        raise Problem(400, "timestamp_granularities_unsupported", f"They are {' and '.join(GRANULARITIES)}.")
    name = (said.pop("model", None) or [""])[0]
    if not name:
        raise Problem(400, "model_missing", "The field model says which model is to hear it.")
    if name not in _models(parts):
        raise _no_model(name)
    if name != USUAL:
        said["whisper_model"] = [name]
    if hints := _hints(said.pop("prompt", [])):
        said["vocabulary"] = [*hints, *said.get("vocabulary", [])]
    return wishes_of(said, "form"), Answer(form, frozenset(pieces))


def _hints(prompts: Sequence[str]) -> list[str]:
    """Give what a prompt names: its pieces between commas, and of sentences the words that look like names."""
    pieces = [piece.strip() for prompt in prompts for piece in re.split(r"[,;:\n.!?]+", prompt)]
    short = [piece for piece in pieces if piece and len(piece) <= MAX_TAG]
    words = [word for piece in pieces if len(piece) > MAX_TAG for word in piece.split() if word[:1].isupper()]
    return [*short, *(word for word in words if len(word) <= MAX_TAG)][:MAX_TERMS]


def _heard_before(parts: Parts, owner: str, sha256: str, wishes: Wishes) -> tuple[Recording, Transcript] | None:
    options = options_of(wishes).as_json()
    with parts.ledger.reading() as conn:
        recording = recordings.find(conn, owner, sha256)
        # Wanted with another model now: which one a job without a name for it had, its options do not tell.
        if recording is None or recording.whisper_model != (wishes.whisper_model or parts.settings.whisper_model):
            return None
        found = heard_before(conn, recording.key, options)
    if found is None:
        return None
    try:
        transcript = transcript_at(parts.ledger, parts.store, recording.key, found.object_id)
    except (NotFound, FileNotFoundError):  # merged or erased meanwhile: the job itself will tell
        return None
    return (recording, transcript) if transcript is not None else None


def _answered(parts: Parts, id: str, job: Job | None, answer: Answer) -> Response:
    if job is None or job.recording_key is None or job.status in ("failed", "cancelled"):
        raise _unheard(id, job)
    with parts.ledger.reading() as conn:
        recording = recordings.get(conn, job.recording_key)
    transcript = transcript_of(parts.ledger, parts.store, job.recording_key)
    if transcript is None:
        raise _unheard(id, job)
    return written(answer, recording, transcript, id)


def _unheard(id: str, job: Job | None) -> Problem:
    if job is None or job.status == "cancelled":
        return Problem(409, "job_cancelled", f"Job {id} was cancelled before it was heard.", {"X-Job-Id": id})
    status = 400 if (job.reason_code or "").startswith("audio_") else 500
    told = job.message or f"Job {id} has no transcript."
    return Problem(status, job.reason_code or "transcript_missing", told, {"X-Job-Id": id})


def _models(parts: Parts) -> list[str]:
    return [USUAL, *parts.settings.allowed_models]


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "diary_pipeline"}


def _no_model(name: str) -> Problem:
    return Problem(404, "model_not_found", f"The model {name[:80]!r} does not exist here; GET /v1/models lists them.")
