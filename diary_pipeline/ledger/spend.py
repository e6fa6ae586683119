"""What language models may still cost: money is set aside before a call and settled after it, under three caps.

What a call costs is the router's to say. A cap of the deployment's day, of an owner's day and of a run; days are UTC by
the database's clock, and money set aside before midnight belongs to the day before.

What surprises: what is set aside counts as spent from the first moment, and settling gives the rest back. So nothing
has to be done about a killed process: what it had set aside was perhaps paid, and stays spent at its worst case. Its
row is forgotten when it expires, and whoever settles later than that changes nothing.
"""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.llm_calls import day_of
from diary_pipeline.ledger.statements import insert_missing, now
from diary_pipeline.ledger.tables import llm_holds, llm_spent

Scope = Literal["day", "owner", "run"]

HOLD_S = 3600.0
"""Four times the longest deadline of a call, which is that of a slow service tier."""
_DUST_USD = 1e-9  # what adding and subtracting floats leaves behind


@dataclass(frozen=True)
class Caps:
    """US dollars that may be spent; None: no cap."""

    run: float | None = None
    day: float | None = None
    owner: float | None = None
    """Of this owner in a day."""


@dataclass(frozen=True)
class Refused:
    """A cap would be passed."""

    scope: Scope


def hold(ledger: Ledger, *, owner: str, run: str, usd: float, caps: Caps, expires_s: float = HOLD_S) -> str | Refused:
    """Set money aside and return the id of the hold, or say which cap forbids it."""
    return ledger.write(lambda tx: _hold(tx, usd, caps, expires_s, owner=owner, run=run))


def settle(ledger: Ledger, hold_id: str, usd: float) -> bool:
    """Replace what was set aside by what it cost; False when it was settled before, or has expired."""
    return ledger.write(lambda tx: _settle(tx, hold_id, usd))


def spent(conn: sa.Connection, scope: Scope, name: str) -> float:
    """Return the US dollars of a day, of an owner in a day (`day/owner`) or of a run, what is set aside included."""
    there = llm_spent.c.subject == f"{scope}/{name}"
    return float(conn.execute(sa.select(llm_spent.c.usd).where(there)).scalar_one_or_none() or 0.0)


def today(conn: sa.Connection) -> str:
    """Name the day that a hold would belong to now."""
    return day_of(now(conn))


def _hold(tx: sa.Connection, usd: float, caps: Caps, expires_s: float, *, owner: str, run: str) -> str | Refused:
    at = now(tx)
    day = day_of(at)
    subjects = _subjects(owner, day, run)
    standing = _locked(tx, subjects.values())
    tx.execute(llm_holds.delete().where(llm_holds.c.expires_at < at))
    allowed: Mapping[Scope, float | None] = {"day": caps.day, "owner": caps.owner, "run": caps.run}
    for scope, cap in allowed.items():
        if cap is not None and standing[subjects[scope]] + usd > cap + _DUST_USD:
            return Refused(scope)
    _add(tx, subjects.values(), usd)
    hold_id = uuid.uuid4().hex
    row = {"owner": owner, "day": day, "run": run, "usd": usd, "expires_at": at + expires_s}
    tx.execute(llm_holds.insert().values(id=hold_id, **row))
    return hold_id


def _settle(tx: sa.Connection, hold_id: str, usd: float) -> bool:
    there = llm_holds.c
    open_ = (there.id == hold_id) & (there.expires_at >= now(tx))
    held = tx.execute(sa.select(there.owner, there.day, there.run, there.usd).where(open_)).one_or_none()
    if held is None:
        return False
    subjects = _subjects(held.owner, held.day, held.run)
    _locked(tx, subjects.values())  # before the hold, as everybody does
    if not tx.execute(llm_holds.delete().where(there.id == hold_id)).rowcount:
        return False
    _add(tx, subjects.values(), usd - held.usd)
    return True


def _subjects(owner: str, day: str, run: str) -> Mapping[Scope, str]:
    return {"day": f"day/{day}", "owner": f"owner/{day}/{owner}", "run": f"run/{run}"}


def _locked(tx: sa.Connection, subjects: Collection[str]) -> Mapping[str, float]:
    """Lock the sums, in the order of their subjects, and return them."""
    chosen = sa.select(llm_spent.c.subject, llm_spent.c.usd).where(llm_spent.c.subject.in_(subjects))
    ordered = chosen.order_by(llm_spent.c.subject).with_for_update()
    found = dict(tx.execute(ordered).tuples().all())
    if len(found) == len(subjects):
        return found
    for subject in sorted(subjects):
        insert_missing(tx, llm_spent, {"subject": subject, "usd": 0.0})
    return dict(tx.execute(ordered).tuples().all())


def _add(tx: sa.Connection, subjects: Collection[str], usd: float) -> None:
    tx.execute(llm_spent.update().where(llm_spent.c.subject.in_(subjects)).values(usd=llm_spent.c.usd + usd))
