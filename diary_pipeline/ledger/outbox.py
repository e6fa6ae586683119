"""Events for applications: written in the very transaction in which a job ends, sent later by api/webhooks.py.

An event is a row that holds its whole body, as it was true then: ids, statuses and codes, never diary text. When and
how often it is sent is deliveries.py's business. The surprise: only jobs that named a `callback_url` have events, so
those without one cost an ending transaction one look at an index and nothing else.
"""

import datetime as dt
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import sqlalchemy as sa

from diary_pipeline.core.batch import ENDED
from diary_pipeline.ledger.statements import each, now
from diary_pipeline.ledger.tables import submissions
from diary_pipeline.ledger.tables_jobs import jobs, outbox

UPGRADED = "job.upgraded"
SHOWN: Mapping[str, str] = {"refused": "failed"}
"""What applications see of a status: for them a job that was refused has failed."""


@dataclass(frozen=True)
class Listener:
    """A job that named a `callback_url`."""

    id: str
    recording_key: str
    status: str


_TOLD = sa.select(
    *(submissions.c[name] for name in ("id", "owner", "status", "reason_code", "created_at", "ended_at")),
    jobs.c.said,
    jobs.c.callback_url,
).join(jobs, jobs.c.submission_id == submissions.c.id)


def tell_ended(tx: sa.Connection, submission_ids: Sequence[str], upgraded: Collection[str] = ()) -> None:
    """Put one event for each of these jobs that has ended and wants to be told; call it where they end, after that.

    `upgraded`: those that had ended already, degraded, and are completed now.
    """
    rows = each(tx, _TOLD.where(jobs.c.callback_url.is_not(None)), submissions.c.id, submission_ids)
    ended = [row for row in rows if row.status in ENDED]
    if not ended:
        return
    at = now(tx)
    tx.execute(
        outbox.insert(),
        [
            _row(
                UPGRADED if row.id in upgraded else f"job.{SHOWN.get(row.status, row.status)}",
                row.callback_url,
                _told(row),
                at,
                row.id,
            )
            for row in ended
        ],
    )


def put(tx: sa.Connection, event: str, url: str, body: Mapping[str, object]) -> None:
    """Put an event of the deployment, which belongs to no job; `body` holds no diary text and no recording key.

    An `id` in it is that of the delivery, for what may be put twice.
    """
    tx.execute(outbox.insert().values(_row(event, url, body, now(tx), None)))


def listeners(tx: sa.Connection, recording_keys: Sequence[str]) -> list[Listener]:
    """Lock the jobs of these recordings that want to be told, and return them as they stand before they end.

    The lock keeps a job from being cancelled between that and its end, which would be told twice.
    """
    wanting = (
        sa.select(submissions.c.id, submissions.c.recording_key, submissions.c.status)
        .join(jobs, jobs.c.submission_id == submissions.c.id)
        .where(jobs.c.callback_url.is_not(None))
        .order_by(submissions.c.id)
        .with_for_update(of=submissions)
    )
    return [Listener(*row) for row in each(tx, wanting, submissions.c.recording_key, recording_keys)]


def _row(event: str, url: str, body: Mapping[str, object], at: float, submission_id: str | None) -> dict[str, object]:
    # The id is random and stands in the body: numbers begin anew in a restored ledger, and receivers remember them.
    said = {"id": uuid.uuid4().hex, "event": event, "at": _instant(at), **body}
    return {
        "submission_id": submission_id,
        "event": event,
        "url": url,
        "host": urlsplit(url).netloc.rpartition("@")[2].lower(),
        "body": said,
        "created_at": at,
        "next_at": at,
        "attempts": 0,
    }


def _told(row: sa.Row[tuple[object, ...]]) -> dict[str, object]:
    return {
        "job_id": row.id,
        "status": SHOWN.get(row.status, row.status),
        "code": row.reason_code,
        "user_id": row.owner,
        "metadata": row.said,
        "links": _links(row.id, row.status),
        "created_at": _instant(row.created_at),
        "ended_at": _instant(row.ended_at),
    }


def _links(id: str, status: str) -> dict[str, str]:
    """Give paths of the status API; where it is reached, its callers know."""
    job = f"/jobs/{id}"
    results = {"transcription": f"{job}/transcription", "diary_note": f"{job}/diary-note"}
    return {"job": job, **(results if status in ("completed", "degraded") else {})}


def _instant(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds")
