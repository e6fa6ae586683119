"""Resumable uploads: the tus protocol 1.0 (https://tus.io), so that existing clients work.

Core, creation, termination, checksum and expiration; tus_headers.py reads what is said. Where parts are kept and how
the whole becomes a job stands in intake/resumable.py; why no library does this, in docs/decisions/0004.

What surprises: one PATCH may become several parts. What has come is kept every few mebibytes, so a client that breaks
off, or a server that is killed in the middle of half a gigabyte, loses little; with a checksum the whole PATCH is one
part, because nothing of it may be kept before the sum is known.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from diary_pipeline.api.auth import Asking, Caller
from diary_pipeline.api.incoming import Incoming, storing, too_large
from diary_pipeline.api.opening import new_job
from diary_pipeline.api.parts import Given, Parts
from diary_pipeline.api.problems import CHECKSUM_MISMATCH, Problem, answer, answers, faults, invalid, problem_of
from diary_pipeline.api.tus_headers import ALGORITHMS, VERSION, Checksum, announced, checksum, standing
from diary_pipeline.core.errors import DiaryError, PermanentError
from diary_pipeline.intake.resumable import UploadMoved, remove
from diary_pipeline.ledger import jobs, uploads
from diary_pipeline.ledger.tables import NOT_WHOLE
from diary_pipeline.ledger.uploads import Upload, UploadPart
from diary_pipeline.storage.keys import upload_key

EXTENSIONS = "creation,termination,checksum,expiration"
PART_BYTES = 8 << 20
"""Kept at a time: what a broken connection loses at most; storing one costs some tens of milliseconds."""
MEDIA_TYPE = "application/offset+octet-stream"
SOURCE = "tus"
_VERSIONED = answers(s412=f"tus_version: This server speaks tus {VERSION}: say so with Tus-Resumable.")
_OF_ONE = _VERSIONED | answers(
    s404="upload_missing: There is no such upload: begin it again.",
    s410="upload_ended: This upload has ended; GET /jobs/{id} says how.",
)


class TusRoute(APIRoute):
    """Says the protocol's version in every answer, refusals included, and wants it in every request but OPTIONS."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """Wrap what answers."""
        answered = super().get_route_handler()

        async def versioned(request: Request) -> Response:
            try:
                _demand_version(request)
                response = await answered(request)
            except RequestValidationError as error:
                found = faults(error.errors())
                response = answer(request, invalid(found), found)
            except (Problem, DiaryError) as error:
                response = answer(request, problem_of(error))
            response.headers["Tus-Resumable"] = VERSION
            return response

        return versioned


router = APIRouter(prefix="/files", tags=["uploads in parts"], route_class=TusRoute)


@router.options("", status_code=204, operation_id="uploadCapabilities")
def capabilities(parts: Given) -> Response:
    """Say what this server can do."""
    said = {
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(parts.limits.max_size_bytes),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
    }
    return Response(status_code=204, headers=said)


@router.post("", status_code=201, operation_id="beginUpload", responses=answers(400, 413) | _VERSIONED)
def begin(
    request: Request,
    parts: Given,
    who: Asking,
    upload_length: Annotated[int, Header(ge=0, description="Bytes of the whole file.")],
    upload_metadata: Annotated[
        str, Header(description="`filename`, `sha256` and the fields of a submission, each with its value in Base64.")
    ] = "",
) -> Response:
    """Open a job for a file that comes in parts; `Location` says where they go, its last word is the job's id."""
    who.require("submit")
    if upload_length > parts.limits.max_size_bytes:
        raise too_large(parts.limits.max_size_bytes)
    file = announced(upload_metadata)
    id = uuid.uuid4().hex
    asked = new_job(
        parts,
        who,
        file.wishes,
        f"upload:{id}",
        file.file_name,
        SOURCE,
        id=id,
        not_before=NOT_WHOLE,
        expected_bytes=upload_length,
    )
    uploads.expect(parts.ledger, id, upload_metadata, file.sha256, parts.resumable.kept_s)
    parts.jobs.open(asked)
    if not upload_length:
        with storing():
            parts.store.put(upload_key(id), b"")
        uploads.complete(parts.ledger, id, UploadPart(0, 0, ""))
    # A path and no address: what stands in front of this server may be called otherwise than a request says.
    where = {"Location": f"{request.url.path.rstrip('/')}/{id}"}
    return Response(status_code=201, headers={**standing(_found(parts, id, who)), **where})


@router.head("/{id}", operation_id="lookAtUpload", responses=_OF_ONE)
def look(id: str, parts: Given, who: Asking) -> Response:
    """Say how many bytes have come, which is where the next part begins."""
    who.require("submit")
    upload = _found(parts, id, who)
    if not upload.is_open and not upload.is_whole:
        raise _ended(upload)
    headers = {**standing(upload), "Upload-Length": str(upload.expected_bytes), "Cache-Control": "no-store"}
    if upload.said:
        headers["Upload-Metadata"] = upload.said
    return Response(headers=headers)


@router.patch(
    "/{id}",
    status_code=204,
    operation_id="continueUpload",
    responses=_OF_ONE
    | answers(
        400,
        408,
        413,
        s409="offset_conflict: The upload goes on at byte 1048576.",
        s415=f"media_type_unsupported: The parts of an upload come as {MEDIA_TYPE}.",
        s460="checksum_mismatch: The bytes are not those of Upload-Checksum; nothing of them is kept: send them again.",
    ),
)
async def go_on(  # noqa: PLR0917 - the framework's way to declare headers
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
    wanted = checksum(upload_checksum)
    upload = await asyncio.to_thread(_found, parts, id, who)
    if upload_offset != upload.received_bytes:
        raise _moved(upload)
    if not upload.is_open and not upload.is_whole:  # of one that is whole the last answer may have been lost
        raise _ended(upload)
    body = request.stream()
    try:
        while upload.is_open:
            before = upload.received_bytes
            upload = await _part(upload, body, parts, wanted)
            if wanted or upload.received_bytes == before:
                break
    except UploadMoved as error:
        raise _moved(await asyncio.to_thread(_found, parts, id, who)) from error
    except PermanentError as error:
        raise Problem(400, error.code, error.message) from error
    return Response(status_code=204, headers=standing(upload))


@router.delete("/{id}", status_code=204, operation_id="endUpload", responses=_OF_ONE)
def end(id: str, parts: Given, who: Asking) -> Response:
    """Cancel an upload and remove what has come of it; its job stays visible as cancelled."""
    who.require("submit")
    upload = _found(parts, id, who)
    if not upload.is_open:
        raise _ended(upload)
    jobs.cancel_or_remove(parts.ledger, parts.seal, id, who.owner)
    remove(parts.ledger, parts.store, id)
    return Response(status_code=204)


async def _part(upload: Upload, body: AsyncIterator[bytes], parts: Parts, wanted: Checksum | None) -> Upload:
    """Read one part's worth of a body and keep it; the upload comes back as it was when there was nothing more."""
    left = upload.expected_bytes - upload.received_bytes
    broken: ClientDisconnect | None = None
    async with Incoming(parts.settings.scratch_dir, left, also=wanted.algorithm if wanted else None) as file:
        try:
            async for chunk in body:
                if file.size_bytes + len(chunk) > left:
                    told = f"More came than the {upload.expected_bytes} bytes of Upload-Length; go on at byte {upload.received_bytes}."
                    raise Problem(413, "upload_length_exceeded", told)
                await file.write(chunk)
                if wanted is None and file.size_bytes >= PART_BYTES:
                    break
        except ClientDisconnect as error:
            broken = error
        await file.settle()
        if wanted and file.also != wanted.digest:
            told = "The bytes are not those of Upload-Checksum; nothing of them is kept: send them again."
            raise broken or Problem(CHECKSUM_MISMATCH, "checksum_mismatch", told)
        if file.size_bytes:
            with storing():
                upload = await asyncio.to_thread(parts.resumable.take, upload, file.path, file.size_bytes)
    if broken:
        raise broken
    return upload


def _demand_version(request: Request) -> None:
    if request.method != "OPTIONS" and request.headers.get("tus-resumable") != VERSION:
        told = f"This server speaks tus {VERSION}: say so with `Tus-Resumable: {VERSION}`."
        raise Problem(412, "tus_version", told, {"Tus-Version": VERSION})


def _found(parts: Parts, id: str, who: Caller) -> Upload:
    with parts.ledger.reading() as conn:
        upload = uploads.find(conn, id, who.owner)
    if upload is None:
        raise Problem(404, "upload_missing", "There is no such upload: begin it again.")
    return upload


def _ended(upload: Upload) -> Problem:
    return Problem(410, "upload_ended", f"This upload has ended; GET /jobs/{upload.id} says how.")


def _moved(upload: Upload) -> Problem:
    return Problem(409, "offset_conflict", f"The upload goes on at byte {upload.received_bytes}.", standing(upload))
