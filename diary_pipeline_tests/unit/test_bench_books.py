"""The books of `benchmarks/ways_in_kills.py`: right ones balance, and each wrong is found."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks.ways_in_books import balance, is_drained
from benchmarks.ways_in_senders import Sent, by_api
from diary_pipeline.ledger.tables import pointers, submissions
from diary_pipeline.settings import load_settings
from diary_pipeline.storage.keys import upload_key
from diary_pipeline.wiring.deployment import Wiring
from diary_pipeline_tests.api.serving import Deployment, all_in_one, served
from diary_pipeline_tests.queue_kills import sounds

UPLOADS = 4
Harm = Callable[[sa.Connection], object]


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Sent]]:
    """A home in which notes were made of what one sender handed in."""
    folder = tmp_path_factory.mktemp("books")
    deployment = Deployment(folder / "home")
    uploads = [Sent(path) for path in sounds(folder / "sounds", UPLOADS)]
    with served(all_in_one(deployment.parts)) as url:
        send = by_api([url])
        for number, sent in enumerate(uploads):
            send(number, sent)
    deployment.work()
    deployment.wiring.publisher.publish()
    deployment.wiring.ledger.close()
    return folder / "home", uploads


@pytest.fixture
def wiring(handed_in: tuple[Path, list[Sent]], tmp_path: Path) -> Iterator[Wiring]:
    """A copy of it."""
    shutil.copytree(handed_in[0], tmp_path / "home")
    copied = Wiring(load_settings({"DIARY_HOME": str(tmp_path / "home")}))
    yield copied
    copied.ledger.close()


def test_books_of_what_went_well_balance(wiring: Wiring, handed_in: tuple[Path, list[Sent]]) -> None:
    wiring.store.put(upload_key("f" * 32), b"its replica was killed before the row")
    wiring.publisher.publish()
    books = balance(wiring, handed_in[1])
    assert (books.accepted, books.completed, books.pending, books.failed) == (UPLOADS, UPLOADS, 0, 0)
    assert (books.faults, books.left_over, books.made_twice) == ([], 1, 0)
    assert is_drained(wiring, UPLOADS)
    assert not is_drained(wiring, UPLOADS + 1)


def _named(conn: sa.Connection, name: str, other: str) -> None:
    conn.execute(sa.update(submissions).where(submissions.c.file_name == name).values(file_name=other))


@pytest.mark.parametrize(
    ("harm", "faults"),
    [
        (lambda conn: _named(conn, "memo 00001.wav", "memo 00000.wav"), {"accepted and lost", "submitted twice"}),
        (lambda conn: _named(conn, "memo 00001.wav", "other.wav"), {"accepted and lost", "sent by nobody"}),
        (
            lambda conn: conn.execute(sa.delete(pointers).where(pointers.c.kind == "note")),
            {"completed without a note"},
        ),
        (
            lambda conn: conn.execute(sa.update(submissions).values(recording_key="the same")),
            {"of one recording", "completed without a transcript"},
        ),
    ],
)
def test_what_is_wrong_is_found(
    wiring: Wiring, handed_in: tuple[Path, list[Sent]], harm: Harm, faults: set[str]
) -> None:
    wiring.ledger.write(harm)
    found = balance(wiring, handed_in[1]).faults
    for fault in faults:
        assert any(fault in one for one in found), found
