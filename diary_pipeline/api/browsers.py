"""What a web page in somebody's browser may do with this API: nothing, unless its origin is named.

With keys a page has none to show. Without keys (on loopback) the browser itself is inside, so that any page that its
user looks at could submit and erase. Three things are asked, for each covers what another one leaves open:

* the Host must be a name of loopback: a page whose own name is made to point here (DNS rebinding) sends its own;
* `Sec-Fetch-Site`, which no script can set, must not tell of another site; a link that somebody follows is let through,
  for looking alone;
* an `Origin`, which browsers without Sec-Fetch-Site send with all but looking, must be this API's or one that is named.

Whatever sends none of them is no browser. The surprise: a request that a proxy passed on is refused as well while no
keys are wanted, because a proxy on this machine makes all the world look like loopback.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from diary_pipeline.api.addresses import FORWARDING
from diary_pipeline.api.auth import is_loopback
from diary_pipeline.api.models import Wishes
from diary_pipeline.api.parts import Parts
from diary_pipeline.api.problems import Problem

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
SENT = (
    "Authorization Content-Type Content-Disposition Content-Digest X-Content-SHA256 Idempotency-Key If-Match X-API-Key "
    "X-Request-ID Last-Event-ID Tus-Resumable Upload-Length Upload-Offset Upload-Metadata Upload-Checksum"
).split() + [f"X-Diary-{name.replace('_', '-')}" for name in Wishes.model_fields]
SHOWN = (
    "Location ETag Idempotent-Replayed X-Job-Id Upload-Expires Retry-After RateLimit-Limit RateLimit-Remaining "
    "RateLimit-Reset RateLimit-Policy X-Request-ID Content-Disposition Tus-Resumable Tus-Version Tus-Extension "
    "Tus-Max-Size Upload-Length Upload-Offset"
).split()
_LOOKING = frozenset({"GET", "HEAD"})


def origins(parts: Parts) -> Middleware:
    """Let the pages of named origins ask (CORS); with none named, a browser is told no."""
    return Middleware(
        CORSMiddleware,
        allow_origins=parts.settings.api_origins,
        allow_methods=METHODS,
        allow_headers=SENT,
        expose_headers=SHOWN,
        max_age=600,
    )


def check_host(headers: Headers, hosts: Collection[str], without_keys: bool) -> None:
    """Refuse a request under a name that is not ours; Problem 403."""
    name = _name(headers.get("host", ""))
    if hosts:
        known = name in {host.lower() for host in hosts} or (without_keys and is_loopback(name))
    else:
        known = not without_keys or is_loopback(name)
    if not known:
        raise Problem(
            403, "host_refused", "The API is not asked under this host name; DIARY_API_HOSTS names those it answers to."
        )


def check_stranger(method: str, headers: Headers, allowed: Collection[str], proxies_named: bool) -> None:
    """Refuse, where no keys are wanted, what a page of another origin or somebody behind a proxy asks; Problem 403."""
    if not proxies_named and any(header in headers for header in FORWARDING):
        raise Problem(
            403,
            "proxy_without_keys",
            "A proxy passed this on, and without keys the API answers this machine alone: set DIARY_API_AUTH=keys.",
        )
    origin = headers.get("origin")
    if origin is not None and (origin in allowed or _is_own(origin, headers)):
        return
    site = headers.get("sec-fetch-site")
    followed = method in _LOOKING and headers.get("sec-fetch-mode") == "navigate"
    from_elsewhere = site not in (None, "none", "same-origin") and not followed
    if from_elsewhere or (origin is not None and method not in _LOOKING):
        raise Problem(
            403, "origin_refused", "A web page of another origin may not ask; DIARY_API_ORIGINS names those that may."
        )


def _is_own(origin: str, headers: Headers) -> bool:
    return urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""


def _name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
