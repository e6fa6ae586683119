"""Erasure where ledger and Dagster are PostgreSQL: no name in a dump, nor in the server's files after VACUUM FULL."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from diary_pipeline_tests.defs.erasing import GONE, STAYS, fill, finish, forget_sources, hide, told_in, write_plainly
from diary_pipeline_tests.defs.house import House, on_postgres
from diary_pipeline_tests.servers import missing_server, program

pytestmark = pytest.mark.slow


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str) -> Iterator[House]:
    """A house whose ledger and Dagster share one PostgreSQL database."""
    write_plainly(monkeypatch)
    storage = {"custom": on_postgres(postgres_url)}
    with House(tmp_path / "home", dagster_storage=storage, DIARY_LEDGER_URL=postgres_url) as found:
        yield found


def dumped(url: str) -> str:
    """Return all that the database tells, in lower case."""
    pg_dump = program("pg_dump")
    if pg_dump is None:
        missing_server("pg_dump is not installed")
    done = subprocess.run([pg_dump, "--inserts", url], capture_output=True, text=True, check=True)
    return done.stdout.lower()


def test_no_name_is_left_in_a_dump_and_none_in_the_servers_files_after_vacuum_full(
    house: House, postgres_url: str
) -> None:
    gone, stays = fill(house)
    before = dumped(postgres_url)
    assert all(before.count(word) for word in (*GONE, *STAYS))
    forget_sources(house)
    hide(house, gone)
    finish(house)
    after = dumped(postgres_url)
    assert [after.count(word) for word in GONE] == [0, 0]
    assert all(after.count(word) for word in STAYS)
    assert told_in(house.settings.home, GONE) == {}
    assert house.keys() == [stays]
    assert house.status("diary_note") == ({stays}, set())
    with house.ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("VACUUM FULL")
        conn.exec_driver_sql("CHECKPOINT")
        data = conn.execute(sa.text("SHOW data_directory")).scalar_one()
        database = conn.execute(sa.text("SELECT oid FROM pg_database WHERE datname = current_database()")).scalar_one()
    files = Path(data) / "base" / str(database)
    assert sum(told_in(files, STAYS).values()) > 0
    assert told_in(files, GONE) == {}
