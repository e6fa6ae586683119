"""Which parameters the query of a request may have: those that its route knows.

What surprises: `/health`, `/ready` and `/metrics` take any query, because a machine that asks them would take a refusal
for an outage.
"""

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel

from diary_pipeline.api.door import FREE
from diary_pipeline.api.fitting import UNKNOWN_QUERY


async def check_query(request: Request) -> None:
    """Refuse a parameter that the route does not know: it would be a filter that nobody hears."""
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute) or request.url.path in FREE:
        return
    known = list(_names(route.dependant))
    if unknown := [name for name in request.query_params if name not in known]:
        told = {"type": UNKNOWN_QUERY, "ctx": {"known": known}}
        raise RequestValidationError([{**told, "loc": ("query", name[:40])} for name in unknown])


def _names(dependant: Dependant) -> Iterator[str]:
    for field in dependant.query_params:
        model = field.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from model.model_fields
        else:
            yield field.alias
    for inner in dependant.dependencies:
        yield from _names(inner)
