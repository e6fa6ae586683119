"""From what a client asks for to a durable job and its answer; the same for a URL, an upload and a batch.

How the bytes come here is the routes' business (submit.py, uploads.py). What surprises: a job is opened in one
transaction and then read back, because a request that is sent again is answered with how its first one stands now.
"""

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Sequence
from typing import Annotated, cast

from fastapi import Header
from fastapi.responses import JSONResponse

from diary_pipeline.api.auth import Caller
from diary_pipeline.api.models import Accepted, JobStatus, Wishes
from diary_pipeline.api.parts import Parts
from diary_pipeline.api.problems import Problem
from diary_pipeline.core.batch import ENDED
from diary_pipeline.core.owner import owner_name
from diary_pipeline.intake.options import Options
from diary_pipeline.intake.submit import check_model
from diary_pipeline.ledger import submissions
from diary_pipeline.ledger.jobs import NewJob, Opened, find
from diary_pipeline.ledger.jobs_read import WORDS
from diary_pipeline.ledger.statements import now

IDEMPOTENCY_HEADER = "Idempotency-Key"
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias=IDEMPOTENCY_HEADER,
        description="Any text of your own: the same request with it opens one job, however often it is sent.",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
    ),
]
_OPTIONS = ("whisper_model", "language", "recorded_at", "title", "tags", "vocabulary")


def new_job(  # noqa: PLR0917 - what a job is made of
    parts: Parts,
    caller: Caller,
    wishes: Wishes,
    uri: str,
    file_name: str,
    source: str,
    *,
    idempotency_key: str | None = None,
    content: str | None = None,
    id: str | None = None,
    not_before: float = 0.0,
    expected_bytes: int | None = None,
) -> NewJob:
    """Check what is asked for and give the job to open; UsageError where it cannot be had.

    `content`: what stands for the bytes (a SHA-256, or the URL) when the same request comes again.
    """
    asked_for = parts.settings.default_owner if wishes.user_id is None else wishes.user_id
    owner = owner_name(caller.owner or asked_for)
    options = options_of(wishes)
    check_model(options.whisper_model, parts.settings.allowed_models)
    _check_text("file_name", file_name)
    if wishes.callback_url is not None:
        parts.callbacks.target(wishes.callback_url)
    asked = {"what": content or uri, **wishes.model_dump(mode="json"), "user_id": owner}
    return NewJob(
        id=id or uuid.uuid4().hex,
        owner=owner,
        source=source,
        uri=uri,
        file_name=file_name,
        options=options.as_json(),
        priority=wishes.priority,
        said=wishes.metadata,
        callback_url=wishes.callback_url,
        idempotency=None if idempotency_key is None else (idempotency_key, _sha256(asked)),
        not_before=not_before,
        expected_bytes=expected_bytes,
    )


def options_of(wishes: Wishes) -> Options:
    """Read what is wished of the recording itself; UsageError where that cannot be."""
    return Options.read({name: getattr(wishes, name) for name in _OPTIONS})


def answer_opened(parts: Parts, opened: Opened) -> JSONResponse:
    """Answer 202 with the job's address; a request that had opened it before is told so in a header."""
    [accepted] = told(parts, [opened])
    headers = {"Location": f"/jobs/{accepted.job_id}"}
    if not opened.is_new:
        headers["Idempotent-Replayed"] = "true"
    return JSONResponse(accepted.model_dump(mode="json"), 202, headers)


def told(parts: Parts, opened: Sequence[Opened]) -> list[Accepted]:
    """Say of opened jobs how they stand and when they will be done."""
    with parts.ledger.reading() as conn:
        at = now(conn)
        rows = {row.id: row for row in submissions.get(conn, [job.id for job in opened])}
        before = {job.id: find(conn, job.id) for job in opened if not job.is_new}
    left_s = {rank: parts.estimates.seconds(WORDS[rank]) for rank in {row.priority for row in rows.values()}}
    if len(rows) < len({job.id for job in opened}):
        raise Problem(409, "job_removed", "The job that this request opened before was removed since.")
    answers = []
    for job in opened:
        row, known = rows[job.id], before.get(job.id)
        status = known.status if known else "pending"
        seconds = parts.estimates.left_s(job.id) if known else left_s[row.priority]
        answers.append(
            Accepted(
                job_id=job.id,
                status=cast("JobStatus", status),
                created_at=instant(row.created_at),
                estimated_completion=None if status in ENDED else instant(at + seconds),
            )
        )
    return answers


def instant(at: float) -> dt.datetime:
    """Give seconds since the epoch as an aware time, to the millisecond."""
    return dt.datetime.fromtimestamp(round(at, 3), dt.UTC)


def _sha256(asked: object) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _check_text(name: str, text: str) -> None:
    if "\0" in text or not text.strip():
        raise Problem(422, "request_invalid", f"{name} must be text without NUL characters.")
