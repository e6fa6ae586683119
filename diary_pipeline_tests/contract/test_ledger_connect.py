"""The ledger opens, grows and fails the same way on both databases."""

import multiprocessing
import sqlite3
import stat
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from diary_pipeline.core.errors import ServiceMissing, UsageError
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.connect import GaveWay, Ledger
from diary_pipeline.ledger.leases import show_writable
from diary_pipeline.ledger.migrations import STEPS, migrate
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.statements import now
from diary_pipeline.ledger.tables import clock, metadata, schema_version
from diary_pipeline_tests.builders import make_recording
from diary_pipeline_tests.contract.test_ledger_submissions import submit

EVERY_STEP = list(range(1, len(STEPS) + 1))


def _versions(ledger: Ledger) -> list[int]:
    with ledger.reading() as conn:
        return list(conn.execute(sa.select(schema_version.c.version).order_by(schema_version.c.version)).scalars())


def _columns(conn: sa.Connection) -> dict[str, tuple[str, bool, str | None]]:
    there = sa.inspect(conn).get_columns("recordings")
    return {c["name"]: (str(c["type"]), c["nullable"], c["default"]) for c in there}


def _open_and_count(url: str) -> tuple[list[int], int]:
    ledger = open_ledger(url)
    with ledger.reading() as conn:
        ticks = len(conn.execute(sa.select(clock.c.n)).all())
    versions = _versions(ledger)
    ledger.close()
    return versions, ticks


def test_an_empty_database_gets_every_table_and_opening_it_again_changes_nothing(ledger_url: str) -> None:
    assert _open_and_count(ledger_url) == (EVERY_STEP, 1)
    assert _open_and_count(ledger_url) == (EVERY_STEP, 1)
    ledger = open_ledger(ledger_url)
    with ledger.reading() as conn:
        assert set(sa.inspect(conn).get_table_names()) == set(metadata.tables)
    ledger.close()


def test_who_is_in_a_hurry_gives_up_on_what_another_one_holds(ledger: Ledger, ledger_url: str) -> None:
    other = open_ledger(ledger_url)
    began = time.monotonic()
    with other.writing() as tx:
        tx.execute(clock.update().values(n=clock.c.n))
        with pytest.raises(ServiceMissing) as told:
            ledger.hurried(0.2).write(lambda mine: mine.execute(clock.update().values(n=clock.c.n)))
    other.close()
    assert told.value.code == "ledger_away"
    assert time.monotonic() - began < 10
    show_writable(ledger)


def test_four_processes_that_open_a_new_ledger_at_once_make_it_once(ledger_url: str) -> None:
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(_open_and_count, [ledger_url] * 4)) == [(EVERY_STEP, 1)] * 4


def test_a_later_step_runs_once_on_an_existing_ledger(ledger: Ledger) -> None:
    def add(tx: sa.Connection) -> None:
        tx.exec_driver_sql("CREATE TABLE extra (id INTEGER)")

    later = len(STEPS) + 1
    assert migrate(ledger, [*STEPS, add]) == later
    assert migrate(ledger, [*STEPS, add]) == later
    assert _versions(ledger) == [*EVERY_STEP, later]


def test_a_ledger_of_version_1_learns_vocabularies_and_keeps_its_recordings(ledger: Ledger, ledger_url: str) -> None:
    first = submit(ledger)
    memo = make_recording(submission_id=first)
    recordings.accept(ledger, first, memo, 1, 60)
    with ledger.reading() as conn:
        today = _columns(conn)
    with ledger.writing() as tx:
        tx.exec_driver_sql("ALTER TABLE recordings DROP COLUMN vocabulary")
        tx.execute(schema_version.delete().where(schema_version.c.version > 1))
    ledger.close()
    again = open_ledger(ledger_url)
    assert _versions(again) == EVERY_STEP
    named = replace(memo, vocabulary=("Mika",))
    with again.reading() as conn:
        assert _columns(conn) == today
        assert recordings.get(conn, memo.key) == memo
    assert recordings.accept(again, submit(again), named, 1, 60).new_work
    with again.reading() as conn:
        assert recordings.get(conn, memo.key) == named
    again.close()


def test_a_step_that_fails_leaves_nothing_behind(ledger: Ledger) -> None:
    def half(tx: sa.Connection) -> None:
        tx.exec_driver_sql("CREATE TABLE half (id INTEGER)")
        raise RuntimeError("died")

    with pytest.raises(RuntimeError, match="died"):
        migrate(ledger, [*STEPS, half])
    assert _versions(ledger) == EVERY_STEP
    with ledger.reading() as conn:
        assert not sa.inspect(conn).has_table("half")


def test_a_ledger_of_a_newer_program_is_refused(ledger: Ledger, ledger_url: str) -> None:
    with ledger.writing() as tx:
        tx.execute(schema_version.insert().values(version=len(STEPS) + 1))
    with pytest.raises(UsageError, match="install the newer") as caught:
        open_ledger(ledger_url)
    assert caught.value.code == "ledger_newer"


def test_the_database_s_clock_moves_within_a_transaction(ledger: Ledger) -> None:
    with ledger.writing() as tx:
        first = now(tx)
        assert 1.7e9 < first < 1e10
        seen = {now(tx) for _ in range(50)}
    assert min(seen) >= first
    assert len(seen) > 1


def test_a_reader_neither_waits_for_a_writer_nor_sees_it(ledger: Ledger) -> None:
    with ledger.writing() as tx:
        tx.execute(clock.update().values(n=7))
        with ledger.reading() as conn:
            assert conn.execute(sa.select(clock.c.n)).scalar_one() == 0
    with ledger.reading() as conn:
        assert conn.execute(sa.select(clock.c.n)).scalar_one() == 7


def test_a_reader_keeps_its_snapshot(ledger: Ledger) -> None:
    with ledger.reading() as conn:
        assert conn.execute(sa.select(clock.c.n)).scalar_one() == 0
        with ledger.writing() as tx:
            tx.execute(clock.update().values(n=8))
        assert conn.execute(sa.select(clock.c.n)).scalar_one() == 0


def test_writers_add_up(ledger: Ledger) -> None:
    def add(_: int) -> None:
        ledger.write(lambda tx: tx.execute(clock.update().values(n=clock.c.n + 1)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    with ledger.reading() as conn:
        assert conn.execute(sa.select(clock.c.n)).scalar_one() == 40


def test_a_transaction_that_gave_way_starts_again_from_its_beginning(ledger: Ledger) -> None:
    tries = []

    def verb(tx: sa.Connection) -> int:
        tx.execute(clock.update().values(n=clock.c.n + 1))
        tries.append(1)
        if len(tries) < 3:
            raise GaveWay
        return int(tx.execute(sa.select(clock.c.n)).scalar_one())

    assert ledger.write(verb) == 1
    assert len(tries) == 3


@pytest.mark.parametrize(
    ("url", "error", "code"),
    [
        ("sqlite://", UsageError, "ledger_url_invalid"),
        ("mysql://host/diary", UsageError, "ledger_url_invalid"),
        ("not a url", UsageError, "ledger_url_invalid"),
        ("postgresql://diary:secret@127.0.0.1:1/diary", ServiceMissing, "ledger_unreachable"),
        ("sqlite:////proc/nowhere/ledger.db", ServiceMissing, "ledger_unreachable"),
    ],
)
def test_a_ledger_that_cannot_be_opened_says_which_setting_to_look_at(
    url: str, error: type[Exception], code: str
) -> None:
    with pytest.raises(error, match="DIARY_LEDGER_URL") as caught:
        open_ledger(url)
    assert getattr(caught.value, "code", "") == code
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "statement", ["INSERT INTO gone VALUES (:name)", "INSERT INTO submissions (id, file_name) VALUES ('one', :name)"]
)
def test_an_error_of_the_database_tells_no_title_and_no_file_name(ledger: Ledger, statement: str) -> None:
    with pytest.raises(sa.exc.DBAPIError) as caught, ledger.writing() as tx:
        tx.execute(sa.text(statement), {"name": "My divorce.m4a"})
    shown = "".join(traceback.format_exception(caught.value))
    assert "INSERT INTO" in shown
    assert "divorce" not in shown.replace('"My divorce.m4a"', "")  # the line of this test


def test_a_lost_connection_and_a_locked_file_are_x(ledger: Ledger, tmp_path: Path) -> None:
    if ledger.engine.dialect.name == "sqlite":
        sa.event.listen(ledger.engine, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout=0"))
        ledger.close()
        rival = sqlite3.connect(str(ledger.engine.url.database), isolation_level=None)
        rival.execute("BEGIN IMMEDIATE")
        with closing(rival), pytest.raises(ServiceMissing) as told:
            ledger.write(now)
    else:
        with pytest.raises(ServiceMissing) as told, ledger.reading() as conn:
            conn.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert told.value.code == "ledger_away"
    with ledger.reading() as conn:
        assert now(conn) > 0, "and it has passed"


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("Dear diary, this is a text file and nothing that SQLite could open." * 9)
    with pytest.raises(ServiceMissing, match=r"ledger\.db.*DIARY_LEDGER_URL"):
        open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


def test_a_sqlite_ledger_is_the_user_s_alone_and_durable(tmp_path: Path) -> None:
    path = tmp_path / "new" / "home" / "ledger.db"
    ledger = open_ledger(f"sqlite:///{path}")
    with ledger.reading() as conn:
        said = {
            p: conn.exec_driver_sql(f"PRAGMA {p}").scalar() for p in ("journal_mode", "synchronous", "secure_delete")
        }
        modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    ledger.close()
    assert said == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}
    assert modes == {0o600}
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)} == {0o700}
