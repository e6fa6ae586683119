"""A client for a route: which SDK, over which connection, with whose environment.

What the SDKs would do on their own and may not: retry, follow OPENAI_BASE_URL, send a private server's traffic through
HTTP_PROXY, write requests into the log at DEBUG. The surprise: importing one costs 1 to 2 s of CPU, so a route's SDK
is imported when the route is first used, and not on the event loop (routing/ sees to that).
"""

import logging
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.notes.providers.exchange import Provider
from diary_pipeline.notes.routing.route import Route

if TYPE_CHECKING:
    import httpx2

OpenProvider = Callable[[Route], Provider]
NO_KEY = "none"
"""Without a key an SDK sends the one that it finds in the environment; servers that want none ignore this word."""
CONNECT_S = 5.0

_SDK_LOGGERS = ("openai", "anthropic", "mistralai", "httpx2", "httpcore2")
_ADAPTERS = {
    "openai": "diary_pipeline.notes.providers.openai_chat",
    "anthropic": "diary_pipeline.notes.providers.anthropic_messages",
    "mistral": "diary_pipeline.notes.providers.mistral_chat",
}


def open_provider(route: Route) -> Provider:
    """Open a client for a route; ServiceMissing names what to install where its SDK is absent. Sends nothing."""
    adapter = import_module(_ADAPTERS[route.provider])
    try:
        provider: Provider = adapter.open_client(route)
    except ModuleNotFoundError as error:
        raise ServiceMissing(
            "extra_missing",
            f"The route {route.name} needs the SDK of {route.provider}: run `pip install 'diary_pipeline[llm]'`.",
        ) from error
    for name in _SDK_LOGGERS:
        # At DEBUG the anthropic SDK logs whole requests, diary included. After the import: it reads ANTHROPIC_LOG.
        logging.getLogger(name).setLevel(logging.WARNING)
    return provider


def http_client(route: Route) -> "httpx2.AsyncClient":
    """Open the connections of a route; those to a server of one's own ignore proxy variables."""
    import httpx2

    return httpx2.AsyncClient(
        trust_env=route.base_url is None,
        timeout=httpx2.Timeout(route.timeout_s, connect=CONNECT_S),
        limits=httpx2.Limits(max_connections=route.concurrency, max_keepalive_connections=route.concurrency),
    )


def given(**options: Any) -> dict[str, Any]:
    """Keep the options that a route sets."""
    return {name: value for name, value in options.items() if value}
