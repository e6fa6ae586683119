"""Reading a JSON body: as much as is allowed, as text that every store can hold, checked against what may be sent.

Not the framework's own reading, which takes the whole body before it asks who is there, and hands on what breaks later;
what that is stands in intake/sent_json.py.
"""

from typing import Any, TypeVar

from anyio.to_thread import run_sync
from fastapi import Request
from pydantic import BaseModel, ValidationError

from diary_pipeline.api.problems import Problem, faults, invalid
from diary_pipeline.core.errors import UsageError
from diary_pipeline.intake import sent_json

IN_PASSING_BYTES = 16 * 1024
"""Up to here reading costs less than a hop to a thread; beyond, others would wait for it."""
Model = TypeVar("Model", bound=BaseModel)


async def read_json(request: Request, model: type[Model], most_bytes: int) -> Model:
    """Return the body; Problem 400, 413, 415 or 422 where it is none of that kind."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(415, "media_type_unsupported", "Send JSON, with Content-Type: application/json.")
    body = await _body(request, most_bytes)
    if len(body) <= IN_PASSING_BYTES:
        return checked(parsed(body), model)
    return await run_sync(lambda: checked(parsed(body), model))


def parsed(body: bytes, field: str | None = None) -> Any:
    """Read JSON, of one field or of all, that can be stored and given back as it came; Problem 400 or 422."""
    try:
        return sent_json.parsed(body, field)
    except UsageError as error:
        raise Problem(400 if error.code == sent_json.INVALID else 422, error.code, error.message) from None


def checked(value: Any, model: type[Model], where: str = "body") -> Model:
    """Read a value as what may be sent; Problem 422 that names the first field which does not fit."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(faults([{**fault, "loc": (where, *fault["loc"])} for fault in error.errors()])) from None


async def _body(request: Request, most_bytes: int) -> bytes:
    too_large = Problem(413, "body_too_large", f"The body is larger than {most_bytes} bytes.")
    said = request.headers.get("content-length", "0")
    if said.isdecimal() and int(said) > most_bytes:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise too_large
    return bytes(body)
