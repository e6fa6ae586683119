"""Erasing a person: everything of theirs is hidden in one transaction; its bytes go with the next upkeep.

Hiding is the ledger's business, removing upkeep's. The receipt's id is answered at once; who holds it can look up later
(`diary erase --receipts`) when the bytes were removed.
"""

import datetime as dt
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from diary_pipeline.api.auth import Asking
from diary_pipeline.api.opening import instant
from diary_pipeline.api.parts import Given
from diary_pipeline.api.problems import answers, problem
from diary_pipeline.core.errors import NotFound, UsageError
from diary_pipeline.core.owner import owner_name
from diary_pipeline.ledger import erasures

router = APIRouter(tags=["people"])
_NOBODY = "nothing_to_erase: There is nothing of this person."


class Erasure(BaseModel):
    """What is hidden now, and of which no byte will be left."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "erasure_id": "1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f",
                "status": "hidden",
                "hidden_at": "2026-05-01T19:31:05.120Z",
            }
        }
    )

    erasure_id: str = Field(description="Names the receipt.")
    status: Literal["hidden"]
    hidden_at: dt.datetime


@router.delete(
    "/users/{user_id}",
    status_code=202,
    operation_id="eraseUser",
    responses=answers(401, 403, 405, 422, 429, 503, s404=_NOBODY),
)
def erase_user(
    user_id: Annotated[str, Path(description="Whose diary goes.", examples=["anna"])], parts: Given, caller: Asking
) -> Erasure:
    """Erase all of a person: hidden at once; audio, transcripts, notes and exports are removed by the next upkeep."""
    if caller.owner != user_id or "submit" not in caller.scopes:
        caller.require("admin")
    try:
        owner_name(user_id)
    except UsageError:
        raise problem(404, _NOBODY) from None
    if caller.owner not in (None, user_id):
        raise problem(404, _NOBODY)
    try:
        erasure = erasures.hide(parts.ledger, parts.seal, "user", user_id)
    except NotFound:
        raise problem(404, _NOBODY) from None
    return Erasure(erasure_id=erasure.id, status="hidden", hidden_at=instant(erasure.hidden_at))
