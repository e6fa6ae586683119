"""The quarantine: recordings that did not become notes, with the stage and the reason, the newest first."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from diary_pipeline.api.auth import Asking
from diary_pipeline.api.opening import instant
from diary_pipeline.api.parts import Given
from diary_pipeline.api.problems import Problem, answers
from diary_pipeline.intake.quarantine import quarantine

router = APIRouter(tags=["quarantine"])
MOST_LISTED = 200


class Trouble(BaseModel):
    """One that was refused or has failed."""

    id: str = Field(description="Job id, or recording key.")
    recording_key: str | None = Field(description="Null: it was refused at the door.")
    user_id: str
    file_name: str
    stage: str = Field(description="intake, transcript or note.")
    error: str = Field(description="Stable code.")
    message: str
    ended_at: dt.datetime


class Quarantine(BaseModel):
    """A page of it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "troubles": [
                    {
                        "id": "0f5f8a2c9d1b4e7f8a6c3b2d1e0f9a8b",
                        "recording_key": None,
                        "user_id": "me",
                        "file_name": "empty.wav",
                        "stage": "intake",
                        "error": "audio_empty",
                        "message": "empty.wav holds no audio; record it again.",
                        "ended_at": "2026-05-01T19:31:05.120Z",
                    }
                ],
                "next_cursor": None,
            }
        }
    )

    troubles: list[Trouble]
    next_cursor: str | None


@router.get("/quarantine", operation_id="listQuarantine", responses=answers(401, 403, 405, 422, 429, 503))
def list_quarantine(
    parts: Given,
    caller: Asking,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 50,
    cursor: Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before.")] = None,
) -> Quarantine:
    """List what was refused and what failed."""
    caller.require("read")
    if cursor is not None and "\0" in cursor:
        raise Problem(422, "cursor_invalid", "This is no cursor of this list; begin without one.")
    page = quarantine(parts.ledger, limit=limit, cursor=cursor, owner=caller.owner)
    return Quarantine(
        troubles=[
            Trouble(
                id=t.id,
                recording_key=t.key,
                user_id=t.owner,
                file_name=t.file_name,
                stage=t.stage,
                error=t.code,
                message=t.message,
                ended_at=instant(t.ended_at),
            )
            for t in page.rows
        ],
        next_cursor=page.next,
    )
