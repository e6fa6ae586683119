"""Whether the process lives, and whether it can do its work: what service managers and load balancers ask.

What surprises: being ready is shown by a write. A ledger on a full disk, or one that somebody else holds, still answers
every question, and takes no job.
"""

from collections.abc import Mapping
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from diary_pipeline.api.parts import Parts
from diary_pipeline.api.probes import Probe
from diary_pipeline.api.problems import answers, unavailable
from diary_pipeline.ledger.leases import show_writable
from diary_pipeline.upkeep.belonging import demand_own_store

router = APIRouter(tags=["operations"])


class Health(BaseModel):
    """The process lives."""

    model_config = ConfigDict(json_schema_extra={"example": {"status": "ok"}})

    status: Literal["ok"] = "ok"


@router.get("/health", operation_id="getHealth", responses=answers(405))
async def get_health() -> Health:
    """Say that the process lives; asks nobody else, and answers while every thread is busy."""
    return Health()


@router.get(
    "/ready",
    operation_id="getReady",
    responses=answers(405, s503="not_ready: Not answering: ledger; ask again soon."),
)
def get_ready(request: Request) -> Health:
    """Say that the ledger takes writes and the object store answers; 503 with what is missing where they do not."""
    probes: Mapping[str, Probe] = request.app.state.probes
    missing = [name for name, probe in probes.items() if not probe.is_good()]
    if missing:
        raise unavailable("not_ready", f"Not answering: {', '.join(missing)}; ask again soon.")
    return Health()


def probes_of(parts: Parts) -> Mapping[str, Probe]:
    """Name what must answer before this process can do its work."""
    return {
        "ledger": Probe("ledger", lambda: show_writable(parts.ledger)),
        "object store": Probe("object store", lambda: demand_own_store(parts.ledger, parts.store)),
    }
