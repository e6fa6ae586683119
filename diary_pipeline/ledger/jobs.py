"""Opening jobs: the row of a submission with what its application said, and the answer to a request sent again.

Reading them stands in jobs_read.py, what they led to in jobs_results.py, how people end them in jobs_end.py; all of it
is offered here.

What surprises: a job *is* a submission, so nothing else has to be written to have its bytes fetched and taken in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.core.batch import priority_rank
from diary_pipeline.core.errors import UsageError
from diary_pipeline.ledger.connect import GaveWay, Ledger
from diary_pipeline.ledger.jobs_end import Gone, cancel_or_remove
from diary_pipeline.ledger.jobs_read import Cursor, Job, find, page
from diary_pipeline.ledger.jobs_results import Result, Results, results
from diary_pipeline.ledger.statements import CHUNK, each, insert_all_missing, insert_missing, now
from diary_pipeline.ledger.tables import submissions
from diary_pipeline.ledger.tables_jobs import idempotency_keys, jobs
from diary_pipeline.ledger.turns import in_turn

__all__ = [
    "Cursor",
    "Gone",
    "Job",
    "NewJob",
    "Opened",
    "Result",
    "Results",
    "cancel_or_remove",
    "find",
    "open_job",
    "open_jobs",
    "page",
    "results",
]

KEYS_KEPT_S = 24 * 3600.0
"""Idempotency keys are remembered at least so long; who sends a request again does so within minutes."""
FORGOTTEN_PER_KEY = 2
"""Old keys that a new one takes along: so they go as they came, and no request pays for a year of them."""


@dataclass(frozen=True)
class NewJob:
    """What somebody asks for."""

    id: str
    owner: str
    source: str
    uri: str
    """Of the bytes; see intake/fetch.py for the schemes."""
    file_name: str
    options: Mapping[str, object]
    priority: str = "medium"
    said: object = None
    """Any JSON."""
    callback_url: str | None = None
    idempotency: tuple[str, str] | None = None
    """The key that came with the request, and the SHA-256 of what was asked for."""
    not_before: float = 0.0
    """Intake does not look at it before that instant, by the database's clock."""
    expected_bytes: int | None = None


@dataclass(frozen=True)
class Opened:
    """A job that is durable now."""

    id: str
    is_new: bool
    """False: the same request has opened it before."""


def open_job(
    ledger: Ledger,
    *,
    id: str,
    owner: str,
    source: str,
    uri: str,
    file_name: str,
    options: Mapping[str, object],
    priority: str = "medium",
    said: object = None,
    callback_url: str | None = None,
    idempotency: tuple[str, str] | None = None,
    not_before: float = 0.0,
    expected_bytes: int | None = None,
) -> Opened:
    """Put a job in the queue of intake; a request that is sent again is answered with the job that it opened.

    UsageError `idempotency_conflict` when its key came with another request before; `priority_unknown`.
    """
    asked = NewJob(
        id=id,
        owner=owner,
        source=source,
        uri=uri,
        file_name=file_name,
        options=options,
        priority=priority,
        said=said,
        callback_url=callback_url,
        idempotency=idempotency,
        not_before=not_before,
        expected_bytes=expected_bytes,
    )
    return open_jobs(ledger, [asked])[0]


def open_jobs(ledger: Ledger, asked: Sequence[NewJob]) -> list[Opened]:
    """Open many jobs in one transaction, all of them or with an error none; the answers come in their order.

    UsageError as from `open_job`. One whose id is known already is left as it is.
    """
    ranks = [priority_rank(job.priority) for job in asked]
    return ledger.write(lambda tx: _open_all(tx, asked, ranks))


def _open_all(tx: sa.Connection, asked: Sequence[NewJob], ranks: Sequence[int]) -> list[Opened]:
    at = now(tx)
    ids = _ids(tx, asked, at)
    known = {row.id for row in each(tx, sa.select(submissions.c.id), submissions.c.id, ids)}
    new = {job.id: (job, rank) for job, rank, id in zip(asked, ranks, ids, strict=True) if id == job.id}
    # In one order, or of two that open the same jobs the database ends one.
    fresh = [new[id] for id in sorted(new.keys() - known)]
    if fresh:
        rows = in_turn(tx, [_submission(job, rank, at) for job, rank in fresh])
        if insert_all_missing(tx, submissions, rows) < len(fresh):
            raise GaveWay  # a rival has just opened some of them
        said = [{"submission_id": job.id, "said": job.said, "callback_url": job.callback_url} for job, _ in fresh]
        tx.execute(jobs.insert(), said)
    opened: list[Opened] = []
    for job, id in zip(asked, ids, strict=True):
        opened.append(Opened(id, is_new=id == job.id and id not in known))
        known.add(id)  # asked for twice, it is new once
    return opened


def _ids(tx: sa.Connection, asked: Sequence[NewJob], at: float) -> list[str]:
    """Return the ids of the jobs: their own, or of those that the same requests have opened before."""
    ids = [job.id for job in asked]
    keyed = [(job.owner, *job.idempotency, n) for n, job in enumerate(asked) if job.idempotency is not None]
    for owner, key, request, n in sorted(keyed):  # an insert waits for a rival's of the same key
        row = {"owner": owner, "key": key, "request_sha256": request, "submission_id": ids[n], "created_at": at}
        if insert_missing(tx, idempotency_keys, row):
            continue
        mine = (idempotency_keys.c.owner == owner) & (idempotency_keys.c.key == key)
        before = tx.execute(sa.select(idempotency_keys).where(mine)).one()
        if before.request_sha256 != request:
            raise UsageError(
                "idempotency_conflict",
                "This Idempotency-Key came with another request before; give every request a key of its own.",
            )
        ids[n] = before.submission_id
    if keyed:
        _forget_old(tx, at, min(FORGOTTEN_PER_KEY * len(keyed), CHUNK // 2))
    return ids


def _forget_old(tx: sa.Connection, at: float, limit: int) -> None:
    k = idempotency_keys.c
    old = sa.select(k.owner, k.key).where(k.created_at < at - KEYS_KEPT_S).order_by(k.created_at).limit(limit)
    found = [tuple(row) for row in tx.execute(old.with_for_update(skip_locked=True))]
    if found:
        tx.execute(idempotency_keys.delete().where(sa.tuple_(k.owner, k.key).in_(found)))


def _submission(job: NewJob, rank: int, at: float) -> dict[str, object]:
    return {
        "id": job.id,
        "owner": job.owner,
        "source": job.source,
        "uri": job.uri,
        "file_name": job.file_name,
        "options": dict(job.options),
        "priority": rank,
        "status": "pending",
        "duplicate": False,
        "created_at": at,
        "not_before": job.not_before,
        "expected_bytes": job.expected_bytes,
        # Whoever says how many bytes there will be is sending them.
        "fetching_since": None if job.expected_bytes is None else at,
    }
