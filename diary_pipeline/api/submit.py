"""Handing in by reference: `POST /jobs` with a URL, and `POST /jobs/batch`.

Nothing is fetched here: the URL is durable when 202 is answered, and intake fetches it. A form with a file on the same
path is uploads.py's, chosen by its content type.
"""

from dataclasses import replace
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from diary_pipeline.api.auth import Asking, Caller
from diary_pipeline.api.bodies import checked, read_json
from diary_pipeline.api.limits import take_items
from diary_pipeline.api.models import Accepted, Batch, BatchAccepted, BatchAnswer, Submission
from diary_pipeline.api.multipart import is_form
from diary_pipeline.api.opening import IdempotencyKey, answer_opened, new_job, told
from diary_pipeline.api.parts import Given, Parts
from diary_pipeline.api.problems import Problem, answers, problem_of
from diary_pipeline.api.uploads import FORM, handed_in_form
from diary_pipeline.core.errors import DiaryError
from diary_pipeline.intake.names import name_in, scheme_of
from diary_pipeline.intake.options import Options
from diary_pipeline.intake.queues.messages import address, under
from diary_pipeline.ledger.jobs import NewJob, open_jobs

router = APIRouter(tags=["jobs"])
MOST_JOBS = 1_000
"""In one batch: a transaction of some tenths of a second."""
_REFUSALS = answers(
    400,
    401,
    403,
    405,
    411,
    413,
    429,
    503,
    s409="idempotency_conflict: This Idempotency-Key came with another request before.",
    s415="media_type_unsupported: Send JSON, with Content-Type: application/json.",
    s422="model_not_allowed: Whisper model 'huge' is not offered here.",
)


def _accepts(model: type[Any], **other: Any) -> dict[str, Any]:
    """Describe a body for OpenAPI that the route reads itself."""
    content = {"application/json": {"schema": _schema(model)}}
    return {"requestBody": {"required": True, "content": {**content, **other}}}


def _schema(model: type[Any]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


@router.post(
    "/jobs",
    status_code=202,
    response_model=Accepted,
    operation_id="createJob",
    responses=_REFUSALS,
    openapi_extra=_accepts(Submission, **FORM),
)
async def create_job(request: Request, parts: Given, caller: Asking, key: IdempotencyKey = None) -> Response:
    """Hand in a recording by its URL. Answers once the job is durable; the URL is fetched afterwards."""
    caller.require("submit")
    if is_form(request.headers.get("content-type")):
        return await handed_in_form(request, parts, caller, key)
    said = await read_json(request, Submission, parts.settings.api_json_kb * 1000)
    return await run_sync(lambda: _open(parts, _job(parts, caller, said, key)))


@router.post(
    "/jobs/batch",
    status_code=202,
    response_model=BatchAccepted,
    operation_id="createJobs",
    responses=_REFUSALS,
    openapi_extra=_accepts(Batch),
)
async def create_jobs(request: Request, parts: Given, caller: Asking, key: IdempotencyKey = None) -> Response:
    """Hand in up to 1,000 recordings by their URLs; each item has its own answer, and all jobs are opened at once."""
    caller.require("submit")
    said = await read_json(request, Batch, parts.settings.api_json_kb * 1000)
    if len(said.jobs) > MOST_JOBS:
        raise Problem(422, "batch_too_large", f"A batch takes at most {MOST_JOBS} recordings; send several.")
    await take_items(request, len(said.jobs))
    return await run_sync(lambda: _open_batch(parts, caller, said, key))


def _open(parts: Parts, asked: NewJob) -> Response:
    return answer_opened(parts, parts.jobs.open(asked))


def _open_batch(parts: Parts, caller: Caller, said: Batch, key: str | None) -> Response:
    asked: dict[int, NewJob] = {}
    refused: dict[int, BatchAnswer] = {}
    for index, item in enumerate(said.jobs):
        try:
            wanted = checked(item, Submission, f"jobs.{index}")
            asked[index] = _job(parts, caller, wanted, None if key is None else f"{key}/{index}")
        except (DiaryError, Problem) as error:
            problem = problem_of(error)
            refused[index] = BatchAnswer(index=index, error=problem.code, message=problem.message)
    opened = dict(zip(asked, open_jobs(parts.ledger, list(asked.values())), strict=True)) if asked else {}
    accepted = dict(zip(asked, told(parts, list(opened.values())), strict=True))
    every = {n: BatchAnswer(index=n, **one.model_dump()) for n, one in accepted.items()} | refused
    document = BatchAccepted(accepted=len(accepted), refused=len(refused), jobs=[every[n] for n in sorted(every)])
    return JSONResponse(document.model_dump(mode="json", exclude_none=True), 202)


def _job(parts: Parts, caller: Caller, said: Submission, key: str | None) -> NewJob:
    if scheme_of(said.audio_url) != "gs":
        parts.admission.fetchers["https"].check(said.audio_url)
        return new_job(parts, caller, said, said.audio_url, name_in(said.audio_url), "api", idempotency_key=key)
    uri, name, rule = address(said.audio_url, parts.admission)
    job = new_job(parts, caller, said, uri, name, "api", idempotency_key=key)
    if rule is None or rule.owner != job.owner:  # the deployment may read it, which says nothing of who asks
        raise Problem(422, "url_invalid", "No table [[buckets]] says that this object is a recording of yours.")
    return replace(job, options=under(Options.read(job.options), rule.wishes()).as_json())
