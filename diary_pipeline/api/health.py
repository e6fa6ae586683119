"""Whether the process lives, and whether it can do its work: what service managers and load balancers ask.

What surprises: being ready is shown by a write. A ledger on a full disk, or one that somebody else holds, still answers
every question, and takes no job.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from diary_pipeline.api.parts import GIVE_UP_S, Given
from diary_pipeline.api.problems import Problem, answers, unavailable
from diary_pipeline.core.errors import DiaryError, ServiceMissing
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.leases import show_writable
from diary_pipeline.observability.logs import log
from diary_pipeline.upkeep.belonging import demand_own_store

router = APIRouter(tags=["operations"])
GOOD_FOR_S = 1.0
logger = log(__name__)


class Health(BaseModel):
    """The process lives."""

    model_config = ConfigDict(json_schema_extra={"example": {"status": "ok"}})

    status: Literal["ok"] = "ok"


@router.get("/health", operation_id="getHealth", responses=answers(405))
async def get_health() -> Health:
    """Say that the process lives; asks nobody else, and answers while every thread is busy."""
    return Health()


@dataclass
class Writes:
    """That the ledger takes writes, tried once a second at most however many ask: nobody needs a key for that."""

    ledger: Ledger
    _good_until: float = 0.0
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def demand(self) -> None:
        """Raise ServiceMissing where it takes none within some seconds."""
        if not self._turn.acquire(timeout=GIVE_UP_S):
            raise ServiceMissing("ledger_away", "Another question of the same kind still waits for the ledger.")
        try:
            if time.monotonic() > self._good_until:
                show_writable(self.ledger)
                self._good_until = time.monotonic() + GOOD_FOR_S
        finally:
            self._turn.release()


@router.get(
    "/ready",
    operation_id="getReady",
    responses=answers(405, s503="not_ready: Not answering: ledger; ask again soon."),
)
def get_ready(request: Request, parts: Given) -> Health:
    """Say that the ledger takes writes and the object store answers; 503 with what is missing where they do not."""
    writes: Writes = request.app.state.writes
    needed: Mapping[str, Callable[[], None]] = {
        "ledger": writes.demand,
        "object store": lambda: demand_own_store(parts.ledger, parts.store),
    }
    missing = [name for name, demand in needed.items() if not _is_there(name, demand)]
    if missing:
        raise _not_ready(missing)
    return Health()


def _is_there(name: str, demand: Callable[[], None]) -> bool:
    try:
        demand()
    except DiaryError as error:
        logger.warning("not_ready", missing=name, code=error.code)
    except Exception as error:  # noqa: BLE001 - whatever went wrong, it is not ready
        logger.warning("not_ready", missing=name, error=error)
    else:
        return True
    return False


def _not_ready(missing: list[str]) -> Problem:
    return unavailable("not_ready", f"Not answering: {', '.join(missing)}; ask again soon.")
