"""What every request passes before a byte of its body is read: its size, its host, its key, how often it asks.

Bodies are guards.py's business, what a route wants beyond `read` or `submit` the route's. What surprises: an address
that does not exist is refused without a key as any other, so that nobody learns which do.
"""

from dataclasses import dataclass
from functools import cached_property

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diary_pipeline.api import docs_page
from diary_pipeline.api.addresses import Network, client_address, counted_as, networks
from diary_pipeline.api.auth import EVERYTHING, Caller, Mode, auth_mode, check_method, key_problem, shown_key
from diary_pipeline.api.browsers import check_host, check_stranger
from diary_pipeline.api.guards import refuse
from diary_pipeline.api.keys import KeyRing
from diary_pipeline.api.limits import Rates, Standing
from diary_pipeline.api.parts import Parts
from diary_pipeline.api.problems import Problem, problem_of
from diary_pipeline.core.errors import DiaryError
from diary_pipeline.settings import Settings

FREE = frozenset({"/health", "/ready", "/metrics"})
"""Asked by machines of the deployment, often, and telling nothing of anybody."""
OPEN = FREE | docs_page.PATHS | {"/openapi.json"}
"""Need no key."""
LONGEST_TARGET = 8_192
MOST_HEADER_BYTES = 32_768
"""Servers for Python take 64 KiB (h11) or as much as is sent (httptools) before they ask us."""


@dataclass(frozen=True)
class Rules:
    """How one deployment keeps its door."""

    mode: Mode
    keys: KeyRing
    rates: Rates
    settings: Settings

    @cached_property
    def trusted(self) -> tuple[Network, ...]:
        """The networks of trusted proxies."""
        return networks(self.settings.trusted_proxies)

    def address_of(self, scope: Scope, headers: Headers) -> str:
        """Name the address under which a request is counted."""
        peer = (scope.get("client") or (None,))[0]
        return counted_as(client_address(peer, headers, self.trusted, self.settings.forwarded_header))


def door(parts: Parts) -> Middleware:
    """Make the door of a deployment."""
    s = parts.settings
    mode = auth_mode(s.api_auth, s.api_host, s.trusted_proxies)
    return Middleware(Door, rules=Rules(mode, KeyRing(parts.ledger), Rates(s.rate_limits, s.tiers, s.redis_url), s))


class Door:
    """ASGI middleware: whoever comes past it has a `Caller` in the request's state."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self.app = app
        self.rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or answer it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)  # the life of the server: ends when it ends
            await self.rules.rates.close()
            return
        try:
            standing = await self._let_in(scope)
        except (Problem, DiaryError) as error:  # the latter: keys cannot be looked up at the moment
            await refuse(scope, receive, send, problem_of(error))
            return
        await self.app(scope, receive, _told(send, standing) if standing else send)

    async def _let_in(self, scope: Scope) -> Standing | None:
        headers, rules, path = Headers(scope=scope), self.rules, scope["path"]
        check_size(scope)
        without_keys = rules.mode == "off"
        check_host(headers, rules.settings.api_hosts, without_keys)
        if path in FREE:
            return None
        if without_keys:
            check_stranger(scope["method"], headers, rules.settings.api_origins, bool(rules.settings.trusted_proxies))
        address = rules.address_of(scope, headers)
        asking = Caller(None, EVERYTHING)
        if not without_keys and path not in OPEN:
            asking = await self._caller(headers, address)
        user = asking.owner or asking.key_id

        async def take_more(cost: int) -> None:
            await rules.rates.take(user, address, asking.tier, cost)

        scope.setdefault("state", {}).update(caller=asking, take_more=take_more)
        standing = await rules.rates.take(user, address, asking.tier)
        if path not in OPEN:
            check_method(asking, scope["method"])
        return standing

    async def _caller(self, headers: Headers, address: str) -> Caller:
        rules, text = self.rules, shown_key(headers)
        if text is None:
            await rules.rates.take_guess(address)
            raise key_problem("key_missing", "Send a key: `Authorization: Bearer dk_...`, or `X-API-Key: dk_...`.")
        if not rules.keys.knows(text) and not await rules.rates.may_guess(address):
            await rules.rates.take_guess(address)  # which refuses, and says when to come back
        key = await rules.keys.find(text)
        if key is not None and key.state == "good":
            return Caller(key.owner, key.scopes, key.id, key.tier)
        await rules.rates.take_guess(address)
        if key is None:
            raise key_problem("key_invalid", "There is no such key; ask who runs this API for one.")
        raise key_problem(f"key_{key.state}", f"This key is {key.state}; ask who runs this API for a new one.")


def check_size(scope: Scope) -> None:
    """Refuse a request whose address or headers are out of all measure; Problem 414 or 431."""
    target = scope.get("raw_path") or scope["path"].encode()
    if len(target) + len(scope.get("query_string", b"")) > LONGEST_TARGET:
        raise Problem(414, "address_too_long", f"An address has at most {LONGEST_TARGET} bytes.")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEADER_BYTES:
        raise Problem(431, "headers_too_large", f"Headers have at most {MOST_HEADER_BYTES} bytes together.")


def _told(send: Send, standing: Standing) -> Send:
    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in standing.headers().items():
                headers.setdefault(name, value)
        await send(message)

    return told
