"""Erasing one of two recordings of a day: no byte of it is left on disk, and nothing of the other is lost."""

import dataclasses
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log.schema import SqlEventLogStorageMetadata
from dagster._core.storage.runs.schema import RunStorageSqlMetadata
from dagster._core.storage.schedules.schema import ScheduleStorageSqlMetadata

from diary_pipeline.core.seal import Seal
from diary_pipeline.defs.wipe.partitions import DagsterPartitions
from diary_pipeline.ledger import batches, submissions
from diary_pipeline.ledger.erasures import Subject
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.transcription.transcriber import Block, ToHear
from diary_pipeline.upkeep.again import back_again
from diary_pipeline.upkeep.partitions import Named
from diary_pipeline.upkeep.receipts import is_genuine
from diary_pipeline_tests.builders import speech_like
from diary_pipeline_tests.defs.erasing import (
    GONE,
    GONE_NAME,
    STAYS,
    STAYS_NAME,
    STAYS_SAID,
    build_marts,
    fill,
    finish,
    forget_sources,
    hide,
    told_in,
    write_plainly,
)
from diary_pipeline_tests.defs.house import CountingTranscriber, House

ROWS = (
    "SELECT * FROM recordings ORDER BY ALL",
    "SELECT * FROM segments ORDER BY ALL",
    "SELECT * FROM notes ORDER BY ALL",
    "SELECT * FROM note_items ORDER BY ALL",
    "SELECT * FROM checks ORDER BY ALL",
)


pytestmark = pytest.mark.slow


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A house that writes plain bytes, with transcripts as files too."""
    write_plainly(monkeypatch)
    with House(tmp_path / "home", DIARY_TRANSCRIPT_FILES="txt,json") as found:
        yield found


def rows_of(house: House, key: str) -> list[list[tuple[object, ...]]]:
    """Return what users can query of a recording."""
    return [[row for row in house.sql(query) if key in map(str, row)] for query in ROWS]


def files_of(house: House) -> dict[str, bytes]:
    """Return the bytes of every file that is the other recording's alone."""
    home = house.settings.home
    roots = (house.settings.note_dir, house.settings.transcript_dir, home / "objects/audio", home / "objects/answers")
    files = [path for root in roots for path in root.rglob("*") if path.is_file()]
    return {str(p.relative_to(home)): p.read_bytes() for p in files}


def test_no_byte_of_an_erased_recording_is_left_and_the_other_of_its_day_is_whole(house: House) -> None:
    gone, stays = fill(house)
    home = house.settings.home
    before, kept_rows, kept_files = told_in(home, GONE), rows_of(house, stays), files_of(house)
    for place in ("catalogue.duckdb", "ledger", "objects/catalogue", "objects/answers", "objects/checkpoints"):
        assert any(name.startswith(place) for name in before), place
    for place in ("notes/", "transcripts/", "dagster/history/runs/index", "dagster/history/runs.db", "dagster/storage"):
        assert any(name.startswith(place) for name in before), place
    forget_sources(house)
    erasure = hide(house, gone)
    [receipt] = finish(house).receipts
    assert told_in(home, GONE) == {}
    assert rows_of(house, stays) == kept_rows
    assert rows_of(house, gone) == [[], [], [], [], []]
    assert house.sql("SELECT count(*) FROM notes") == [(1,)]
    left = files_of(house)
    assert left == {name: data for name, data in kept_files.items() if name in left}
    assert {name.partition("/")[0] for name in kept_files if name not in left} == {"notes", "objects", "transcripts"}
    assert len(kept_files) - len(left) == 1 + 2 + 2, "its note, its transcripts, its audio and answer"
    assert sum(told_in(home, STAYS).values()) > 0
    assert receipt["erasure_id"] == erasure.id
    assert receipt["removed"]["store"] == {"answers": 1, "audio": 1, "checkpoints": 1}
    assert receipt["removed"]["files"] == {"notes": 1, "transcripts": 2}
    assert receipt["removed"]["log"] == {"objects": 2}
    assert receipt["removed"]["dagster"]["partitions"] == 1
    assert receipt["removed"]["ledger"]["recordings"] == 1


def test_dagster_forgets_the_partition_and_keeps_every_event_of_the_other(house: House) -> None:
    gone, stays = fill(house)
    forget_sources(house)
    runs = {run.run_id for run in house.instance.get_runs()}
    hide(house, gone)
    finish(house)
    assert house.keys() == [stays]
    assert {run.run_id for run in house.instance.get_runs()} == runs, "no run is lost"
    for asset in ("raw_audio", "transcript", "diary_note"):
        assert house.status(asset) == ({stays}, set())
        found = house.instance.fetch_materializations(dg.AssetKey(asset), limit=100).records
        assert [record.partition_key for record in found] == [stays]
        newest = house.instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert newest is not None
        assert newest.dagster_event is not None
        assert newest.dagster_event.partition == stays
        for run in runs:
            house.instance.get_run_by_id(run)
            house.instance.all_logs(run)
    for asset, check in (("raw_audio", "audio_is_sound"), ("diary_note", "note_is_supported")):
        assert set(house.checks(asset, check)) == {stays}


def test_marts_go_with_the_publish_that_hides_and_come_back_without_the_erased(house: House) -> None:
    gone, _ = fill(house)
    build_marts(house)
    house.publish()
    assert house.sql("SELECT count(*) FROM marts.daily") == [(2,)]
    forget_sources(house)
    hide(house, gone)
    house.publish()
    schemas = "SELECT count(*) FROM duckdb_schemas() WHERE schema_name = 'marts'"
    assert house.sql(schemas) == [(0,)]
    finish(house)
    assert told_in(house.settings.home, GONE) == {}
    build_marts(house)
    house.publish()
    assert house.sql("SELECT count(*) FROM marts.daily") == [(1,)]


def test_marts_that_are_built_while_the_catalogue_is_written_anew_go_too(house: House) -> None:
    gone, _ = fill(house)
    forget_sources(house)
    hide(house, gone)

    def compact() -> None:
        build_marts(house)  # from the file that still holds it
        house.wiring.publisher.compact()

    house.wiring.erase(DagsterPartitions(house.instance), compact)()
    assert told_in(house.settings.home, GONE) == {}


def test_the_sensor_finishes_what_was_hidden_and_its_run_names_nothing(house: House) -> None:
    gone, _ = fill(house)
    forget_sources(house)
    assert house.tick("erasures") == []
    hide(house, gone)
    [request] = house.tick("erasures")
    assert gone not in json.dumps([request.run_config, dict(request.tags)])
    assert house.execute("erasures", request).success
    assert told_in(house.settings.home, GONE) == {}
    assert house.tick("erasures") == []
    [file] = (house.settings.home / "receipts").iterdir()
    assert is_genuine(house.wiring.seal, json.loads(file.read_text()))


class Interrupted(CountingTranscriber):
    """Ears during whose work something else happens, once."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__((STAYS_SAID, STAYS_SAID))
        self._meanwhile = [meanwhile]

    def _opened(self, recording: ToHear) -> Iterable[Block]:
        while self._meanwhile:
            self._meanwhile.pop()()
        return super()._opened(recording)


class Killed(Exception):
    """Stands for kill -9 between two steps."""


@dataclasses.dataclass(frozen=True)
class Stumble:
    """A place at which the process dies, before or after it is emptied."""

    name: str = "stumble"

    def count(self, _gone: Sequence[Subject], /) -> Mapping[str, int]:
        """Count nothing."""
        return {}

    def remove(self, _gone: Sequence[Subject], /) -> None:
        """Die."""
        raise Killed


class Forgetful(DagsterPartitions):
    """Dagster's part, done; then the process dies."""

    def forget(self, named: Named) -> None:
        """Forget, and die."""
        super().forget(named)
        raise Killed


def test_killed_at_any_step_it_is_finished_by_the_next_call_with_the_same_receipt(house: House) -> None:
    gone, stays = fill(house)
    forget_sources(house)
    kept = rows_of(house, stays)
    hide(house, gone)
    whole = house.wiring.erase(DagsterPartitions(house.instance), house.wiring.publisher.compact)
    for n in range(len(whole.places) + 1):
        places = (*whole.places[:n], Stumble(), *whole.places[n:])
        with pytest.raises(Killed):
            dataclasses.replace(whole, places=places)()
    with pytest.raises(Killed):
        dataclasses.replace(whole, partitions=Forgetful(house.instance))()
    with pytest.raises(OSError):  # the ledger's rows are gone, the receipt cannot be written
        dataclasses.replace(whole, receipts=house.settings.catalogue_file / "receipts")()
    [receipt] = whole().receipts
    assert told_in(house.settings.home, GONE) == {}
    assert rows_of(house, stays) == kept
    assert receipt["removed"]["store"] == {"answers": 1, "audio": 1, "checkpoints": 1}
    assert receipt["removed"]["log"] == {"objects": 2}
    assert whole().receipts == []


def test_a_file_that_still_lies_in_the_folder_is_not_taken_in_again_until_its_owner_allows_it(house: House) -> None:
    gone, stays = fill(house)
    hide(house, gone)
    finish(house)
    house.once()
    assert house.keys() == [stays]
    with house.ledger.reading() as conn:
        assert submissions.counts(conn) == {"completed": 1}, "nobody handed it in, so nothing tells its name"
    assert house.once() == [], "the file is remembered, and not read at every look"
    [id] = house.wiring.intake.submit([house.settings.drop_dir / GONE_NAME], "me", "cli", {})
    assert house.wiring.intake.work(60, 1, ids=[id]).refused == 1
    with house.ledger.reading() as conn:
        [refused] = submissions.get(conn, [id])
    assert refused.reason_code == "audio_erased"
    assert "diary erase --allow" in (refused.message or "")


def test_another_owners_same_audio_stays(house: House) -> None:
    gone, _ = fill(house)
    [hers] = house.wiring.intake.submit([house.settings.drop_dir / GONE_NAME], "anna", "cli", {})
    house.wiring.intake.work(60, 1, ids=[hers])
    house.once()
    hide(house, gone)
    finish(house)
    with house.ledger.reading() as conn:
        [row] = submissions.get(conn, [hers])
    assert row.status == "completed"
    assert house.sql(f"SELECT user_id FROM notes WHERE recording_key = '{row.recording_key}'") == [("anna",)]
    assert [p.name for p in (house.settings.object_dir / "audio").rglob("*") if p.is_file()]
    assert house.wiring.intake.work(60, 9).refused == 0


def test_an_erasure_waits_for_the_worker_that_is_at_it_and_what_it_leaves_goes_too(house: House) -> None:
    house.drop(GONE_NAME, speech_like(4.0))
    house.tick("uploads")
    [key] = house.keys()
    batch = batches.claim_keys(house.ledger, "transcript", [key], "worker", 3600.0)
    assert batch.leases
    forget_sources(house)
    hide(house, key)
    done = finish(house)
    assert (done.receipts, done.waiting) == ([], 1)
    assert house.tick("erasures") == []
    batches.release(house.ledger, batch)
    with house.ledger.writing() as tx:
        tx.exec_driver_sql("UPDATE holders SET expires_at = 0")
    finish(house)
    assert told_in(house.settings.home, GONE) == {}
    assert house.keys() == []


def test_erased_while_a_run_hears_it_the_run_goes_on_with_the_other_and_leaves_nothing(house: House) -> None:
    for name, pitch in ((GONE_NAME, 140.0), (STAYS_NAME, 180.0)):
        house.drop(name, speech_like(4.0, pitch_hz=pitch))
    [request] = house.tick("uploads")
    gone, stays = sorted(house.keys(), key=lambda key: "zanzibarquux" not in key)
    house.wiring.ears = Interrupted(lambda: hide(house, gone))
    forget_sources(house)
    assert house.execute("uploads", request).success
    assert finish(house).waiting == 1, "the run may have shown itself a moment ago"
    with house.ledger.writing() as tx:
        tx.exec_driver_sql("UPDATE holders SET expires_at = 0")
    assert len(finish(house).receipts) == 1
    house.once()
    assert told_in(house.settings.home, GONE) == {}
    assert house.sql("SELECT recording_key FROM notes") == [(stays,)]


def test_a_person_goes_whole(house: House) -> None:
    fill(house)
    (house.settings.drop_dir / "2026-03-05 zanzibarquux noise.mp3").write_bytes(b"no audio in here" * 40)
    house.once()
    hide(house, "me", "user")
    for path in house.settings.drop_dir.iterdir():
        path.unlink()
    [receipt] = finish(house).receipts
    assert told_in(house.settings.home, (*GONE, *STAYS)) == {}
    assert house.keys() == []
    assert house.sql("SELECT count(*) FROM recordings") == [(0,)]
    assert receipt["scope"] == "user"
    assert len(receipt["subjects"]) == 3
    assert "me" not in receipt.values()


def test_a_receipt_is_genuine_until_a_word_of_it_is_changed_and_finds_what_a_backup_brings_back(house: House) -> None:
    gone, _ = fill(house)
    backup = house.settings.home.parent / "backup.sqlite"
    with closing(sqlite3.connect(house.settings.home / "ledger.sqlite")) as ledger:
        ledger.execute("VACUUM INTO ?", [str(backup)])
    hide(house, gone)
    [receipt] = finish(house).receipts
    seal = house.wiring.seal
    assert is_genuine(seal, receipt)
    assert not is_genuine(seal, {**receipt, "bytes_removed_at": "2020-01-01T00:00:00+00:00"})
    assert json.loads(json.dumps(receipt)) == receipt
    told = json.dumps(receipt).lower()
    assert not [word for word in (*GONE, *STAYS, gone, '"me"') if word in told]
    restored = open_ledger(f"sqlite:///{backup}")
    assert back_again(restored, seal, [receipt]) == [("recording", gone)]
    assert back_again(restored, Seal("another"), [receipt]) == []
    assert back_again(house.ledger, seal, [receipt]) == []
    restored.close()


def test_the_config_of_ingest_runs_names_the_file_no_longer(house: House) -> None:
    paths = [str(house.drop(GONE_NAME)), str(house.drop(STAYS_NAME, speech_like(2.0, pitch_hz=180.0)))]
    config = {"ops": {"ingest": {"config": {"uris": paths}}}}
    assert house.defs.resolve_job_def("ingest").execute_in_process(run_config=config, instance=house.instance).success
    house.once()
    gone = min(house.keys(), key=lambda key: "zanzibarquux" not in key)
    forget_sources(house)
    hide(house, gone)
    finish(house)
    assert told_in(house.settings.home, ["zanzibarquux"]) == {}
    [run] = house.instance.get_runs(dg.RunsFilter(job_name="ingest"))
    assert run.run_config["ops"]["ingest"]["config"]["uris"] == ["erased", paths[1]]


def test_every_table_that_dagster_has_is_looked_through(house: House) -> None:
    partitions = DagsterPartitions(house.instance)
    looked = {table.name for database in partitions._shared for table in database.tables}
    known = (SqlEventLogStorageMetadata, RunStorageSqlMetadata, ScheduleStorageSqlMetadata)
    assert looked == {table.name for metadata in known for table in metadata.sorted_tables}
