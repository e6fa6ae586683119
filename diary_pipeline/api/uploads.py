"""Handing in a file in one request: as a form (`POST /jobs`), or as it is (`PUT /jobs/upload`).

How bytes come in is incoming.py's and multipart.py's business, what may be asked for beside them wishes.py's. A job is
opened only when its bytes are durable under the key that intake looks for, so a 202 survives a power cut.

What surprises: bytes come before their row. Between the two a killed process leaves an object that no job knows, and
never a job without its bytes.
"""

import asyncio
import base64
import binascii
import hashlib
import re
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from diary_pipeline.api.auth import Asking, Caller
from diary_pipeline.api.incoming import (
    Incoming,
    announced_bytes,
    disposition_name,
    shown_name,
    storing,
    too_large,
)
from diary_pipeline.api.models import Accepted, Wishes
from diary_pipeline.api.multipart import FILE, MEDIA_TYPE, MOST_FRAME_BYTES, MOST_TEXT_BYTES, read_form
from diary_pipeline.api.opening import IdempotencyKey, answer_opened, new_job
from diary_pipeline.api.parts import Given, Parts
from diary_pipeline.api.problems import Problem, answers
from diary_pipeline.api.wishes import JSON, wishes_of
from diary_pipeline.core.errors import PermanentError
from diary_pipeline.ledger.jobs import Opened
from diary_pipeline.storage.keys import upload_key

SOURCE = "upload"
WISHES = tuple(Wishes.model_fields)
_SHA256_DIGEST = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]+):\s*(?=,|$|;)")
_HEX = re.compile(r"[0-9a-fA-F]{64}")

router = APIRouter(tags=["jobs"])


class BesideBytes(BaseModel):
    """What may be asked for beside a body that is the recording itself."""

    model_config = ConfigDict(extra="forbid")

    filename: str | None = Field(None, description="What the file is called; Content-Disposition says it as well.")
    whisper_model: str | None = None
    language: str | None = Field(None, description="ISO 639-1, or `auto`.")
    recorded_at: str | None = Field(None, description="ISO 8601; without an offset in the owner's time zone.")
    title: str | None = None
    tags: list[str] = Field([], description="Several, or one with commas.")
    vocabulary: list[str] = Field([], description="Names and terms that are said in it.")
    priority: str | None = Field(None, description="urgent, high, medium or low.")
    user_id: str | None = None
    metadata: str | None = Field(None, description="JSON, given back with the job.")
    callback_url: str | None = None


FORM: dict[str, Any] = {
    MEDIA_TYPE: {
        "schema": {
            "type": "object",
            "required": [FILE],
            "additionalProperties": False,
            "properties": {
                FILE: {"type": "string", "format": "binary", "description": "The recording."},
                **{
                    name: {"type": "string", "description": f"As in JSON{', as JSON' * (name in JSON)}."}
                    for name in WISHES
                },
            },
        }
    }
}
"""What a form holds, for OpenAPI."""


async def handed_in_form(request: Request, parts: Parts, who: Caller, key: str | None) -> JSONResponse:
    """Open a job for the file in a form; see read_form, wishes_of and `keep` for what is refused."""
    who.require("submit")
    headers, most = request.headers, parts.limits.max_size_bytes
    if (announced_bytes(headers.get("content-length")) or 0) > most + MOST_TEXT_BYTES + MOST_FRAME_BYTES:
        raise too_large(most)
    async with Incoming(parts.settings.scratch_dir, most) as file:
        whole, digest = hashlib.sha256(), headers.get("content-digest")  # in a request's headers: of all of the body
        body = request.stream() if digest is None else _hashed(request.stream(), whole)
        form = await read_form(headers.get("content-type"), body, file)
        demand_digest(digest, whole.digest())
        demand_digest(form.content_digest, bytes.fromhex(file.sha256))
        demand_hex(headers.get("x-content-sha256"), file.sha256)
        wishes = wishes_of(form.fields, "form")
        return await asyncio.to_thread(_accept, parts, who, wishes, file, shown_name(form.file_name), key)


@router.put(
    "/jobs/upload",
    status_code=202,
    operation_id="uploadJob",
    response_model=Accepted,
    responses=answers(400, 401, 403, 409, 413, 422, 429, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def upload(
    request: Request, parts: Given, who: Asking, beside: Annotated[BesideBytes, Query()], key: IdempotencyKey = None
) -> JSONResponse:
    """Open a job for the recording that is the body; wishes stand in the query, or in `X-Diary-...` headers."""
    who.require("submit")
    headers, most = request.headers, parts.limits.max_size_bytes
    if (announced_bytes(headers.get("content-length")) or 0) > most:
        raise too_large(most)
    wishes = wishes_of(_told(request, beside), "query")
    name = shown_name(beside.filename or disposition_name(headers.get("content-disposition")))
    async with Incoming(parts.settings.scratch_dir, most) as file:
        async for chunk in request.stream():
            await file.write(chunk)
        await file.settle()
        demand_digest(headers.get("content-digest"), bytes.fromhex(file.sha256))
        demand_hex(headers.get("x-content-sha256"), file.sha256)
        return await asyncio.to_thread(_accept, parts, who, wishes, file, name, key)


def opened(  # noqa: PLR0917 - what a job is made of
    parts: Parts, who: Caller, wishes: Wishes, file: Incoming, name: str, key: str | None, source: str = SOURCE
) -> Opened:
    """Store the bytes of a file that has come in, then open its job; a request that is sent again has its job already.

    Blocks. Problem 503 when nothing can be stored; UsageError for what cannot be had, and `idempotency_conflict`.
    """
    id = uuid.uuid4().hex
    asked = new_job(parts, who, wishes, f"upload:{id}", name, source, idempotency_key=key, content=file.sha256, id=id)
    with storing():
        parts.store.put_file(upload_key(id), file.path)
    try:
        job = parts.jobs.open(asked)
    except PermanentError:
        # Not for a ledger that does not answer: whether it committed is not known then, and the job may need its bytes.
        parts.store.delete(upload_key(id))
        raise
    if job.id != id:
        parts.store.delete(upload_key(id))
    return job


def _accept(  # noqa: PLR0917 - as `opened`
    parts: Parts, who: Caller, wishes: Wishes, file: Incoming, name: str, key: str | None
) -> JSONResponse:
    return answer_opened(parts, opened(parts, who, wishes, file, name, key))


def _told(request: Request, beside: BesideBytes) -> dict[str, list[str]]:
    said = {name: request.headers.getlist(f"x-diary-{name.replace('_', '-')}") for name in WISHES}
    for name in WISHES:
        value = getattr(beside, name)
        if value:
            said[name] = value if isinstance(value, list) else [value]
    return {name: texts for name, texts in said.items() if texts}


async def _hashed(body: AsyncIterator[bytes], digest: Any) -> AsyncIterator[bytes]:
    async for chunk in body:
        digest.update(chunk)
        yield chunk


def demand_digest(header: str | None, sha256: bytes) -> None:
    """Hold bytes to RFC 9530's header; one without SHA-256 is refused, because nobody would have looked."""
    if header is None:
        return
    found = _SHA256_DIGEST.search(header)
    try:
        wanted = base64.b64decode(found[1], validate=True) if found else b""
    except binascii.Error:
        wanted = b""
    if not wanted:
        raise Problem(400, "digest_invalid", "Content-Digest must say sha-256=:<Base64>:.")
    if wanted != sha256:
        raise _mismatch()


def demand_hex(header: str | None, sha256: str) -> None:
    if header is None:
        return
    if not _HEX.fullmatch(header):
        raise Problem(400, "digest_invalid", "X-Content-SHA256 must be 64 hex digits.")
    if header.lower() != sha256:
        raise _mismatch()


def _mismatch() -> Problem:
    return Problem(
        400, "digest_mismatch", "The bytes are not those that were announced; nothing is kept: send them again."
    )
