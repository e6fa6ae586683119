"""Which requests Dagster's webserver takes: those of its own pages and of programs, not those of other sites' pages.

Stock runs mutations that come by GET, or by POST with the operation in the address. An image or a form on any page that
somebody looks at could then launch and stop runs here, on loopback too: the browser is on the inside. Programs send no
`Origin`, so they notice nothing. The surprise: GET stays for the GraphiQL page, which executes nothing by itself.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

READS = frozenset({"GET", "HEAD", "OPTIONS"})
BODIES = ("application/json", "application/graphql")
"""No page may send these to another site unasked, and Dagster's webserver answers no such question."""


class OwnPagesOnly:
    """Refuses the others with 403 and a sentence, before Dagster sees them."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        why = refusal(scope) if scope["type"] in ("http", "websocket") else None
        if why is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": why})
        else:
            await PlainTextResponse(why, 403)(scope, receive, send)


def refusal(scope: Scope) -> str | None:
    """Say why a request is not taken; None: it is."""
    headers = Headers(scope=scope)
    reads = scope["type"] == "http" and scope["method"] in READS
    if not reads and "origin" in headers and urlsplit(headers["origin"]).netloc != headers.get("host"):
        return "A page of another site may not change anything here."
    if scope["type"] == "websocket" or not scope["path"].endswith("/graphql"):
        return None
    if scope["method"] == "GET" and "text/html" not in headers.get("accept", ""):
        return "Send GraphQL operations by POST: by GET any page could."
    if scope["method"] == "POST" and not headers.get("content-type", "").startswith(BODIES):
        return f"Send GraphQL operations in the body, as {' or '.join(BODIES)}: in the address any page could."
    return None
