"""Marts by real dbt over a real published file: right after late, moved and erased notes, and new only where needed."""

import datetime as dt
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from diary_pipeline.catalogue.dbt_notes.build import Marts
from diary_pipeline.catalogue.dbt_notes.manifest import manifest
from diary_pipeline.catalogue.dbt_notes.project import dbt
from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.core.errors import NotFound, PermanentError
from diary_pipeline.core.note import Completion, NoteItem, Task
from diary_pipeline.core.recording import RecordedAt, Recording
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.tables import clock, pointers
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.diaries import Diary
from diary_pipeline_tests.house.tree import ROOT

MONDAY = dt.date(2026, 3, 2)
PERIODS = {"daily_diary": "note_date", "weekly_review": "week_start"}


class House:
    """A diary, its publisher and its marts."""

    def __init__(self, home: Path) -> None:
        self.ledger = open_ledger(f"sqlite:///{home / 'ledger.db'}")
        self.diary = Diary(self.ledger, FolderStore(home / "objects"))
        self.publisher = Publisher(self.ledger, self.diary.store, home / "home" / "catalogue.duckdb")
        self.publisher.publish()
        self.marts = Marts(self.publisher.live, home / "home" / "marts.duckdb")

    def spoken(self, name: str, day: int, hour: int, owner: str = "me", zone: str = "UTC", **note: Any) -> Recording:
        """Take in a recording of a day after that Monday, transcribe it and write its note."""
        at = dt.datetime(2026, 3, 2, hour, 30, tzinfo=dt.UTC) + dt.timedelta(days=day)
        when = RecordedAt(at, zone, "container_utc", 0.8, at.date())
        [recording] = self.diary.accept(name, owner=owner, recorded_at=when)
        self.diary.transcribe([recording])
        self.written(recording, day, **note)
        return recording

    def written(self, recording: Recording, day: int, **note: Any) -> None:
        """Write the note of a recording, or write it again, about a day after that Monday."""
        self.diary.write([recording], note_date=MONDAY + dt.timedelta(days=day), **note)

    def erase(self, recording: Recording) -> None:
        """Move all pointers of a recording to nothing, as erasure does."""
        with self.ledger.writing() as tx:
            tx.execute(clock.update().values(n=clock.c.n + 1))
            seq = tx.execute(sa.select(clock.c.n)).scalar_one()
            mine = pointers.update().where(pointers.c.subject == recording.key)
            tx.execute(mine.values(object_id=None, version=None, seq=seq))

    def build(self, **how: Any) -> bool:
        """Publish and build; say whether it began from nothing."""
        self.publisher.publish()
        built = self.marts.build(**how)
        built.demand()
        return built.from_nothing

    def rows(self, sql: str, file: Path | None = None) -> list[tuple[Any, ...]]:
        """Ask the marts."""
        with duckdb.connect() as db:
            db.execute(f"ATTACH '{file or self.marts.file}' AS built (READ_ONLY)")
            db.execute("USE built.marts")
            return db.execute(sql).fetchall()

    def built_at(self, mart: str) -> dict[tuple[str, int], dt.datetime]:
        """When each row of a mart was built, by owner and day after that Monday."""
        rows = self.rows(f"SELECT user_id, {PERIODS[mart]}, built_at FROM {mart}")
        return {(user, (day - MONDAY).days): at for user, day, at in rows}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """An empty house."""
    made = House(tmp_path)
    yield made
    made.ledger.close()


def rebuilt(before: dict[Any, Any], after: dict[Any, Any]) -> set[Any]:
    """What was built again or is new."""
    return {period for period, at in after.items() if before.get(period) != at}


@pytest.mark.slow
def test_a_build_touches_the_days_and_weeks_that_changed_and_equals_a_build_from_nothing(house: House) -> None:
    walk = house.spoken("walk.m4a", 0, 7, title="A walk", mood="positive")
    house.spoken("bread.m4a", 0, 9, title="Bread", mood="neutral", zone="Europe/Rome")
    lake = house.spoken("lake.m4a", 2, 8, title="The lake")
    alone = house.spoken("alone.m4a", 4, 8, title="Alone")
    house.spoken("next.m4a", 7, 8, title="Next week")
    house.spoken("hers.m4a", 0, 8, owner="anna", title="Hers")
    house.diary.refuse("x.txt")
    assert house.build()
    first, weeks = house.built_at("daily_diary"), house.built_at("weekly_review")
    assert set(first) == {("me", 0), ("me", 2), ("me", 4), ("me", 7), ("anna", 0)}
    assert set(weeks) == {("me", 0), ("me", 7), ("anna", 0)}
    [(title, recordings, score, entries, markdown)] = house.rows(
        "SELECT title, recordings, mood_score, entries, markdown FROM daily_diary "
        "WHERE user_id = 'me' AND note_date = '2026-03-02'"
    )
    assert (title, recordings, score) == ("A walk · Bread", 2, 0.5)
    assert [(e["title"], e["spoken_at"].hour) for e in entries] == [("A walk", 7), ("Bread", 10)]
    assert f"## 07:30 A walk\n\nI walked by the river. Then I bought bread.\n\n[{walk.key}](notes/" in markdown
    assert not house.build() and house.built_at("daily_diary") == first, "nothing moved, nothing is built"

    house.spoken("early.m4a", 0, 5, title="Before sunrise")  # late: of a day that was built long ago
    house.written(lake, 3, prompt_version="offline-4")  # moved to another day of the same week
    assert not house.build()
    second = house.built_at("daily_diary")
    assert rebuilt(first, second) == {("me", 0), ("me", 3)} and ("me", 2) not in second
    assert rebuilt(weeks, house.built_at("weekly_review")) == {("me", 0)}
    assert house.rows("SELECT title FROM daily_diary WHERE user_id = 'me' AND recordings = 3") == [
        ("Before sunrise · A walk · Bread",)
    ]
    weeks = house.built_at("weekly_review")

    house.erase(walk)  # one of three of its day
    house.erase(alone)  # the only one of its day
    assert not house.build()
    third = house.built_at("daily_diary")
    assert rebuilt(second, third) == {("me", 0)} and set(second) - set(third) == {("me", 4)}
    assert rebuilt(weeks, house.built_at("weekly_review")) == {("me", 0)}
    with duckdb.connect(str(house.marts.file), read_only=True) as db:
        tables = [name for (name,) in db.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
    assert len(tables) == 12
    told = [house.rows(f"SELECT DISTINCT x FROM {table} t, (SELECT t::VARCHAR x)") for table in tables]
    assert not [row for row in told if walk.key in str(row) or "A walk" in str(row)]

    whole = Marts(house.publisher.live, house.marts.file.with_name("whole.duckdb"))
    assert whole.build().from_nothing
    for table in tables:
        same = "SELECT COLUMNS(c -> c <> 'built_at') FROM " + table + " ORDER BY ALL"
        with duckdb.connect() as db:
            db.execute(f"ATTACH '{whole.file}' AS built (READ_ONLY)")
            assert house.rows(same) == db.execute(same.replace(table, f"built.marts.{table}")).fetchall(), table


@pytest.mark.slow
def test_marts_tell_who_what_how_well_and_what_became_of_it(house: House, tmp_path: Path) -> None:
    items = (
        NoteItem(0, "person", "Anna", 0, 0.0, 1.0, "I walked"),
        NoteItem(1, "person", "anna", 2, 2.0, 2.5, "bread"),
        NoteItem(2, "place", "Porto", 0, 0.0, 1.0, "river"),
        NoteItem(3, "action", "Buy bread.", 0, 0.0, 1.0, "bread", task=Task("buy", ("bread",))),
        NoteItem(4, "action", "Call Bo.", 0, 0.0, 1.0, "bread", task=Task("call", ("bo",))),
    )
    bought = Completion("Then I bought bread.", 2, 2.0, 2.5, "bought", "done", MONDAY, ("buy",), ("bread",))
    asked = house.spoken("asked.m4a", 0, 8, items=items, mood="very_positive")
    done = house.spoken("done.m4a", 1, 8, completions=(bought,), mood="negative", degraded=True)
    house.spoken("hers.m4a", 0, 8, owner="anna", items=items[:1])
    house.diary.fail("transcript", house.diary.accept("broken.m4a"))
    house.diary.refuse("x.txt")
    house.build()
    assert house.rows("SELECT user_id, name, spellings, mentions, recordings, days FROM people ORDER BY 1") == [
        ("anna", "Anna", ["Anna"], 1, 1, 1),
        ("me", "Anna", ["Anna", "anna"], 2, 1, 1),
    ]
    assert house.rows("SELECT said[1].recording_key, said[1].start_s FROM places") == [(asked.key, 0.0)]
    assert house.rows("SELECT text FROM open_action_items") == [("Call Bo.",)]
    settled = "SELECT text, outcome, done_recording_key, days_taken FROM action_items_done"
    assert house.rows(settled) == [("Buy bread.", "done", done.key, 0)]
    trend = "SELECT note_date - DATE '2026-03-02', mood_score, mood_score_7d FROM mood_trend WHERE user_id = 'me'"
    assert house.rows(f"{trend} ORDER BY 1") == [(0, 2.0, 2.0), (1, -1.0, 0.5)]
    quality = "SELECT sum(recordings), sum(failed), sum(notes), max(degraded_share), min(supported_share) FROM quality"
    assert house.rows(f"{quality} WHERE user_id = 'me'") == [(3, 1, 2, 1.0, 1.0)]
    assert house.rows("SELECT sum(submissions), sum(failed), sum(refused) FROM throughput") == [(5, 1, 1)]
    assert house.rows("SELECT DISTINCT usd_per_audio_hour FROM cost_per_audio_hour WHERE audio_s > 0") == [(0.0,)]
    assert house.rows("SELECT watermark FROM marts_state") == [(house.publisher.publish().watermark,)]
    page = house.marts.page.read_text(encoding="utf-8")
    assert "One row an owner and a day: the entry of that day" in page and "river" not in page
    described = {
        (m["name"], column)
        for m in manifest(make=True)["nodes"].values()
        if m["resource_type"] == "model"
        for column, told in m["columns"].items()
        if m["description"].strip() and told["description"].strip()
    }
    with duckdb.connect(str(house.marts.file), read_only=True) as db:
        there = set(db.execute("SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal").fetchall())
    assert described == there, "every model and every column is described, and nothing else is"

    with duckdb.connect(str(house.marts.file), read_only=True) as db:
        wide = "SELECT table_name, column_name FROM duckdb_columns() WHERE data_type LIKE '%HUGEINT%'"
        assert db.execute(wide).fetchall() == [], "pandas makes floats of them"
    files = {"DIARY_CATALOGUE_FILE": str(house.publisher.live), "DIARY_MARTS_FILE": str(tmp_path / "try.duckdb")}
    assert dbt("source freshness", workplace=tmp_path, files=files) == 0
    fresh = json.loads((tmp_path / "target" / "sources.json").read_text())["results"]
    assert [result["status"] for result in fresh] == ["pass", "pass"]
    asked_in_docs = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "marts.md").read_text(encoding="utf-8"), re.S)
    answers = [house.rows(query.replace("marts.", "built.marts.")) for query in asked_in_docs]
    assert len(answers) == 3 and all(answers)
    assert answers[1][0][:2] == ("Anna", 2) and answers[2][0][0] == "Call Bo."

    # A test that does not hold keeps the old marts, and says which it was.
    before = house.marts.file.read_bytes()
    house.publisher.live.chmod(0o600)
    with duckdb.connect(str(house.publisher.live)) as db:
        db.execute("UPDATE data.note_items SET segment_id = 99 WHERE kind = 'place'")
    built = house.marts.build(from_nothing=True)
    assert built.failed == ("every_point_was_said_in_its_segment", "every_mention_was_said")
    with pytest.raises(PermanentError, match="every_mention_was_said"):
        built.demand()
    assert house.marts.file.read_bytes() == before
    house.marts.forget()
    left = {path.name for path in house.marts.file.parent.iterdir() if "marts" in path.name}
    assert left == {".marts.duckdb.lock", "marts.html"}


@pytest.mark.slow
def test_a_build_sees_one_published_file_whatever_is_published_meanwhile(house: House) -> None:
    house.spoken("walk.m4a", 0, 8)
    house.publisher.publish()
    done = threading.Event()
    failed: list[str] = []

    def build() -> None:
        failed.extend(house.marts.build().failed)
        done.set()

    at_work = threading.Thread(target=build)
    at_work.start()
    later = 0
    while not done.wait(0.3):
        later += 1
        house.spoken(f"later {later}.m4a", later % 3, 8)
        house.publisher.publish()
    at_work.join()
    assert later > 3 and failed == []
    [(seen, told)] = house.rows("SELECT (SELECT watermark FROM marts_state), (SELECT sum(recordings) FROM daily_diary)")
    with duckdb.connect(str(house.publisher.live), read_only=True) as db:
        assert db.execute("SELECT count(*) FROM notes WHERE commit_seq <= ?", [seen]).fetchone() == (told,)


def test_without_a_published_file_there_is_nothing_to_build_from(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="diary publish"):
        Marts(tmp_path / "catalogue.duckdb", tmp_path / "marts.duckdb").build()
