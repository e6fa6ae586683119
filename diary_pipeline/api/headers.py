"""Headers that every answer carries, so that no browser makes more of it than it is.

TLS and its `Strict-Transport-Security` are the proxy's business. What surprises: the page of /docs has a policy of its
own, because it runs the scripts that are served beside it and asks this API.
"""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diary_pipeline.api.docs_page import DOCS

PRIVATE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# 'unsafe-inline' of styles: Swagger UI sets some on its elements, and none is ever made of what somebody sent.
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


class SecurityHeaders:
    """ASGI middleware; the outermost, so that what the others answer has them too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                policy = DOCS_POLICY if scope["path"] == DOCS and message["status"] == 200 else NOTHING
                for name, value in {**PRIVATE, "Content-Security-Policy": policy}.items():
                    headers.setdefault(name, value)
                del headers["server"]
            await send(message)

        await self.app(scope, receive, told if scope["type"] == "http" else send)
