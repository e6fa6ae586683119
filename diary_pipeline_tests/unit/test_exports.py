"""What leaves the diary as tables is whole, the right person's alone, and forgets what is erased."""

import csv
import datetime as dt
import json
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from diary_pipeline.catalogue.export import Selection
from diary_pipeline.catalogue.export_files import MANIFEST
from diary_pipeline.catalogue.schema import TABLES
from diary_pipeline.core.errors import NotFound, UsageError
from diary_pipeline.upkeep.exports import (
    TableForm,
    export_tables,
    export_vault,
    forget_recordings,
    forget_user,
    known_exports,
    missing_exports,
)
from diary_pipeline_tests.exporting import PublishedDiary, begin

MINE, THEIRS = "marmalade", "xylophone"
"""Words that only one of two people says."""
FORMS: tuple[TableForm, ...] = ("duckdb", "parquet", "csv")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, two days each, a refusal, and marts with and without an owner."""
    told = begin(tmp_path_factory.mktemp("template") / "home")
    for owner, word in (("me", MINE), ("o'brien", THEIRS)):
        for day in ("2026-03-07", "2026-03-09"):
            said = [f"I bought {word} on {day}.", f'She said "{word}", twice.']
            told.tell(f"{word} {day}.m4a", said, owner=owner, day=day, title=f"{word} {day}", summary=word)
    told.diary.refuse(f"{MINE}.txt")
    told.publish()
    told.diary.ledger.close()
    told.live.chmod(0o600)
    with duckdb.connect(str(told.live)) as db:
        db.execute("CREATE SCHEMA marts")
        db.execute("CREATE TABLE marts.daily AS SELECT user_id, note_date, title FROM notes")
        db.execute("CREATE TABLE marts.by_note AS SELECT recording_key, user_id, title FROM notes")
        db.execute("CREATE TABLE marts.everybody AS SELECT string_agg(title, ' ') AS titles FROM notes")
        db.execute("COMMENT ON TABLE marts.daily IS 'a day'; COMMENT ON COLUMN marts.daily.title IS 'one line'")
    return told.home


@pytest.fixture
def house(template: Path, tmp_path: Path) -> Iterator[PublishedDiary]:
    """A copy of it for each test."""
    told = begin(Path(shutil.copytree(template, tmp_path / "home")))
    yield told
    told.diary.ledger.close()


EVERYTHING = Selection()


def export(
    house: PublishedDiary, name: str, form: TableForm, selection: Selection = EVERYTHING, force: bool = False
) -> Path:
    """Export with words."""
    target = house.home.parent / name
    export_tables(house.home, house.live, target, form, selection, words=house.words, force=force)
    return target


def text_of(target: Path) -> str:
    """Give all that an export holds, as text."""
    if target.is_file():
        with duckdb.connect(str(target), read_only=True) as db:
            names = db.execute(
                "SELECT schema_name || '.\"' || table_name || '\"' FROM duckdb_columns() WHERE NOT internal GROUP BY 1"
            ).fetchall()
            names.sort()  # neither tables nor rows have an order
            return "\n".join(str(sorted(map(str, db.execute(f"FROM {name}").fetchall()))) for (name,) in names)
    parts = [pq.read_table(f).to_pylist() if f.suffix == ".parquet" else f.read_text() for f in target.iterdir()]
    return "\n".join(map(str, parts))


def bytes_of(target: Path) -> bytes:
    return target.read_bytes() if target.is_file() else b"".join(f.read_bytes() for f in target.iterdir())


def test_every_table_says_whose_its_rows_are() -> None:
    for table in TABLES:
        assert {"recording_key", "user_id"} <= {c.name for c in table.columns}, table.name


def test_a_database_is_the_published_one_again(house: PublishedDiary) -> None:
    target = export(house, "all.duckdb", "duckdb")
    shape = (
        "SELECT schema_name, table_name, column_name, data_type, comment FROM duckdb_columns() "
        "WHERE NOT internal AND table_name NOT IN ('words', 'export_state') ORDER BY ALL"
    )
    with duckdb.connect(str(house.live), read_only=True) as live, duckdb.connect(str(target), read_only=True) as db:
        assert db.execute(shape).fetchall() == live.execute(shape).fetchall()
        for (name,) in live.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall():
            rows = f"FROM {name} ORDER BY ALL"
            assert db.execute(rows).fetchall() == live.execute(rows).fetchall()
        said = "SELECT string_agg(text, ' ' ORDER BY word_id) FROM words GROUP BY recording_key, segment_id ORDER BY 1"
        heard = "SELECT text FROM segments WHERE kind = 'speech' ORDER BY 1"
        assert db.execute(said).fetchall() == db.execute(heard).fetchall()
        assert db.execute("SELECT user_id, since, until FROM export_state").fetchall() == [(None, None, None)]


@pytest.mark.parametrize("form", FORMS)
def test_one_persons_export_holds_nothing_of_another(house: PublishedDiary, form: TableForm) -> None:
    target = export(house, "mine", form, Selection("me"))
    assert MINE in text_of(target)
    assert THEIRS not in text_of(target) and "brien" not in text_of(target)
    theirs = export(house, "theirs", form, Selection("o'brien"))
    assert THEIRS in text_of(theirs)
    assert MINE not in text_of(theirs)


def test_not_even_the_bytes_of_a_database_hold_another_persons_words(house: PublishedDiary) -> None:
    everything = export(house, "all.duckdb", "duckdb")
    mine = export(house, "mine.duckdb", "duckdb", Selection("me"))
    for word in (THEIRS, "brien"):
        assert word.encode() in everything.read_bytes(), "else looking for it would prove nothing"
        assert word.encode() not in mine.read_bytes()


@pytest.mark.parametrize("form", FORMS)
def test_days_outside_are_left_out_of_every_table(house: PublishedDiary, form: TableForm) -> None:
    target = export(house, "days", form, Selection(since=dt.date(2026, 3, 8), until=dt.date(2026, 3, 9)))
    assert "2026-03-09" in text_of(target)
    assert "2026-03-07" not in text_of(target)
    assert f"{MINE}.txt" not in text_of(target)


def test_marts_come_along_where_they_say_whose_they_are(house: PublishedDiary) -> None:
    def marts(selection: Selection) -> list[str]:
        with duckdb.connect(str(export(house, "m.duckdb", "duckdb", selection)), read_only=True) as db:
            found = db.execute(
                "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts' ORDER BY 1"
            ).fetchall()
        return [name for (name,) in found]

    assert marts(Selection()) == ["by_note", "daily", "everybody"]
    assert marts(Selection("me")) == ["by_note", "daily"]
    assert marts(Selection("me", since=dt.date(2026, 3, 8))) == ["by_note"]


def test_parquet_tells_what_its_columns_mean(house: PublishedDiary) -> None:
    target = export(house, "parquet", "parquet")
    notes = pq.ParquetFile(target / "notes.parquet")
    told = json.loads(notes.schema_arrow.metadata[b"diary_columns"])
    assert told["mood"] == "very_negative, negative, neutral, mixed, positive or very_positive"
    assert notes.metadata.row_group(0).column(0).compression == "ZSTD"
    assert json.loads((target / MANIFEST).read_text())["tables"]["notes"] == notes.metadata.num_rows == 4
    assert (target / "action_items.parquet").exists() and (target / "marts_daily.parquet").exists()


def test_csv_is_as_rfc_4180_wants_it(house: PublishedDiary) -> None:
    target = export(house, "csv", "csv", Selection("me"))
    raw = (target / "segments.csv").read_bytes()
    assert raw.count(b"\r\n") == raw.count(b"\n") > 1
    assert b'"She said ""marmalade"", twice."' in raw
    with (target / "recordings.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "completed"]
    assert [json.loads(row["tags"]) for row in rows] == [["my day", "7"]] * 2
    assert rows[0]["recorded_at"] == "2026-03-07T06:45:00"


@pytest.mark.parametrize("form", FORMS)
def test_an_export_is_private_and_replaces_only_its_own(house: PublishedDiary, form: TableForm) -> None:
    target = export(house, "out", form)
    everything = [target, *target.iterdir()] if target.is_dir() else [target]
    assert {stat.S_IMODE(path.stat().st_mode) for path in everything} <= {0o600, 0o700}
    export(house, "out", form, Selection("me"))
    assert THEIRS not in text_of(target)
    assert {p.name for p in house.home.parent.iterdir()} == {"home", "out"}, "nothing is left beside"


def test_a_file_of_somebody_is_replaced_by_force_alone(house: PublishedDiary) -> None:
    foreign = house.home.parent / "letter.txt"
    foreign.write_text("dear")
    with pytest.raises(UsageError) as refused:
        export(house, "letter.txt", "duckdb")
    assert (refused.value.code, foreign.read_text()) == ("export_exists", "dear")
    export(house, "letter.txt", "duckdb", force=True)
    assert MINE in text_of(foreign)


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_of_somebody_is_never_replaced(house: PublishedDiary, form: TableForm) -> None:
    foreign = house.home.parent / "foreign"
    foreign.mkdir()
    (foreign / "letter.txt").write_text("dear")
    for force in (False, True):
        with pytest.raises(UsageError) as refused:
            export(house, "foreign", form, force=force)
        assert refused.value.code == "export_refused"
    assert (foreign / "letter.txt").read_text() == "dear"


def test_an_export_that_is_open_to_write_is_told_and_keeps_no_other_from_forgetting(house: PublishedDiary) -> None:
    for name in ("busy.duckdb", "free.duckdb"):
        export(house, name, "duckdb")
    code = "import duckdb, sys; db = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(house.home.parent / "busy.duckdb")]
    with duckdb.connect(str(house.live), read_only=True) as db:
        [(key,)] = db.execute("SELECT min(recording_key) FROM notes").fetchall()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "open\n"
        done = {f.export.path.name: (f.removed > 0, f.trouble) for f in forget_recordings(house.home, [key])}
        holder.communicate()
    assert done == {"busy.duckdb": (False, "export_in_use"), "free.duckdb": (True, None)}


@pytest.mark.parametrize("form", FORMS)
def test_an_export_that_fails_leaves_what_was_there(house: PublishedDiary, form: TableForm) -> None:
    target = export(house, "out", form)
    before = text_of(target)

    def break_off(table: str, rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_tables(house.home, house.live, target, form, Selection("me"), on_table=break_off)
    assert text_of(target) == before
    assert {p.name for p in house.home.parent.iterdir()} == {"home", "out"}
    assert not any((house.home / ".exports").glob("*"))


@pytest.mark.parametrize("where", ["home", "home/catalogue.duckdb", "."])
def test_the_diary_itself_is_never_overwritten(house: PublishedDiary, where: str) -> None:
    for form in FORMS:
        with pytest.raises(UsageError) as refused:
            export(house, where, form, force=True)
        assert refused.value.code == "export_refused"
    assert house.live.exists()


@pytest.mark.parametrize("form", FORMS)
def test_erased_recordings_leave_every_export_that_is_known(house: PublishedDiary, form: TableForm) -> None:
    target = export(house, "out", form)
    moved = export(house, "moved", form)
    moved.rename(house.home.parent / "elsewhere")
    with duckdb.connect(str(house.live), read_only=True) as db:
        found = db.execute(
            "SELECT coalesce(recording_key, submission_id) FROM recordings "
            "WHERE user_id = 'me' AND coalesce(recorded_day = '2026-03-07', true)"
        ).fetchall()
    gone = {subject for (subject,) in found}
    assert len(gone) == 2
    first = {f.export.path.name: (f.removed > 0, f.missing) for f in forget_recordings(house.home, gone)}
    assert first == {"out": (True, False), "moved": (False, True)}
    assert f"{MINE} 2026-03-07" not in text_of(target) and f"{MINE}.txt" not in text_of(target)
    assert f"{MINE} 2026-03-09" in text_of(target) and f"{THEIRS} 2026-03-07" in text_of(target)
    if form != "parquet":
        assert f"{MINE} 2026-03-07".encode() not in bytes_of(target)
    again = forget_recordings(house.home, gone)
    assert [f.removed for f in again] == [0, 0]


def test_an_erased_person_leaves_no_export_that_was_theirs_nor_their_name(house: PublishedDiary) -> None:
    for form in FORMS:
        export(house, f"theirs-{form}", form, Selection("o'brien"))
    everybody = export(house, "all", "csv")
    vault = house.home.parent / "vault"
    export_vault(house.home, house.live, vault, Selection("o'brien"))
    with duckdb.connect(str(house.live), read_only=True) as db:
        theirs = {key for (key,) in db.execute("SELECT recording_key FROM notes WHERE user_id <> 'me'").fetchall()}
    forget_user(house.home, "o'brien", theirs)
    assert {p.name for p in house.home.parent.iterdir()} == {"home", "all", "vault"}
    assert not [p for p in vault.rglob("*") if p.is_file()]
    assert THEIRS not in text_of(everybody) and "brien" not in text_of(everybody)
    assert "brien" not in (house.home / "exports.json").read_text()
    assert [e.path for e in known_exports(house.home)] == [everybody]


def test_what_was_made_of_an_erased_person_and_is_missing_goes_when_it_is_found_again(house: PublishedDiary) -> None:
    theirs = export(house, "theirs.csv", "csv", Selection("o'brien"))
    unplugged = theirs.rename(house.home.parent / "unplugged")
    forget_user(house.home, "o'brien", {"nothing"})
    assert "brien" not in (house.home / "exports.json").read_text()
    assert missing_exports(house.home) == 1
    unplugged.rename(theirs)
    forget_recordings(house.home, {"another"})
    assert not theirs.exists()
    assert known_exports(house.home) == []


@pytest.mark.parametrize("form", FORMS)
def test_what_killed_exports_left_goes_and_an_export_that_was_aside_comes_back(
    house: PublishedDiary, form: TableForm
) -> None:
    target = export(house, "out[1]", form)
    beside = target.with_name(f".{target.name}.0123456789ab")
    somebodys = target.with_name(".out[1].notes.part")
    for left in (somebodys, beside.with_suffix(f"{beside.suffix}.part"), house.home / ".exports" / "77.duckdb"):
        left.parent.mkdir(exist_ok=True)
        left.write_text(MINE)
    target.rename(beside.with_name(f"{beside.name}.old"))
    assert [f.missing for f in forget_recordings(house.home, {"nothing"})] == [False]
    assert {p.name for p in house.home.parent.iterdir()} == {"home", "out[1]", somebodys.name}
    assert not any((house.home / ".exports").iterdir())


def test_an_erasure_waits_for_an_export_that_is_being_written(house: PublishedDiary) -> None:
    with duckdb.connect(str(house.live), read_only=True) as db:
        [(key,)] = db.execute("SELECT min(recording_key) FROM notes").fetchall()
    erasing = threading.Thread(target=forget_recordings, args=(house.home, {key}))
    begun: list[bool] = []

    def begin_to_erase(table: str, rows: int) -> None:
        if not begun:
            erasing.start()
            begun.append(True)

    target = house.home.parent / "out.duckdb"
    export_tables(house.home, house.live, target, "duckdb", Selection(), on_table=begin_to_erase)
    erasing.join()
    with duckdb.connect(str(target), read_only=True) as db:
        assert db.execute("SELECT count(*) FROM notes WHERE recording_key = ?", [key]).fetchone() == (0,)


def test_the_places_of_exports_are_kept_once_each(house: PublishedDiary) -> None:
    export(house, "a.duckdb", "duckdb")
    export(house, "b", "csv", Selection("me", since=dt.date(2026, 3, 8)))
    export(house, "a.duckdb", "duckdb", Selection("me"))
    known = known_exports(house.home)
    assert [(e.path.name, e.form, e.selection) for e in known] == [
        ("b", "csv", Selection("me", since=dt.date(2026, 3, 8))),
        ("a.duckdb", "duckdb", Selection("me")),
    ]
    assert stat.S_IMODE((house.home / "exports.json").stat().st_mode) == 0o600


def test_before_the_first_publish_there_is_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="diary publish"):
        export_tables(tmp_path, tmp_path / "catalogue.duckdb", tmp_path.parent / "x", "duckdb", Selection())
