"""What was asked of language models: each attempt, how routes do, and who is to be left alone for a while.

Money is spend.py's business, choosing a route the router's. No text: hashes, counts, times.

What surprises: attempts are written here as they happen, and a commit copies those of its recordings into the catalogue
(catalogue/commit.py). So the attempts of a killed run, of an earlier version of a note and of a note that failed are
told too.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.core.llm_call import ACCEPTED, CACHED, Attempt, Usage
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.statements import add_up, chunks, each, insert_missing, now
from diary_pipeline.ledger.tables import llm_calls, llm_route_days, llm_routes

WINDOW_DAYS = 30
"""Older days say nothing about a route: models and prices change monthly."""


@dataclass(frozen=True)
class RouteRecord:
    """How a route did in the window, and whether it is cooling down."""

    tried: int = 0
    accepted: int = 0
    answered: int = 0
    answer_seconds: float = 0.0
    """Of the answered ones together."""
    failures: int = 0
    cool_until: float = 0.0


def record(ledger: Ledger, attempt: Attempt) -> None:
    """Remember an attempt; one that a kept answer settled says nothing about its route."""
    ledger.write(lambda tx: _record(tx, attempt))


def attempts_of(conn: sa.Connection, recording_keys: Iterable[str]) -> dict[str, tuple[Attempt, ...]]:
    """Return every attempt there was for each recording, the earliest first; without any it is left out."""
    rows = each(conn, sa.select(llm_calls).order_by(llm_calls.c.id), llm_calls.c.recording_key, recording_keys)
    found: dict[str, list[Attempt]] = {}
    for row in rows:
        found.setdefault(row.recording_key, []).append(_attempt(row))
    return {key: tuple(some) for key, some in found.items()}


def records(conn: sa.Connection, routes: Iterable[str]) -> Mapping[str, RouteRecord]:
    """Return how each of some routes did over the last 30 days; a new one has an empty record."""
    named = list(dict.fromkeys(routes))
    since = day_of(now(conn) - WINDOW_DAYS * 86_400)
    days, cooling = llm_route_days.c, llm_routes.c
    sums = (sa.func.sum(c) for c in (days.tried, days.accepted, days.answered, days.answer_seconds))
    done: dict[str, Sequence[float]] = {}
    cool: dict[str, tuple[int, float]] = {}
    for some in chunks(named):
        summed = sa.select(days.route, *sums).where(days.route.in_(some), days.day > since).group_by(days.route)
        done |= {row[0]: row[1:] for row in conn.execute(summed)}
        chosen = sa.select(cooling.route, cooling.failures, cooling.cool_until).where(cooling.route.in_(some))
        cool |= {row.route: (row.failures, row.cool_until) for row in conn.execute(chosen)}
    found = {}
    for route in named:
        tried, accepted, answered, seconds = done.get(route, (0, 0, 0, 0.0))
        failures, until = cool.get(route, (0, 0.0))
        found[route] = RouteRecord(int(tried), int(accepted), int(answered), float(seconds), failures, until)
    return found


def cool(ledger: Ledger, route: str, until: float, failures: int) -> None:
    """Let nobody call a route until then; a later time that stands is kept, and `failures` 0 ends it."""
    ledger.write(lambda tx: _cool(tx, route, until, failures))


def day_of(at: float) -> str:
    """Name the UTC day of a time of the database's clock."""
    return dt.datetime.fromtimestamp(at, dt.UTC).date().isoformat()


def _record(tx: sa.Connection, a: Attempt) -> None:
    used = {"input_tokens": a.usage.input, "cached_tokens": a.usage.cached, "output_tokens": a.usage.output}
    same = {name: getattr(a, name) for name in _SAME}
    tx.execute(llm_calls.insert().values(at=a.at.timestamp(), **used, **same))
    if a.outcome == CACHED:
        return
    day = {"route": a.route, "day": day_of(now(tx))}
    counted = {
        "tried": 1,
        "accepted": int(a.outcome == ACCEPTED),
        "answered": int(a.is_answered),
        "answer_seconds": a.seconds if a.is_answered else 0.0,
    }
    add_up(tx, llm_route_days, day, counted)


def _cool(tx: sa.Connection, route: str, until: float, failures: int) -> None:
    if insert_missing(tx, llm_routes, {"route": route, "cool_until": until, "failures": failures}):
        return
    there = llm_routes.c
    values: dict[str, object] = {"cool_until": 0.0, "failures": 0}
    if failures:  # another process may have been told to stay away for longer
        later = sa.case((there.cool_until > until, there.cool_until), else_=until)
        values = {"cool_until": later, "failures": sa.case((there.failures > failures, there.failures), else_=failures)}
    tx.execute(llm_routes.update().where(there.route == route).values(**values))


def _attempt(row: sa.Row[tuple[object, ...]]) -> Attempt:
    return Attempt(
        at=dt.datetime.fromtimestamp(row.at, dt.UTC),
        usage=Usage(row.input_tokens, row.cached_tokens, row.output_tokens),
        **{name: getattr(row, name) for name in _SAME},
    )


_SAME = ("recording_key", "route", "model", "outcome", "seconds", "cost_usd", "status", "request_id", "answer_key")
