"""Who is asking, and what they may do."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Request

from diary_pipeline.api.problems import Problem

Scope = Literal["submit", "read", "admin"]
EVERYTHING: frozenset[str] = frozenset({"submit", "read", "admin"})


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


def caller(_: Request) -> Caller:
    """Say who sent a request; without keys, on loopback, it is anybody."""
    return Caller(None, EVERYTHING)


Asking = Annotated[Caller, Depends(caller)]
"""How a route asks who is asking."""
