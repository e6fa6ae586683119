"""Which bodies are read, how much of them, and how slowly they may come; nothing is kept of them here.

What surprises: a route whose body is refused on the way is told that its client has gone, which it must cope with
anyway: it keeps or drops what came. The answer is given here, whatever the route makes of that.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diary_pipeline.api.body_rules import Limit, Rule, rule_for, rules_of
from diary_pipeline.api.parts import Parts
from diary_pipeline.api.problems import Problem, answer, problem_of

GRACE_S = 20.0
"""Before a sender's speed is judged: the first seconds of a mobile connection say little."""
LINGER_S = 2.0
"""For how long the rest of a refused body is thrown away: a connection that is closed while its other end still writes
is reset, and a reset may take the answer with it that was on its way (RFC 9112, 9.6)."""

GONE: Message = {"type": "http.disconnect"}


@dataclass(frozen=True)
class Pace:
    """How slowly a body may come."""

    idle_s: float
    min_bytes_s: int


def bodies(parts: Parts) -> Middleware:
    """Make the guard of a deployment's bodies."""
    s = parts.settings
    rules = rules_of(json_bytes=s.api_json_kb * 1000, file_bytes=parts.limits.max_size_bytes)
    return Middleware(Bodies, rules=rules, pace=Pace(s.api_body_idle_s, s.api_body_min_bytes_s))


class Bodies:
    """ASGI middleware: refuses a body by what it says of itself, and then counts what really comes."""

    def __init__(
        self, app: ASGIApp, rules: Sequence[Rule], pace: Pace, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.app = app
        self.rules = rules
        self.pace = pace
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse its body."""
        if scope["type"] != "http" or not has_body(headers := Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        try:
            limit = rule_for(self.rules, scope["method"], scope["path"]).limit(headers)
        except Problem as problem:
            await refuse(scope, receive, send, problem if _has_route(scope) else problem_of(HTTPException(404)))
            return
        body = _Watched(scope, receive, send, limit, self.pace, self.clock)
        try:
            await self.app(scope, body.receive, body.send)
        except ClientDisconnect:
            if body.verdict is None and not body.gone:
                raise
        if body.verdict is not None:
            await body.close()


class _Watched:
    """One body on its way in, and the answer on its way out."""

    def __init__(  # noqa: PLR0917 - a request in ASGI is three things already
        self, scope: Scope, receive: Receive, send: Send, limit: Limit, pace: Pace, clock: Callable[[], float]
    ) -> None:
        self.scope, self._receive, self._send = scope, receive, send
        self._limit, self._pace, self._clock = limit, pace, clock
        self.verdict: Problem | None = None
        self.gone = False
        self._whole = False
        self._answering = False
        self._bytes = 0
        self._waited_s = 0.0

    async def receive(self) -> Message:
        if self.verdict is not None:
            return GONE
        if self._whole:  # what still comes is the end of the connection, which may take hours
            return await self._receive()
        began = self._clock()
        try:
            message = await asyncio.wait_for(self._receive(), self._pace.idle_s)
        except TimeoutError:
            self.verdict = _too_slow(f"nothing came for {self._pace.idle_s:g} s")
            return GONE
        self._waited_s += self._clock() - began
        if message["type"] == "http.disconnect":
            self.gone = True
            return message
        self._bytes += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        self.verdict = self._judged()
        return message if self.verdict is None else GONE

    async def send(self, message: Message) -> None:
        if self.verdict is None or self._answering:
            self._answering = True
            await self._send(message)

    async def close(self) -> None:
        """Answer with what was found, unless the route had begun to answer before."""
        if self.verdict is not None and not self._answering:
            lingers = self.verdict.status != 408
            await refuse(self.scope, self._receive, self._send, self.verdict, lingers and not self._whole)

    def _judged(self) -> Problem | None:
        if self._bytes > self._limit.most_bytes:
            return self._limit.too_large
        slowest = self._pace.min_bytes_s * self._waited_s
        if not self._whole and self._waited_s > GRACE_S and self._bytes < slowest:
            return _too_slow(f"less than {self._pace.min_bytes_s} bytes a second came")
        return None


def _has_route(scope: Scope) -> bool:
    """Tell whether something is at this address, for whatever method."""
    app = scope.get("app")
    return app is None or any(route.matches(scope)[0] is not Match.NONE for route in app.routes)


def has_body(headers: Headers) -> bool:
    """Tell whether a request says that it has a body."""
    return headers.get("content-length", "0").strip() != "0" or "transfer-encoding" in headers


async def refuse(scope: Scope, receive: Receive, send: Send, problem: Problem, lingers: bool = True) -> None:
    """Answer with a problem, and end the connection of whoever has not sent all of the body."""
    headers = Headers(scope=scope)
    response = answer(Request(scope), problem)
    if not has_body(headers):
        await response(scope, receive, send)
        return
    response.headers["connection"] = "close"
    # Whoever waits for `100 Continue` has sent nothing, and would take our asking for the body as leave to send it.
    waits = lingers and "expect" not in headers

    async def held(message: Message) -> None:
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        await send({**message, "more_body": True} if last and waits else message)

    await response(scope, receive, held)
    if waits:
        try:
            async with asyncio.timeout(LINGER_S):
                while (await receive()).get("more_body", False):
                    pass
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _too_slow(why: str) -> Problem:
    return Problem(408, "body_too_slow", f"The body came too slowly: {why}; send it again, a large file in parts.")
