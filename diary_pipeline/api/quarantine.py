"""The quarantine: recordings that did not become notes, with the stage and the reason, and how they leave it."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from diary_pipeline.api.auth import Asking, Caller
from diary_pipeline.api.incoming import storing
from diary_pipeline.api.opening import instant
from diary_pipeline.api.parts import Given, Parts
from diary_pipeline.api.problems import Problem, answers, problem
from diary_pipeline.intake import quarantine_ends as ends
from diary_pipeline.intake.quarantine import quarantine
from diary_pipeline.ledger import quarantine as ledger_quarantine
from diary_pipeline.ledger import quarantine_ends
from diary_pipeline.ledger.failures import failures_of

router = APIRouter(tags=["quarantine"])
MOST_LISTED = 200
NO_TROUBLE = "trouble_missing: There is nothing of this id in quarantine, or it is somebody else's."
UPLOAD_GONE = "upload_gone: What was uploaded is no longer kept; send it again as a new job."
TroubleId = Annotated[str, Path(alias="trouble_id", max_length=300, description="Job id, or recording key.")]
KEY = "2026-05-01-walk-3f9a1c7be204"


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


class Attempt(BaseModel):
    """One time that it failed."""

    at: dt.datetime
    stage: str = Field(description="intake, transcript or note.")
    error: str = Field(description="Stable code.")
    tried_again_at: dt.datetime | None = Field(description="When it was to be tried again by itself; null: it was not.")


class TroubleShown(Trouble):
    """One that was refused or has failed, with its whole history."""

    attempts: list[Attempt] = Field(description="The first one first.")
    dropped_at: dt.datetime | None = Field(description="Somebody has dropped it; null: nobody has.")
    dropped_by: str | None


class Again(BaseModel):
    """What is tried again."""

    model_config = ConfigDict(json_schema_extra={"example": {"id": KEY, "goes_on_as": KEY}})

    id: str
    goes_on_as: str = Field(description="The recording, or the id of the new job of a file that was refused.")


class Dropped(BaseModel):
    """What left the view."""

    model_config = ConfigDict(json_schema_extra={"example": {"id": KEY, "dropped_by": "key 5f0c1d9e"}})

    id: str
    dropped_by: str


@router.get(
    "/quarantine/{trouble_id}",
    operation_id="getTrouble",
    responses=answers(401, 403, 405, 422, 429, 503, s404=NO_TROUBLE),
)
def get_trouble(id: TroubleId, parts: Given, caller: Asking) -> TroubleShown:
    """Tell of one trouble how often it failed, why, and whether it was tried again."""
    caller.require("read")
    trouble = _find(parts, caller, id)
    with parts.ledger.reading() as conn:
        history = failures_of(conn, trouble.id)
        dropped = ledger_quarantine.dropped(conn, trouble)
    return TroubleShown(
        id=trouble.id,
        recording_key=trouble.key,
        user_id=trouble.owner,
        file_name=trouble.file_name,
        stage=trouble.stage,
        error=trouble.code,
        message=trouble.message,
        ended_at=instant(trouble.ended_at),
        attempts=[
            Attempt(
                at=instant(f.at),
                stage=f.stage,
                error=f.code,
                tried_again_at=None if f.again_at is None else instant(f.again_at),
            )
            for f in history
        ],
        dropped_at=instant(dropped[0]) if dropped else None,
        dropped_by=dropped[1] if dropped else None,
    )


@router.post(
    "/quarantine/{trouble_id}/retry",
    status_code=202,
    operation_id="retryTrouble",
    responses=answers(401, 403, 405, 422, 429, 503, s404=NO_TROUBLE, s409=UPLOAD_GONE),
)
def retry_trouble(id: TroubleId, parts: Given, caller: Asking) -> Again:
    """Have one tried again, as if it had just come in; sent again, it is told the same."""
    caller.require("submit")
    with storing("It cannot be copied now and stays in quarantine: try it again later."):
        done = ends.retry(parts.ledger, parts.store, [_known(id)], caller.owner)
    if not done:
        with parts.ledger.reading() as conn:
            before = ledger_quarantine.goes_on_as(conn, id, caller.owner)
            in_view = quarantine_ends.uploads_among(conn, [id], caller.owner)
        if before is not None:
            return Again(id=id, goes_on_as=before)
        if in_view:
            raise problem(409, UPLOAD_GONE)
        raise _missing()
    return Again(id=done[0].id, goes_on_as=done[0].now)


@router.delete(
    "/quarantine/{trouble_id}",
    operation_id="dropTrouble",
    responses=answers(401, 403, 405, 422, 429, 503, s404=NO_TROUBLE),
)
def drop_trouble(id: TroubleId, parts: Given, caller: Asking) -> Dropped:
    """Take one out of the list; it stays counted, and comes back if it fails once more."""
    caller.require("submit")
    by = f"key {caller.key_id}" if caller.key_id else "the job API"
    if not ends.drop(parts.ledger, parts.store, [_known(id)], by, caller.owner):
        raise _missing()
    return Dropped(id=id, dropped_by=by)


def _find(parts: Parts, caller: Caller, id: str) -> ledger_quarantine.Trouble:
    with parts.ledger.reading() as conn:
        trouble = ledger_quarantine.find(conn, _known(id), caller.owner)
    if trouble is None:
        raise _missing()
    return trouble


def _known(id: str) -> str:
    """Refuse what can be no id, because a database would not take it for text."""
    if not (id.isascii() and id.isprintable()):
        raise _missing()
    return id


def _missing() -> Problem:
    return problem(404, NO_TROUBLE)
