"""Users read the published file with what they have: lines as the README gives them, while publishing goes on."""

import multiprocessing
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.catalogue.reader import open_catalogue
from diary_pipeline.core.errors import NotFound, ServiceMissing
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.diaries import Diary
from diary_pipeline_tests.house.tree import ROOT

PROCESSES = multiprocessing.get_context("forkserver")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PUBLISHES = 6


def begun(home: Path) -> tuple[Diary, Publisher]:
    """Open a diary and its publisher below a folder."""
    ledger = open_ledger(f"sqlite:///{home / 'ledger.db'}")
    diary = Diary(ledger, FolderStore(home / "objects"))
    return diary, Publisher(ledger, diary.store, home / "catalogue.duckdb")


def keep_publishing(home: Path) -> None:
    """Be the pipeline: commit a note, publish, and again, until somebody ends it."""
    diary, publisher = begun(home)
    number = 0
    while True:
        number += 1
        some = diary.accept(f"later {number}.m4a")
        diary.transcribe(some)
        diary.write(some)
        publisher.publish()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A published diary of one note, where the README's lines look for it."""
    place = tmp_path / ".diary"
    place.mkdir()
    diary, publisher = begun(place)
    some = diary.accept("walk.m4a")
    diary.transcribe(some)
    diary.write(some, title="By the river")
    publisher.publish()
    diary.ledger.close()
    return place


@pytest.fixture
def busy(home: Path) -> Iterator[Path]:
    """The same, while another process commits and publishes all the time."""
    PROCESSES.set_forkserver_preload([__name__])
    worker = PROCESSES.Process(target=keep_publishing, args=(home,))
    worker.start()
    yield home
    worker.kill()
    worker.join()


def line(start: str) -> str:
    """Give a line that the README tells people to paste."""
    [found] = re.findall(rf"^\$ ({start}.*)$", README, re.M)
    return str(found)


def pasted(command: str, home: Path) -> str:
    """Run a line in a shell, in the folder of the diary, and give what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    shell = ["bash", "-c", command]
    done = subprocess.run(shell, cwd=home.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_line_for_python_works_while_runs_write(busy: Path) -> None:
    assert "recording_key" in pasted(line("python -c"), busy)


def test_the_line_for_the_duckdb_command_line_works_while_runs_write(busy: Path) -> None:
    for _ in range(3):
        assert pasted(line("duckdb -readonly"), busy)
    counted = pasted("duckdb -readonly -csv .diary/catalogue.duckdb 'SELECT count(*) > 0 AS some FROM notes'", busy)
    assert counted.split() == ["some", "true"]


@pytest.mark.slow
def test_a_reader_that_stays_sees_every_publish_whole_and_never_goes_back(busy: Path) -> None:
    seen = {0}
    with open_catalogue(busy / "catalogue.duckdb") as diary:
        while len(seen) <= PUBLISHES:
            notes, items = diary.sql(
                "SELECT (SELECT count(*) FROM notes), (SELECT count(*) FROM note_items)"
            ).fetchall()[0]
            assert notes >= max(seen)
            assert items == 2 * notes
            seen.add(notes)


def test_a_file_that_is_opened_and_closed_each_time_is_always_whole(busy: Path) -> None:
    seen = {0}
    while len(seen) <= PUBLISHES:
        with duckdb.connect(str(busy / "catalogue.duckdb"), read_only=True) as db:
            [(notes, items)] = db.execute("SELECT count(DISTINCT recording_key), count(*) FROM note_items").fetchall()
        assert notes >= max(seen)
        assert items == 2 * notes
        seen.add(notes)


def example_of(page: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Run the example of a page and give what it named."""
    monkeypatch.chdir(home.parent)
    [example] = re.findall(r"^```python\n(.*?open_catalogue.*?)^```", (ROOT / page).read_text(), re.M | re.S)
    names: dict[str, object] = {}
    exec(example, names)  # noqa: S102 - our own page
    return names


def test_the_example_of_the_exports_page_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = example_of("docs/exports.md", home, monkeypatch)
    assert len(names["spring"]) == len(names["frame"]) == 1  # type: ignore[arg-type]
    assert names["table"].num_rows == 2  # type: ignore[attr-defined]


def test_the_example_of_the_readme_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = example_of("README.md", home, monkeypatch)
    assert list(names["moods"].columns) == ["note_date", "mood"]  # type: ignore[attr-defined]
    assert len(names["moods"]) == 1  # type: ignore[arg-type]
    assert names["may"].num_rows == 0  # type: ignore[attr-defined]


def test_notes_are_chosen_by_user_and_days(home: Path) -> None:
    with open_catalogue(str(home / "catalogue.duckdb")) as diary:
        assert [len(diary.notes(**wanted).fetchall()) for wanted in (
            {}, {"user": "me"}, {"user": "o'brien"}, {"since": "2026-03-07", "until": "2026-03-07"},
            {"since": "2026-03-08"}, {"until": "2026-03-06"},
        )] == [1, 1, 0, 1, 0, 0]  # fmt: skip
        assert diary.df("SELECT recorded_at FROM recordings").dtypes["recorded_at"].kind == "M"
        assert diary.arrow("FROM notes SELECT title").column("title").to_pylist() == ["By the river"]


def test_what_is_not_there_or_no_catalogue_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="diary publish"):
        open_catalogue(tmp_path / "catalogue.duckdb")
    (tmp_path / "catalogue.duckdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(ServiceMissing, match=r"catalogue\.duckdb"):
        open_catalogue(tmp_path / "catalogue.duckdb")
