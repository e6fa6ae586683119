"""Which requests Dagster's webserver takes: those of its own pages and of programs, not those of other sites' pages.

Stock runs mutations that come by GET, or by POST with the operation in the address. An image or a form on any page that
somebody looks at could then launch and stop runs here, on loopback too: the browser is on the inside. Programs send no
`Origin`, so they notice nothing. A page whose own name was made to point here (DNS rebinding) looks like ours in all
but that name, so only names that are known are answered to. The surprises: an address in figures is always known, for
it cannot be made to point elsewhere; and GET stays for the GraphiQL page, which executes nothing by itself.
"""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

READS = frozenset({"GET", "HEAD", "OPTIONS"})
OURS = (None, "none", "same-origin")
"""What `Sec-Fetch-Site` says, which no script can set, of our own pages and of what somebody typed."""
BODIES = ("application/json", "application/graphql")
"""No page may send these to another site unasked, and Dagster's webserver answers no such question."""


class OwnPagesOnly:
    """Refuses the others with 403 and a sentence, before Dagster sees them."""

    def __init__(self, app: ASGIApp, hosts: Collection[str] = ()) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        why = refusal(scope, self.hosts) if scope["type"] in ("http", "websocket") else None
        if why is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": why})
        else:
            await PlainTextResponse(why, 403)(scope, receive, send)


def refusal(scope: Scope, hosts: Collection[str]) -> str | None:
    """Say why a request is not taken; None: it is. `hosts`: names that are answered to beside loopback's."""
    headers = Headers(scope=scope)
    if not _is_known(headers.get("host", ""), hosts):
        return "Dagster is not asked under this host name; DIARY_UI_HOSTS names those it answers to."
    reads = scope["type"] == "http" and scope["method"] in READS
    followed = reads and headers.get("sec-fetch-mode") == "navigate"
    elsewhere = headers.get("sec-fetch-site") not in OURS and not followed
    if elsewhere or (not reads and "origin" in headers and urlsplit(headers["origin"]).netloc != headers.get("host")):
        return "A page of another site may neither read nor change anything here."
    if scope["type"] == "websocket" or not scope["path"].endswith("/graphql"):
        return None
    if scope["method"] == "GET" and "text/html" not in headers.get("accept", ""):
        return "Send GraphQL operations by POST: by GET any page could."
    if scope["method"] == "POST" and not headers.get("content-type", "").startswith(BODIES):
        return f"Send GraphQL operations in the body, as {' or '.join(BODIES)}: in the address any page could."
    return None


def _is_known(host: str, hosts: Collection[str]) -> bool:
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0].lower()
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost" or name in hosts
    return True
