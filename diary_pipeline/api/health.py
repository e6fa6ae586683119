"""Whether the process lives, and whether it can do its work."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

router = APIRouter(tags=["operations"])


class Health(BaseModel):
    """The process lives."""

    status: Literal["ok"] = "ok"


@router.get("/health", operation_id="health")
def health() -> Health:
    """Say that the process lives; asks nobody else."""
    return Health()
