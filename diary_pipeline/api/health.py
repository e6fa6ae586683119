"""Whether the process lives, and whether it can do its work: what service managers and load balancers ask."""

from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from diary_pipeline.api.parts import Given, Parts
from diary_pipeline.api.problems import Problem, answers, unavailable
from diary_pipeline.core.errors import DiaryError
from diary_pipeline.ledger.connect import now
from diary_pipeline.observability.logs import log
from diary_pipeline.upkeep.belonging import demand_own_store

router = APIRouter(tags=["operations"])
logger = log(__name__)


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
    responses=answers(405, s503="not_ready: The ledger does not answer; ask again soon."),
)
def get_ready(parts: Given) -> Health:
    """Say that ledger and object store answer; 503 with what is missing where they do not."""
    missing = [name for name, demand in _NEEDED.items() if not _is_there(name, demand, parts)]
    if missing:
        raise _not_ready(missing)
    return Health()


def _ledger(parts: Parts) -> None:
    with parts.ledger.reading() as conn:
        now(conn)


def _store(parts: Parts) -> None:
    demand_own_store(parts.ledger, parts.store)


_NEEDED: dict[str, Callable[[Parts], None]] = {"ledger": _ledger, "object store": _store}


def _is_there(name: str, demand: Callable[[Parts], None], parts: Parts) -> bool:
    try:
        demand(parts)
    except DiaryError as error:
        logger.warning("not_ready", missing=name, code=error.code)
    except Exception as error:  # noqa: BLE001 - whatever went wrong, it is not ready
        logger.warning("not_ready", missing=name, error=error)
    else:
        return True
    return False


def _not_ready(missing: list[str]) -> Problem:
    return unavailable("not_ready", f"Not answering: {', '.join(missing)}; ask again soon.")
