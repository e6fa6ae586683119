"""A connection to the API: how long its headers may take, how many there may be, and what is no HTTP at all.

uvicorn does the HTTP. What surprises: uvicorn waits for ever for the end of a request's headers, so a client that sends
a byte a minute would hold a connection for hours; here it has some seconds, and is told 408.
"""

import asyncio
import json
from http import HTTPStatus
from typing import cast

from starlette.requests import Request
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from diary_pipeline.api.problems import MEDIA_TYPE, answer, unavailable

HEADERS_S = 15.0
"""For the headers of one request, from its first byte, or from the connection, on."""


class Connection(H11Protocol):
    """One client's connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._most, self.limit_concurrency = config.limit_concurrency, None
        self._given_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take some bytes, and know whether a request is whole or still on its way in."""
        # One too many is answered and not cut off: a client that is reset without a word tries again at once.
        crowded = self._most is not None and len(self.connections) > self._most
        self.app = _crowded if crowded else self.config.loaded_app
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._wait()
        else:
            self._wait_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._wait_no_more()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words
        """Tell a client that it speaks no HTTP, or more of it than is read."""
        self._end(HTTPStatus.BAD_REQUEST, "http_invalid", "This is no HTTP request, or its headers are too long.")

    def _wait(self) -> None:
        if self._given_up is None:
            self._given_up = self.loop.call_later(HEADERS_S, self._give_up)

    def _wait_no_more(self) -> None:
        if self._given_up is not None:
            self._given_up.cancel()
            self._given_up = None

    def _give_up(self) -> None:
        self._given_up = None
        if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete):
            self._end(HTTPStatus.REQUEST_TIMEOUT, "request_too_slow", f"No request came within {HEADERS_S:.0f} s.")

    def _end(self, status: HTTPStatus, code: str, message: str) -> None:
        document = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": message}
        body = json.dumps({**document, "error": code, "message": message}).encode()
        head = (
            f"HTTP/1.1 {int(status)} {status.phrase}\r\nContent-Type: {MEDIA_TYPE}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


async def _crowded(scope: Scope, receive: Receive, send: Send) -> None:
    problem = unavailable("too_many_connections", "There are too many connections at the moment; ask again soon.")
    problem.headers["Connection"] = "close"
    await answer(Request(scope), problem)(scope, receive, send)
