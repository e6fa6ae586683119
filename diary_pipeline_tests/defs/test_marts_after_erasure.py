"""Marts that an erasure removed are asked for again, once, and only where there have ever been any."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from diary_pipeline.core.seal import Seal
from diary_pipeline.ledger import erasures
from diary_pipeline_tests.defs.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path / "home") as found:
        found.drop("2026-03-02 river.wav")
        found.once()
        yield found


def erased(house: House) -> None:
    """Finish the erasure of the one recording, in the ledger."""
    [key] = house.keys()
    erasure = erasures.hide(house.ledger, Seal("x" * 16), "recording", key)
    erasures.clear(house.ledger, erasure.id)
    erasures.finish(house.ledger, erasure.id, {}, erasure.hidden_at)


def built(house: House) -> None:
    """Let the marts have been built once."""
    house.instance.create_run_for_job(house.defs.resolve_job_def("build_marts"), status=dg.DagsterRunStatus.SUCCESS)


def asked(house: House) -> list[str | None]:
    """The keys of the runs that a tick asks for."""
    return [request.run_key for request in house.tick("marts_after_erasure")]


def test_marts_that_are_missing_because_of_an_erasure_are_asked_for_once(house: House) -> None:
    built(house)
    assert asked(house) == [], "nothing was erased"
    erased(house)
    [key] = asked(house)
    assert asked(house) == [key], "a run key is good for one run"
    house.settings.marts_file.write_bytes(b"")
    assert asked(house) == [], "they are there again"


def test_whoever_never_had_marts_gets_none_from_an_erasure(house: House) -> None:
    erased(house)
    assert asked(house) == []
