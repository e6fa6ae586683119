"""What a refused request is answered: RFC 9457 problem documents that also carry `error` and `message`.

Every refusal goes through here, those of the framework too (no such route, wrong method, a body that is no JSON). The
surprise: nothing of the request is quoted, because what does not fit a field may be somebody's diary.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route

from diary_pipeline.api.fitting import what_fits
from diary_pipeline.api.openai_answers import refusal
from diary_pipeline.core.errors import DiaryError, NotFound

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
"""For what is away for a moment: a database that restarts, a lock that somebody holds."""
FAULTS_SHOWN = 10
OPENAI = "/v1/"
"""Where every refusal reads as OpenAI's, one of an address that does not exist too."""
CHECKSUM_MISMATCH = 460
"""Of the tus protocol, which no registry lists."""
_CONFLICTS = frozenset({"idempotency_conflict", "job_ended"})
_BROKEN = frozenset({"json_invalid"})
_CODES: Mapping[int, str] = {
    400: "request_invalid",
    401: "key_missing",
    403: "forbidden",
    404: "route_unknown",
    405: "method_not_allowed",
    408: "body_too_slow",
    409: "conflict",
    410: "upload_ended",
    411: "length_required",
    412: "precondition_failed",
    413: "body_too_large",
    414: "address_too_long",
    415: "media_type_unsupported",
    422: "request_invalid",
    429: "rate_limited",
    431: "headers_too_large",
    500: "internal_error",
    503: "unavailable",
}


class Problem(Exception):
    """A request that is refused; `code` is stable, `message` one sentence."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


class Fault(BaseModel):
    """One thing that does not fit."""

    where: str = Field(description="Path of the field, such as `body.priority`.")
    what: str


class ProblemDocument(BaseModel):
    """An RFC 9457 problem."""

    model_config = ConfigDict(extra="forbid")

    type: str = "about:blank"
    title: str = Field(description="What the HTTP status says.")
    status: int
    detail: str = Field(description="What happened and what to do next, in one sentence.")
    error: str = Field(description="Stable code.")
    message: str = Field(description="The same as `detail`.")
    request_id: str | None = Field(None, description="As in the X-Request-ID header; name it when you ask for help.")
    errors: list[Fault] | None = Field(None, description="Each field that does not fit.")


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Have every refusal of this app answered with a problem document; `routes`: all that it has."""

    async def told(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem.status == 405 and (methods := _allowed(routes, request.url.path)):
            problem.headers["Allow"] = methods  # the framework names those of the first route alone
        return answer(request, problem)

    async def unfit(request: Request, error: Exception) -> Response:
        return (
            _answer_invalid(request, error) if isinstance(error, RequestValidationError) else await told(request, error)
        )

    for kind in (Problem, DiaryError, HTTPException):
        app.add_exception_handler(kind, told)
    app.add_exception_handler(RequestValidationError, unfit)


def unavailable(code: str, message: str) -> Problem:
    """Make the problem of something that is away for a moment."""
    return Problem(503, code, message, {"Retry-After": str(RETRY_AFTER_S)})


def problem_of(error: Exception) -> Problem:
    """Give what an exception means to the client."""
    match error:
        case Problem():
            return error
        case NotFound():
            return Problem(404, error.code, error.message)
        case DiaryError(transient=True):
            return unavailable(error.code, error.message)
        case DiaryError():
            return Problem(409 if error.code in _CONFLICTS else 422, error.code, error.message)
        case HTTPException():
            code = _CODES.get(error.status_code, "request_invalid")
            return Problem(error.status_code, code, _sentence(error.status_code), error.headers)
        case _:
            return Problem(500, _CODES[500], "Something went wrong on our side; the request id finds it in the logs.")


def answer(request: Request, problem: Problem, errors: Sequence[Fault] | None = None) -> Response:
    """Write a problem as the response to a request, to OpenAI's clients as they read it."""
    if request.url.path.startswith(OPENAI):
        return refusal(problem.status, problem.code, problem.message, problem.headers)
    request_id = request.scope.get("state", {}).get("request_id")
    document = ProblemDocument(
        title=_phrase(problem.status),
        status=problem.status,
        detail=problem.message,
        error=problem.code,
        message=problem.message,
        request_id=request_id,
        errors=list(errors) if errors else None,
    )
    body = document.model_dump(exclude_none=True)
    return JSONResponse(body, problem.status, dict(problem.headers), media_type=MEDIA_TYPE)


def answers(*statuses: int, **said: str) -> dict[int | str, dict[str, Any]]:
    """Describe for OpenAPI what a route may refuse with: give statuses, or `s404="code: sentence"` for its example."""
    told: dict[int | str, dict[str, Any]] = {}
    for status in (*statuses, *(int(name[1:]) for name in said)):
        code, _, message = (said.get(f"s{status}") or f"{_CODES[status]}: {_sentence(status)}").partition(": ")
        example = {
            "type": "about:blank",
            "title": _phrase(status),
            "status": status,
            "detail": message,
            "error": code,
            "message": message,
            "request_id": "5f0c1d9e2b7a4c3d8e6f",
        }
        told[status] = {
            "description": message,
            "content": {
                MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}, "example": example},
            },
        }
    return told


def problem(status: int, said: str) -> Problem:
    """Make a problem of a code and a sentence, with a colon between, as routes say them of their answers."""
    code, _, message = said.partition(": ")
    return Problem(status, code, message)


def faults(errors: Sequence[Mapping[str, Any]]) -> list[Fault]:
    """Say what pydantic found, without what was sent."""
    return [
        Fault(where=".".join(str(part) for part in error["loc"])[:200], what=what_fits(error)[:300])
        for error in errors[:FAULTS_SHOWN]
    ]


def invalid(found: Sequence[Fault]) -> Problem:
    """Make the problem of a request that does not fit."""
    first = f"{found[0].where} {found[0].what}" if found else "it does not fit"
    return Problem(422, "request_invalid", f"The request cannot be used: {first}.")


def _allowed(routes: Sequence[BaseRoute], path: str) -> str:
    here = [route for route in routes if isinstance(route, Route) and route.path_regex.match(path)]
    methods = {method for route in here for method in route.methods or ()}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


def _answer_invalid(request: Request, error: RequestValidationError) -> Response:
    if any(fault["type"] in _BROKEN for fault in error.errors()):
        return answer(request, Problem(400, "json_invalid", "The body is no JSON."))
    found = faults(error.errors())
    return answer(request, invalid(found), found)


def _phrase(status: int) -> str:
    return "Checksum Mismatch" if status == CHECKSUM_MISMATCH else HTTPStatus(status).phrase


def _sentence(status: int) -> str:
    match status:
        case 404:
            return "There is nothing at this address; see /docs or docs/api.md."
        case 405:
            return "This address takes another method; the Allow header names it."
        case 429:
            return "Too many requests; ask again after the seconds in Retry-After."
        case 503:
            return "Something that is needed does not answer; ask again after the seconds in Retry-After."
        case _:
            return f"{HTTPStatus(status).phrase}."
