"""Fixtures that tests of many rooms share."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.observability.logs import ROOT
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.storage.gcs import GcsStore
from diary_pipeline.storage.store import ObjectStore
from diary_pipeline_tests.gcs_server import GcsServer, gcs_server
from diary_pipeline_tests.new_ledgers import NewLedgers
from diary_pipeline_tests.pubsub_emulator import PubSubEmulator, pubsub_emulator
from diary_pipeline_tests.servers import Postgres, Redis, postgres_server, redis_server

settings.register_profile("untimed", deadline=None)  # a test times nothing: machines are busy
settings.load_profile("untimed")


BESIDE_THE_LEDGER = {
    f"test_{name}.py" for name in "catalogue_kills commit_and_publish corrections erased_again publications".split()
}
"""Rooms above the ledger that commit to it: held on SQLite in `make test`, on PostgreSQL in `make test-full`."""
FAR_FROM_THE_LEDGER = {
    f"test_{name}.py" for name in "backup lost_objects merged_log reconcile retention rewritten_log versions".split()
}
"""Rooms that only read and write through what is held on both already: on PostgreSQL in `make test-trials`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep `make test` within a quarter of an hour; the ledger's own promises are held on both databases there."""
    for item in items:
        if "postgresql" in item.name:
            if item.path.name in BESIDE_THE_LEDGER:
                item.add_marker(pytest.mark.slow)
            elif item.path.name in FAR_FROM_THE_LEDGER:
                item.add_marker(pytest.mark.trial)


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


@pytest.fixture(scope="session")
def redis_session() -> Iterator[Redis]:
    """A Redis server of this session's own."""
    with redis_server() as server:
        yield server


@pytest.fixture
def redis_url(redis_session: Redis) -> str:
    """An empty Redis database; who kills the server starts one of its own with `redis_server`."""
    import redis

    with redis.Redis.from_url(redis_session.url) as client:
        client.flushall()
    return redis_session.url


@pytest.fixture(scope="session")
def pubsub_session() -> Iterator[PubSubEmulator]:
    """A Pub/Sub emulator of this session's own."""
    with pubsub_emulator() as emulator:
        yield emulator


@pytest.fixture
def pubsub(pubsub_session: PubSubEmulator, monkeypatch: pytest.MonkeyPatch) -> PubSubEmulator:
    """The emulator, found by the SDK as it finds any; who kills it starts one of its own with `pubsub_emulator`."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub_session.host)
    return pubsub_session


@pytest.fixture(scope="session")
def new_ledgers(tmp_path_factory: pytest.TempPathFactory) -> NewLedgers:
    """Ledgers as they come into being, made once: making one takes longer than most tests do."""
    return NewLedgers(tmp_path_factory.mktemp("ledgers"))


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a ledger may be opened, on both databases in turn."""
    made = "ledger" in request.fixturenames  # who asks for no ledger wants an empty database
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'ledger' / 'ledger.db'}"
        if made:
            request.getfixturevalue("new_ledgers").on_sqlite(url)
        return url
    if made:
        return str(request.getfixturevalue("postgres_ledger_url"))
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def postgres_ledger_url(postgres: Postgres, new_ledgers: NewLedgers) -> Iterator[str]:
    """A PostgreSQL database with the tables of a new ledger."""
    with postgres.database(new_ledgers.on_postgres(postgres)) as url:
        yield url


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """A new ledger, on both databases in turn."""
    opened = open_ledger(ledger_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def gcs_session() -> Iterator[GcsServer]:
    """A stand-in of Google Cloud Storage, of this session's own."""
    with gcs_server() as server:
        yield server


@pytest.fixture
def gcs(gcs_session: GcsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[GcsServer]:
    """The stand-in, found by the SDK as it finds any; without faults, and asked nothing yet."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_session.url)
    gcs_session.faults.clear()
    gcs_session.asked.clear()
    yield gcs_session
    gcs_session.rights = None


@pytest.fixture
def gcs_store(gcs: GcsServer, tmp_path: Path) -> GcsStore:
    """An object store in a new bucket, below a prefix."""
    return GcsStore(f"gs://{gcs.bucket()}/some/prefix", tmp_path / "copies", 100, patience_s=5)


@pytest.fixture(params=["folder", "gcs"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """An empty object store, of each kind in turn."""
    if request.param == "folder":
        return FolderStore(tmp_path / "objects")
    made: GcsStore = request.getfixturevalue("gcs_store")
    return made


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
