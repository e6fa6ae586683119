"""Resumable uploads: the tus protocol 1.0 (https://tus.io), so that existing clients work.

Core, creation, termination, checksum and expiration. Where parts are kept and how the whole becomes a job stands in
intake/resumable.py; why no library does this, in docs/decisions/0003.

What surprises: one PATCH may become several parts. What has come is kept every few mebibytes, so a client that breaks
off, or a server that is killed in the middle of half a gigabyte, loses little; with a checksum the whole PATCH is one
part, because nothing of it may be kept before the sum is known.
"""

import asyncio
import base64
import binascii
import datetime as dt
import uuid
from collections.abc import Awaitable, Callable
from email.utils import format_datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from diary_pipeline.api.auth import Asking, Caller
from diary_pipeline.api.incoming import Incoming, most_bytes, scratch_of, shown_name, storing, too_large
from diary_pipeline.api.opening import new_job
from diary_pipeline.api.parts import Given, Parts
from diary_pipeline.api.problems import Problem, answer, answers, problem_of
from diary_pipeline.api.wishes import wishes_of
from diary_pipeline.core.errors import DiaryError, PermanentError
from diary_pipeline.intake.resumable import Resumable, UploadMoved
from diary_pipeline.ledger import jobs, uploads
from diary_pipeline.ledger.uploads import Upload
from diary_pipeline.storage.keys import upload_key

VERSION = "1.0.0"
EXTENSIONS = "creation,termination,checksum,expiration"
ALGORITHMS = ("sha1", "sha256", "sha512", "md5")
PART_BYTES = 8 << 20
"""Kept at a time: a thousandth of the work to store, and what a broken connection loses at most."""
MEDIA_TYPE = "application/offset+octet-stream"
SOURCE = "tus"
CHECKSUM_MISMATCH = 460
"""The protocol's own status."""
_VERSIONED = {"Tus-Resumable": VERSION}


class TusRoute(APIRoute):
    """Says the protocol's version in every answer, refusals included, and wants it in every request but OPTIONS."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """Wrap what answers."""
        answered = super().get_route_handler()

        async def versioned(request: Request) -> Response:
            try:
                if request.method != "OPTIONS" and request.headers.get("tus-resumable") != VERSION:
                    told = f"This server speaks tus {VERSION}: say so with `Tus-Resumable: {VERSION}`."
                    raise Problem(412, "tus_version", told, {"Tus-Version": VERSION})
                response = await answered(request)
            except (Problem, DiaryError) as error:
                response = answer(request, problem_of(error))
            response.headers.update(_VERSIONED)
            return response

        return versioned


router = APIRouter(prefix="/files", tags=["uploads in parts"], route_class=TusRoute)


@router.options("", status_code=204, operation_id="uploadCapabilities")
def capabilities(parts: Given) -> Response:
    """Say what this server can do."""
    said = {
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(most_bytes(parts)),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
    }
    return Response(status_code=204, headers=said)


@router.post("", status_code=201, operation_id="beginUpload", responses=answers(401, 403, 413, 422, 429, 503))
def begin(
    request: Request,
    parts: Given,
    who: Asking,
    upload_length: Annotated[int, Header(ge=0, description="Bytes of the whole file.")],
    upload_metadata: Annotated[
        str, Header(description="`filename`, `sha256`, and the fields of a submission, each with its value in Base64.")
    ] = "",
) -> Response:
    """Open a job for a file that comes in parts; `Location` says where they go, its last word is the job's id."""
    who.require("submit")
    if upload_length > most_bytes(parts):
        raise too_large(most_bytes(parts))
    told = _metadata(upload_metadata)
    name = shown_name(told.pop("filename", None) or told.pop("name", None))
    sha256 = _sha256(told.pop("sha256", None))
    told.pop("filetype", None)
    wishes = wishes_of({field: [text] for field, text in told.items()}, "metadata")
    id = uuid.uuid4().hex
    asked = new_job(
        parts,
        who,
        wishes,
        f"upload:{id}",
        name,
        SOURCE,
        id=id,
        not_before=uploads.NOT_BEFORE_WHOLE,
        expected_bytes=upload_length,
    )
    uploads.expect(parts.ledger, id, upload_metadata, sha256, _resumable(parts).kept_s)
    jobs.open_jobs(parts.ledger, [asked])
    upload = _found(parts, id, who)
    if not upload_length:
        with storing():
            parts.store.put(upload_key(id), b"")
        uploads.complete(parts.ledger, id, uploads.UploadPart(0, 0, ""))
    # A path and no address: what stands in front of this server may be called otherwise than a request says.
    return Response(status_code=201, headers={"Location": f"{request.url.path}/{id}", **_expires(upload)})


@router.head("/{id}", operation_id="lookAtUpload", responses=answers(401, 404))
def look(id: str, parts: Given, who: Asking) -> Response:
    """Say how many bytes have come, which is where the next part begins."""
    who.require("submit")
    upload = _found(parts, id, who)
    _demand_open(upload, or_whole=True)
    headers = {
        "Upload-Offset": str(upload.received_bytes),
        "Upload-Length": str(upload.expected_bytes),
        "Cache-Control": "no-store",
        **_expires(upload),
    }
    if upload.said:
        headers["Upload-Metadata"] = upload.said
    return Response(headers=headers)


@router.patch(
    "/{id}", status_code=204, operation_id="continueUpload", responses=answers(400, 401, 404, 409, 413, 415, 503)
)
async def go_on(
    id: str,
    request: Request,
    parts: Given,
    who: Asking,
    upload_offset: Annotated[int, Header(ge=0, description="Where the bytes of this request begin.")],
    upload_checksum: Annotated[str | None, Header(description="Algorithm and Base64 of the sum of this body.")] = None,
) -> Response:
    """Take the next bytes; those that were taken are told by `Upload-Offset`, also after a connection that broke."""
    who.require("submit")
    if request.headers.get("content-type") != MEDIA_TYPE:
        raise Problem(415, "media_type_unsupported", f"The parts of an upload come as {MEDIA_TYPE}.")
    checksum = _checksum(upload_checksum)
    upload = await asyncio.to_thread(_found, parts, id, who)
    if upload_offset != upload.received_bytes:
        raise _moved(upload)
    if not upload.is_open and upload.is_whole:  # its last answer was lost, and there is nothing left to send
        return Response(status_code=204, headers=_offset(upload))
    _demand_open(upload)
    body = request.stream()
    try:
        while upload.is_open:
            before = upload.received_bytes
            upload = await _part(upload, body, parts, checksum)
            if checksum or upload.received_bytes == before:
                break
    except UploadMoved as error:
        raise _moved(await asyncio.to_thread(_found, parts, id, who)) from error
    except PermanentError as error:
        raise Problem(400, error.code, error.message) from error
    return Response(status_code=204, headers=_offset(upload))


@router.delete("/{id}", status_code=204, operation_id="endUpload", responses=answers(401, 404))
def end(id: str, parts: Given, who: Asking) -> Response:
    """Cancel an upload and remove what has come of it; its job stays visible as cancelled."""
    who.require("submit")
    _demand_open(_found(parts, id, who))
    jobs.cancel_or_remove(parts.ledger, parts.seal, id, who.owner)
    _resumable(parts).drop(id)
    return Response(status_code=204)


async def _part(upload: Upload, body: Any, parts: Parts, checksum: tuple[str, bytes] | None) -> Upload:
    """Read one part's worth of a body and keep it; the upload comes back as it was when there was nothing more."""
    left = upload.expected_bytes - upload.received_bytes
    async with Incoming(scratch_of(parts), left, also=checksum[0] if checksum else None) as file:
        gone: ClientDisconnect | None = None
        try:
            async for chunk in body:
                await file.write(chunk)
                if checksum is None and file.size_bytes >= PART_BYTES:
                    break
        except ClientDisconnect as error:
            if checksum:
                raise
            gone = error
        await file.settle()
        if checksum and file.also != checksum[1]:
            raise Problem(CHECKSUM_MISMATCH, "checksum_mismatch", "The bytes are not those of Upload-Checksum: resend.")
        if not file.size_bytes:
            if gone:
                raise gone
            return upload
        with storing():
            upload = await asyncio.to_thread(_resumable(parts).take, upload, file.path, file.size_bytes)
        if gone:
            raise gone
        return upload


def _found(parts: Parts, id: str, who: Caller) -> Upload:
    with parts.ledger.reading() as conn:
        upload = uploads.find(conn, id, who.owner)
    if upload is None:
        raise Problem(404, "upload_missing", "There is no such upload: begin it again.")
    return upload


def _demand_open(upload: Upload, *, or_whole: bool = False) -> None:
    if not upload.is_open and not (or_whole and upload.is_whole):
        told = f"This upload has ended; GET /jobs/{upload.id} says how."
        raise Problem(410, "upload_ended", told)


def _moved(upload: Upload) -> Problem:
    return Problem(409, "offset_conflict", f"The upload goes on at byte {upload.received_bytes}.", _offset(upload))


def _offset(upload: Upload) -> dict[str, str]:
    return {"Upload-Offset": str(upload.received_bytes), **_expires(upload)}


def _expires(upload: Upload) -> dict[str, str]:
    if upload.expires_at is None:
        return {}
    return {"Upload-Expires": format_datetime(dt.datetime.fromtimestamp(upload.expires_at, dt.UTC), usegmt=True)}


def _resumable(parts: Parts) -> Resumable:
    kept_s = parts.settings.upload_kept_hours * 3600
    return Resumable(parts.ledger, parts.store, scratch_of(parts), kept_s)


def _metadata(said: str) -> dict[str, str]:
    told = {}
    for pair in filter(None, (pair.strip() for pair in said.split(","))):
        name, _, value = pair.partition(" ")
        try:
            told[name] = base64.b64decode(value, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Problem(400, "metadata_invalid", "Upload-Metadata is no list of names with values in Base64.") from error
    return told


def _sha256(said: str | None) -> str | None:
    if said is not None and (len(said) != 64 or set(said.lower()) - set("0123456789abcdef")):
        raise Problem(400, "digest_invalid", "The metadata `sha256` must be 64 hex digits.")
    return said.lower() if said else None


def _checksum(said: str | None) -> tuple[str, bytes] | None:
    if said is None:
        return None
    algorithm, _, value = said.partition(" ")
    try:
        digest = base64.b64decode(value, validate=True)
    except binascii.Error:
        digest = b""
    if algorithm not in ALGORITHMS or not digest:
        raise Problem(400, "checksum_invalid", f"Upload-Checksum names one of {', '.join(ALGORITHMS)} and its Base64.")
    return algorithm, digest
