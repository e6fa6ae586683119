"""Two rules of every route that is asked: which parameters a query may have, and that HEAD is answered wherever GET is.

What surprises: `/health`, `/ready` and `/metrics` take any query, because a machine that asks them would take a refusal
for an outage.
"""

from collections.abc import Iterator, Sequence

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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


class Heads:
    """ASGI middleware: asks a route for what GET would answer, and sends its headers alone."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        """`routes`: all there are; one that answers HEAD in its own way is left to it."""
        self.app = app
        self.own = [route for route in routes if isinstance(route, Route) and route.methods == {"HEAD"}]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or self._is_own(scope["path"]):
            await self.app(scope, receive, send)
            return
        is_told = False

        async def head(message: Message) -> None:
            nonlocal is_told
            if is_told:
                raise OSError  # as of a client that has gone: a stream of events would never end
            if message["type"] == "http.response.start":
                await send(message)
            else:
                is_told = True
                await send({"type": "http.response.body", "body": b""})

        scope["method"] = "GET"
        try:
            await self.app(scope, receive, head)
        except (ClientDisconnect, OSError):
            if not is_told:
                raise
        finally:
            scope["method"] = "HEAD"  # for the log and the server, who see the same scope

    def _is_own(self, path: str) -> bool:
        return any(route.path_regex.match(path) for route in self.own)


def _names(dependant: Dependant) -> Iterator[str]:
    for field in dependant.query_params:
        model = field.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from model.model_fields
        else:
            yield field.alias
    for inner in dependant.dependencies:
        yield from _names(inner)
