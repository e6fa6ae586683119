"""The OpenAPI document of each app. What a route takes and answers is said where the route is; here is what they share.

What surprises: the framework leaves out what only `$ref`s of ours name, so those schemas are added here; and what every
request may be refused with before a route sees it (door.py, guards.py) is added to every route.
"""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from diary_pipeline.api.body_rules import FORM, JSON
from diary_pipeline.api.door import FREE, OPEN
from diary_pipeline.api.models import Batch, Submission
from diary_pipeline.api.openai_answers import refusal_described, status_of
from diary_pipeline.api.problems import OPENAI, ProblemDocument, answers

TITLES = {"ingestion": "Diary ingestion API", "status": "Diary status API", "all": "Diary API"}
ABOUT = (
    "Spoken recordings become dated, truthful notes. Every refusal is a problem document (RFC 9457) with a stable code "
    "in `error`, and below /v1/ one of OpenAI's; every answer carries X-Request-ID."
)
_THEIRS = "HTTPValidationError"
_NAMED_BY_US = (ProblemDocument, Submission, Batch)
KEYS = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key of `diary keys create`."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key."},
}
_WHERE = "#/components/schemas/{model}"


def describe(app: FastAPI, name: str) -> None:
    """Have the app give this document as its own."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, name)
        return app.openapi_schema

    # The framework's way to extend the document; mypy takes it for a mistake.
    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI, name: str) -> dict[str, Any]:
    made = get_openapi(title=TITLES[name], version=_version(), description=ABOUT, routes=app.routes)
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    _, ours = models_json_schema([(model, "validation") for model in _NAMED_BY_US], ref_template=_WHERE)
    schemas.update(ours.get("$defs", {}))
    for path, operations in made["paths"].items():
        for operation in operations.values():
            _add_refusals(path, operation)
    made["components"]["securitySchemes"] = KEYS
    for unused in (_THEIRS, "ValidationError"):  # the framework's own words for a refusal
        schemas.pop(unused, None)
    return made


def _add_refusals(path: str, operation: dict[str, Any]) -> None:
    """Name what is refused around the route, and have the framework's own refusal read as all others."""
    told, takes = operation["responses"], operation.get("requestBody", {}).get("content", {})
    if _THEIRS in str(told.get("422")):
        told["422"] = answers(422)[422]
    statuses = [403, 405, 414, 431]
    statuses += [] if path in FREE else [422, 429, 503]
    statuses += [] if path in OPEN else [401]
    statuses += [400, 408, 413] if takes else []
    statuses += [411] if JSON in takes else []
    statuses += [415] if JSON in takes or FORM in takes else []
    for status, described in answers(*statuses).items():
        told.setdefault(str(status), described)
    if path.startswith(OPENAI):
        told = {**_as_openai(told), **{status: one for status, one in told.items() if status.startswith("2")}}
    operation["responses"] = dict(sorted(told.items()))
    if path not in OPEN:
        operation["security"] = [*({name: []} for name in KEYS), {}]  # the last: none, as on loopback


def _as_openai(told: Mapping[str, Any]) -> dict[str, Any]:
    refused = {int(status): one["description"] for status, one in told.items() if not status.startswith("2")}
    return {str(status_of(status)): refusal_described(refused[status]) for status in sorted(refused, reverse=True)}


def _version() -> str:
    try:
        return version("diary-pipeline")
    except PackageNotFoundError:  # run from a source tree that nobody installed
        return "0"
