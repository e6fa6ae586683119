"""Who is asking, and what they may do. Finding keys in the ledger is keys.py's business, asking for them door.py's.

What surprises: a key's owner wins over any `user_id` that a request names, without a word: an application cannot
touch another one's jobs by a mistake in a field. Every route that reads or opens a job takes `Caller.owner` for it.
"""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Request
from starlette.datastructures import Headers

from diary_pipeline.api.problems import Problem
from diary_pipeline.core.errors import UsageError

Scope = Literal["submit", "read", "admin"]
Mode = Literal["keys", "off"]
EVERYTHING: frozenset[str] = frozenset({"submit", "read", "admin"})
CHALLENGE = 'Bearer realm="diary"'
LONGEST_KEY = 200
_ONLY_LOOKS = frozenset({"GET"})
_TELLS_NOTHING = frozenset({"HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Caller:
    """Somebody who asks."""

    owner: str | None
    """Whose jobs they may touch; None: everybody's."""
    scopes: frozenset[str]
    key_id: str | None = None
    tier: str | None = None

    def require(self, scope: Scope) -> None:
        """Refuse what the key was not made for; `admin` may do everything."""
        if scope not in self.scopes and "admin" not in self.scopes:
            raise Problem(403, "scope_missing", f"This key lacks the scope {scope}.")


def auth_mode(said: Literal["auto", "keys", "off"], host: str, proxies: Collection[str] = ()) -> Mode:
    """Decide whether requests to an address need keys; UsageError where they would be needed and are forbidden.

    `auto` wants keys behind named proxies too: what they pass on comes from anywhere.
    """
    loopback = is_loopback(host)
    if said == "off" and not loopback:
        raise UsageError(
            "auth_off_beyond_loopback",
            f"DIARY_API_AUTH=off is for loopback, and DIARY_API_HOST is {host}: anybody could read these diaries; "
            "leave it out, and make a key with `diary keys create`.",
        )
    if said == "auto":
        return "off" if loopback and not proxies else "keys"
    return said


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def shown_key(headers: Headers) -> str | None:
    """Give the key that a request shows, whatever it looks like; None: it shows none.

    `X-API-Key` goes first: a proxy with a login of its own uses `Authorization` for that.
    """
    apart = headers.get("x-api-key")
    if apart is not None:
        return apart.strip()[:LONGEST_KEY]
    said = headers.get("authorization")
    if said is None:
        return None
    scheme, _, text = said.partition(" ")
    return text.strip()[:LONGEST_KEY] if scheme.lower() == "bearer" else ""


def key_problem(code: str, message: str) -> Problem:
    """Make the answer to a request without a good key."""
    challenge = CHALLENGE if code == "key_missing" else f'{CHALLENGE}, error="invalid_token"'
    return Problem(401, code, message, {"WWW-Authenticate": challenge})


def check_method(asking: Caller, method: str) -> None:
    """Refuse what a key was not made for before the body is read: looking wants `read`, all else `submit`.

    Routes that need more (`admin`) say so themselves.
    """
    if method not in _TELLS_NOTHING:
        asking.require("read" if method in _ONLY_LOOKS else "submit")


async def caller(request: Request) -> Caller:
    """Say who sent a request, as the door found out."""
    found = getattr(request.state, "caller", None)
    if not isinstance(found, Caller):  # an app without its door lets nobody in
        raise key_problem("key_missing", "This request came in without having been asked for its key.")
    return found


Asking = Annotated[Caller, Depends(caller)]
"""How a route asks who is asking."""
