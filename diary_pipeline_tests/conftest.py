"""Fixtures that tests of many rooms share."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from diary_pipeline.ledger.connect import Ledger, open_ledger
from diary_pipeline.observability.logs import ROOT
from diary_pipeline_tests.servers import Postgres, postgres_server

settings.register_profile("untimed", deadline=None)  # a test times nothing: machines are busy
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of this session's own."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """A new, empty PostgreSQL database."""
    with postgres.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a ledger may be opened, on both databases in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger' / 'ledger.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """A new ledger, on both databases in turn."""
    opened = open_ledger(ledger_url)
    yield opened
    opened.close()


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Catch our events also after a command line or a code location of an earlier test has sent them elsewhere."""
    logger = logging.getLogger(ROOT)
    before = logger.level, logger.propagate
    logger.setLevel(logging.DEBUG)
    logger.propagate = True
    yield caplog
    logger.setLevel(before[0])
    logger.propagate = before[1]
