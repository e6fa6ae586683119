"""What an application may ask about its webhooks: which were sent, and that they be sent again."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from diary_pipeline.api.auth import Asking
from diary_pipeline.api.jobs import NO_JOB, JobId, find_job
from diary_pipeline.api.models import JOB
from diary_pipeline.api.opening import instant
from diary_pipeline.api.parts import Given
from diary_pipeline.api.problems import Problem, answers
from diary_pipeline.ledger.deliveries import Delivery, of_job, replay

router = APIRouter(tags=["webhooks"])


class Webhook(BaseModel):
    """One event of a job and what came of it."""

    delivery_id: str = Field(description="As in X-Diary-Delivery, the same whenever it is sent.")
    event: str = Field(description="job.completed, job.degraded, job.failed, job.cancelled or job.upgraded.")
    created_at: dt.datetime
    attempts: int
    delivered_at: dt.datetime | None
    given_up_at: dt.datetime | None = Field(description="It is not tried again, unless somebody replays it.")
    next_at: dt.datetime | None = Field(description="When it is tried (again); null: it was delivered or given up.")
    last_answer: str | None = Field(description="HTTP status, or code of what kept the call from being made.")


class Webhooks(BaseModel):
    """The events of a job, the first one first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "webhooks": [
                    {
                        "delivery_id": "4f0e9c1ba5a64d2f8d0f3f5c0e1b7a92",
                        "event": "job.completed",
                        "created_at": "2026-05-01T19:31:05.120Z",
                        "attempts": 1,
                        "delivered_at": "2026-05-01T19:31:06.044Z",
                        "given_up_at": None,
                        "next_at": None,
                        "last_answer": "204",
                    }
                ]
            }
        }
    )

    webhooks: list[Webhook]


class Replayed(BaseModel):
    """What is sent again."""

    model_config = ConfigDict(json_schema_extra={"example": {"job_id": JOB, "replayed": 1}})

    job_id: str
    replayed: Annotated[int, Field(description="Events that are sent again, in their order and under their ids.")]


@router.get(
    "/jobs/{job_id}/webhooks", operation_id="listWebhooks", responses=answers(401, 403, 405, 422, 429, 503, s404=NO_JOB)
)
def list_webhooks(id: JobId, parts: Given, caller: Asking) -> Webhooks:
    """List the events of a job, with what came of each."""
    caller.require("read")
    find_job(parts, caller, id)
    with parts.ledger.reading() as conn:
        return Webhooks(webhooks=[_shown(delivery) for delivery in of_job(conn, id)])


@router.post(
    "/jobs/{job_id}/webhooks/replay",
    status_code=202,
    operation_id="replayWebhooks",
    responses=answers(
        401,
        403,
        405,
        422,
        429,
        503,
        s404=NO_JOB,
        s409="webhooks_none: This job has told nothing yet, or named no callback_url.",
    ),
)
def replay_webhooks(id: JobId, parts: Given, caller: Asking) -> Replayed:
    """Have all events of a job sent again."""
    caller.require("submit")
    find_job(parts, caller, id)
    replayed = replay(parts.ledger, id)
    if not replayed:
        raise Problem(409, "webhooks_none", "This job has told nothing yet, or named no callback_url.")
    return Replayed(job_id=id, replayed=replayed)


def _instant(at: float | None) -> dt.datetime | None:
    return None if at is None else instant(at)


def _shown(delivery: Delivery) -> Webhook:
    is_over = delivery.delivered_at is not None or delivery.given_up_at is not None
    return Webhook(
        delivery_id=str(delivery.body["id"]),
        event=delivery.event,
        created_at=instant(delivery.created_at),
        attempts=delivery.attempts,
        delivered_at=_instant(delivery.delivered_at),
        given_up_at=_instant(delivery.given_up_at),
        next_at=None if is_over else instant(delivery.next_at),
        last_answer=delivery.last_answer,
    )
