"""Marts that an erasure removed are asked for again, once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from diary_pipeline.core.seal import Seal
from diary_pipeline.ledger import erasures
from diary_pipeline.ledger.erasures import Erasure
from diary_pipeline.ledger.statements import now
from diary_pipeline_tests.builders import speech_like
from diary_pipeline_tests.defs.house import House

SEAL = Seal("x" * 16)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path / "home") as found:
        found.drop("2026-03-02 river.wav")
        found.once()
        yield found


def erased(house: House) -> None:
    """Finish the erasure of the one recording, in the ledger."""
    [key] = house.keys()
    finish(house, erasures.hide(house.ledger, SEAL, "recording", key))


def finish(house: House, erasure: Erasure) -> None:
    """Finish an erasure in the ledger."""
    erasures.clear(house.ledger, erasure.id)
    with house.ledger.reading() as conn:
        at = now(conn)
    erasures.finish(house.ledger, erasure.id, {}, at)


def asked(house: House) -> list[str | None]:
    """The keys of the runs that a tick asks for."""
    return [request.run_key for request in house.tick("marts_after_erasure")]


def test_marts_that_are_missing_because_of_an_erasure_are_asked_for_once(house: House) -> None:
    assert asked(house) == [], "nothing was erased"
    erased(house)
    [key] = asked(house)
    assert asked(house) == [key], "a run key is good for one run"
    house.settings.marts_file.write_bytes(b"")
    assert asked(house) == [], "they are there again"


def test_erasures_that_are_finished_out_of_order_or_hid_nothing_published_are_each_asked_for(house: House) -> None:
    house.drop("2026-03-03 forest.wav", speech_like(2.0, pitch_hz=180.0))
    house.once()
    house.drop("2026-03-04 lake.wav", speech_like(2.0, pitch_hz=220.0))
    house.tick("uploads")
    first, second, unheard = (erasures.hide(house.ledger, SEAL, "recording", key) for key in sorted(house.keys()))
    assert (first.hidden_seq < second.hidden_seq, unheard.hidden_seq) == (True, 0)
    keys = []
    for erasure in (second, first, unheard):
        finish(house, erasure)
        keys += asked(house)
    assert len(set(keys)) == 3
