"""API keys in the ledger: who holds one, what it is for, until when it is good. Asking for them is api/keys.py's.

A key is `dk_<id>_<secret>`. The id is no secret: it names the key in lists and revocations. Of the secret only the
SHA-256 is kept: it is 256 random bits, so there is nothing to guess that a slow hash would make dearer, and every
request pays for it. What surprises: a revoked key keeps its row, so that a list says when it stopped to be good.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa

from diary_pipeline.core.errors import NotFound, UsageError
from diary_pipeline.core.owner import owner_name
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.statements import now
from diary_pipeline.ledger.tables_jobs import api_keys

State = Literal["good", "expired", "revoked"]
SCOPES = ("submit", "read", "admin")
PREFIX = "dk"
ID_BYTES = 6
SECRET_BYTES = 32
NAME_LENGTH = 100
USED_S = 3600.0
"""How exactly the last use is known: to the hour, or every request would write."""
_NOBODYS = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class ApiKey:
    """One key, without its secret."""

    id: str
    name: str
    owner: str | None
    """Whose jobs it may touch; None: everybody's."""
    scopes: frozenset[str]
    tier: str | None
    """Of rate limits; None: the usual ones."""
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None
    """To the hour."""
    state: State
    """When it was read, by the database's clock."""
    secret_sha256: str = field(repr=False)

    def fits(self, secret: str) -> bool:
        """Tell whether this is its secret, in a time that says nothing about how much of it is right."""
        return hmac.compare_digest(_sha256(secret), self.secret_sha256)


def create(
    ledger: Ledger,
    *,
    name: str,
    scopes: Collection[str],
    owner: str | None = None,
    tier: str | None = None,
    expires_s: float | None = None,
) -> tuple[str, str]:
    """Make a key and return its id and its whole text, which nobody can tell again.

    `expires_s`: seconds from now, None: never. UsageError for a scope, an owner or a name that cannot be.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        wrong = f"{unknown[0][:40]!r} is no scope" if unknown else "A key without a scope may do nothing"
        raise UsageError("scope_unknown", f"{wrong}; the scopes are {', '.join(SCOPES)}.")
    if not 0 < len(name) <= NAME_LENGTH:
        raise UsageError("key_name_invalid", f"A key's name has 1 to {NAME_LENGTH} characters; it says what uses it.")
    if owner is not None:
        owner_name(owner)
    id, secret = secrets.token_hex(ID_BYTES), secrets.token_hex(SECRET_BYTES)
    with ledger.writing() as tx:
        at = now(tx)
        tx.execute(
            api_keys.insert().values(
                id=id,
                secret_sha256=_sha256(secret),
                owner=owner,
                name=name,
                scopes=[scope for scope in SCOPES if scope in scopes],
                tier=tier,
                created_at=at,
                expires_at=None if expires_s is None else at + expires_s,
            )
        )
    return id, f"{PREFIX}_{id}_{secret}"


def taken_apart(text: str) -> tuple[str, str] | None:
    """Give id and secret of what should be a key; None: it has not the form of one."""
    prefix, _, rest = text.partition("_")
    id, _, secret = rest.partition("_")
    formed = prefix == PREFIX and len(id) == 2 * ID_BYTES and len(secret) == 2 * SECRET_BYTES
    return (id, secret) if formed and (id + secret).isascii() and (id + secret).isalnum() else None


def matching(conn: sa.Connection, id: str, secret: str) -> ApiKey | None:
    """Return the key of this id if this is its secret, whether it is still good or not; else None."""
    row = conn.execute(sa.select(api_keys).where(api_keys.c.id == id)).one_or_none()
    if row is None:
        hmac.compare_digest(_sha256(secret), _NOBODYS)  # an id that exists takes no longer than one that does not
        return None
    key = _key(row, now(conn))
    return key if key.fits(secret) else None


def all_keys(conn: sa.Connection) -> list[ApiKey]:
    """Return every key, the newest first."""
    at = now(conn)
    return [_key(row, at) for row in conn.execute(sa.select(api_keys).order_by(api_keys.c.created_at.desc()))]


def count_of(conn: sa.Connection, owner: str) -> int:
    """Count the keys of an owner."""
    mine = sa.select(sa.func.count()).select_from(api_keys).where(api_keys.c.owner == owner)
    return int(conn.execute(mine).scalar_one())


def revoke(ledger: Ledger, id: str) -> ApiKey:
    """End a key for good and return it; again does nothing more. NotFound when there is none of that id."""
    there = api_keys.c.id == id
    with ledger.writing() as tx:
        tx.execute(api_keys.update().where(there & api_keys.c.revoked_at.is_(None)).values(revoked_at=now(tx)))
        row = tx.execute(sa.select(api_keys).where(there)).one_or_none()
        if row is None:
            raise NotFound("key_unknown", f"There is no key {id[:80]!r}; `diary keys list` shows their ids.")
        return _key(row, now(tx))


def used(ledger: Ledger, id: str) -> None:
    """Note that a key was used, unless that was noted within the hour."""
    with ledger.writing() as tx:
        at = now(tx)
        long_ago = api_keys.c.last_used_at.is_(None) | (api_keys.c.last_used_at <= at - USED_S)
        tx.execute(api_keys.update().where((api_keys.c.id == id) & long_ago).values(last_used_at=at - at % USED_S))


def _key(row: sa.Row[Any], at: float) -> ApiKey:
    expired = row.expires_at is not None and row.expires_at <= at
    return ApiKey(
        id=row.id,
        name=row.name,
        owner=row.owner,
        scopes=frozenset(row.scopes),
        tier=row.tier,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        state="revoked" if row.revoked_at is not None else "expired" if expired else "good",
        secret_sha256=row.secret_sha256,
    )


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
