"""HEAD is answered wherever GET is, with what GET would say of it.

What surprises: a stream is ended by the first byte of it, as if the client had gone, because nobody else would end it.
"""

from collections.abc import Sequence

from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send


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
