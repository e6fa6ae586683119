"""Failed recordings are tried again by the sensors of a real Dagster instance; only the ears are scripted."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.tables import work
from diary_pipeline_tests.contract.test_retries import pass_by
from diary_pipeline_tests.defs.house import House

AFTER_S = (60.0, 300.0, 1800.0)


@pytest.fixture
def house(tmp_path: Path, ledger_url: str) -> Iterator[House]:
    """A house that tries again, its ledger on both databases in turn."""
    after = ",".join(map(str, AFTER_S))
    with House(tmp_path / "home", DIARY_LEDGER_URL=ledger_url, DIARY_RETRY_AFTER_S=after) as found:
        yield found
    found.ledger.close()


def status(house: House) -> tuple[str, str | None]:
    """How the one recording stands for users."""
    with house.ledger.reading() as conn:
        [row] = recordings.page(conn, limit=1)
    return row.status, row.reason_code


def test_what_crashes_shows_as_a_failed_partition_until_a_retry_turns_it_green(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    house.wiring.ears.broken = RuntimeError("cosmic ray")
    house.once()
    [key] = house.keys()
    assert status(house) == ("pending", "internal_error")
    assert house.status("transcript") == (set(), {key})
    house.once()
    assert house.wiring.ears.heard == 1, "its pause is not over"
    house.wiring.ears.broken = None
    pass_by(house.ledger, AFTER_S[0])
    house.once()
    assert house.wiring.ears.heard == 2
    assert status(house)[0] == "completed"
    assert house.status("transcript") == ({key}, set())


def test_after_its_last_retry_a_recording_has_failed(house: House) -> None:
    house.drop("2026-03-02 river.wav")
    house.wiring.ears.broken = RuntimeError("a bug")
    for pause in AFTER_S:
        house.once()
        assert status(house) == ("pending", "internal_error")
        pass_by(house.ledger, pause)
    house.once()
    assert status(house) == ("failed", "internal_error")
    pass_by(house.ledger, 1e6)
    house.once()
    assert house.wiring.ears.heard == 4
    assert house.sql("SELECT status, reason_code FROM recordings") == [("failed", "internal_error")]


def test_runs_that_raise_are_attempts_of_their_batch_and_come_before_the_retries_of_its_recordings(
    house: House,
) -> None:
    house.drop("2026-03-02 river.wav")
    house.wiring.ears.broken = ServiceMissing("model_missing", "There is no model; run `diary models get base`.")
    for _ in range(house.settings.max_attempts):
        house.once()
        assert status(house)[0] == "pending"
    house.once()  # all attempts were in vain, so the recording is put off
    with house.ledger.reading() as conn:
        [row] = conn.execute(sa.select(work)).all()
    assert (row.state, row.retries, row.attempts, row.reason_code) == ("retry", 1, 0, "model_missing")
    assert house.status("transcript") == (set(), set(house.keys()))
    house.wiring.ears.broken = None
    pass_by(house.ledger, AFTER_S[0])
    house.once()
    assert status(house)[0] == "completed"
