"""Around every request: its id, its line in the log, what it counts for, and the last net under it.

The id is the client's X-Request-ID where that is a plain word, else a new one; the answer carries it. The log names the
route's template and never the path: ids of jobs would make every line another one, and a query may hold words of a
diary. What surprises: the net lies here and not in the framework's handler of all exceptions, because that one hands
the exception on to the server, which prints its message.
"""

import re
import time
import uuid
from collections.abc import Callable

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diary_pipeline.api.problems import answer, problem_of
from diary_pipeline.observability.logs import log

HEADER = "x-request-id"
UNKNOWN_ROUTE = "unmatched"
METHODS = frozenset("GET HEAD POST PUT PATCH DELETE OPTIONS".split())
_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")

logger = log(__name__)
Observe = Callable[[str, str, int, float], None]
"""Method, route template, status, seconds."""


class RequestLog:
    """ASGI middleware; the outermost."""

    def __init__(self, app: ASGIApp, observe: Observe) -> None:
        self.app = app
        self.observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _id_of(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        began, status = time.monotonic(), 0

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (HEADER.encode(), request_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, told)
        except Exception as error:  # the last net: a defect of ours costs this request alone
            logger.exception("request_failed", request_id=request_id, route=route_of(scope))
            if not status:
                await answer(Request(scope), problem_of(error))(scope, receive, told)
        finally:
            took_s = time.monotonic() - began
            method = scope["method"] if scope["method"] in METHODS else "OTHER"
            self.observe(method, route_of(scope), status, took_s)
            logger.info(
                "answered", method=method, route=route_of(scope), status=status, took_s=took_s, request_id=request_id
            )


def route_of(scope: Scope) -> str:
    """Give the template of the route that took a request: one of a few words, whatever was asked for."""
    return getattr(scope.get("route"), "path", None) or UNKNOWN_ROUTE


def _id_of(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == HEADER.encode() and _WORD.fullmatch(said := value.decode("latin-1")):
            return str(said)
    return uuid.uuid4().hex
