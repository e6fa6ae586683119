"""Reading a JSON body: as much as is allowed, as text that every store can hold, checked against what may be sent.

Not the framework's own reading, which takes the whole body before it asks who is there, and hands on what breaks later:
half an emoji, a number of ten thousand digits, a thousand lists in each other.
"""

import json
from typing import Any, NoReturn, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from diary_pipeline.api.problems import Problem, faults, invalid

DEEPEST = 64
LONGEST_INTEGER = 300
"""Digits; far beyond what other languages read as a number."""
Model = TypeVar("Model", bound=BaseModel)


async def read_json(request: Request, model: type[Model], most_bytes: int) -> Model:
    """Return the body; Problem 400, 413, 415 or 422 where it is none of that kind."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(415, "media_type_unsupported", "Send JSON, with Content-Type: application/json.")
    return checked(parsed(await _body(request, most_bytes)), model)


def parsed(body: bytes) -> Any:
    """Read JSON that can be stored and given back as it came; Problem 400 or 422."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse, parse_int=_integer)
    except (ValueError, RecursionError):
        raise Problem(400, "json_invalid", "The body is no JSON.") from None
    _check(value)
    return value


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


def _check(value: Any) -> None:
    """Refuse what JSON can say and no database or client takes."""
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        if not level:
            return
        inner: list[Any] = []
        for one in level:
            match one:
                case str():
                    _check_text(one)
                case float() if one in (float("inf"), float("-inf")):  # 1e999
                    raise Problem(422, "json_unusable", "A number in the body is too large.")
                case dict():
                    for name in one:
                        _check_text(name)
                    inner += one.values()
                case list():
                    inner += one
        level = inner
    if level:
        raise Problem(422, "json_unusable", f"The body has more than {DEEPEST} levels.")


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Problem(422, "json_unusable", "The body holds half a character (a lone surrogate).") from None


def _refuse(_: str) -> NoReturn:
    raise ValueError


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_INTEGER:
        raise Problem(422, "json_unusable", f"An integer in the body has more than {LONGEST_INTEGER} digits.")
    return int(digits)
