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
from diary_pipeline.ledger.connect import Ledger, insert_missing, now
from diary_pipeline.ledger.jobs_end import Gone, cancel_or_remove
from diary_pipeline.ledger.jobs_read import Cursor, Job, find, page
from diary_pipeline.ledger.jobs_results import Result, Results, results
from diary_pipeline.ledger.tables import submissions
from diary_pipeline.ledger.tables_jobs import idempotency_keys, jobs

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
    """Open many jobs in one transaction: all of them, or with an error none."""
    return ledger.write(lambda tx: [_open(tx, job, now(tx)) for job in asked])


def _open(tx: sa.Connection, asked: NewJob, at: float) -> Opened:
    if asked.idempotency is not None:
        key, request = asked.idempotency
        row = {"owner": asked.owner, "key": key, "request_sha256": request, "submission_id": asked.id}
        if not insert_missing(tx, idempotency_keys, {**row, "created_at": at}):
            mine = (idempotency_keys.c.owner == asked.owner) & (idempotency_keys.c.key == key)
            before = tx.execute(sa.select(idempotency_keys).where(mine)).one()
            if before.request_sha256 != request:
                raise UsageError(
                    "idempotency_conflict",
                    "This Idempotency-Key came with another request before: give each request a key of its own.",
                )
            return Opened(before.submission_id, is_new=False)
    submission = {
        "id": asked.id,
        "owner": asked.owner,
        "source": asked.source,
        "uri": asked.uri,
        "file_name": asked.file_name,
        "options": dict(asked.options),
        "priority": priority_rank(asked.priority),
        "status": "pending",
        "duplicate": False,
        "created_at": at,
        "not_before": asked.not_before,
        "expected_bytes": asked.expected_bytes,
    }
    is_new = insert_missing(tx, submissions, submission)
    insert_missing(tx, jobs, {"submission_id": asked.id, "said": asked.said, "callback_url": asked.callback_url})
    return Opened(asked.id, is_new)
