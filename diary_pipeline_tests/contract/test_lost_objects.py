"""What becomes of a diary when objects of its log are lost, many of them, or for an hour: on both databases."""

import shutil
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from diary_pipeline.catalogue.read import notes_of, transcripts_of
from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.ledger import log_objects, recordings, snapshot
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.pointers import Pointer, pointer
from diary_pipeline.ledger.tables import commits, history, pointers, work
from diary_pipeline.ledger.tables import recordings as recordings_table
from diary_pipeline.upkeep.reconcile import MOST_LOST
from diary_pipeline_tests.contract.test_rewritten_log import known_objects
from diary_pipeline_tests.diaries import transcript_for
from diary_pipeline_tests.reconciling import SHOWN, House, make_old


@pytest.fixture
def house(ledger: Ledger, tmp_path: Path) -> House:
    """A diary nobody has begun yet."""
    return House(ledger, tmp_path)


@pytest.mark.parametrize("how", [{}, {"months": 1}])
def test_a_lost_transcript_is_made_again_and_users_see_the_old_one_until_then(
    house: House, how: dict[str, int]
) -> None:
    some = house.noted("walk.m4a", "bread.m4a")
    before, keys = house.shown(), [r.key for r in some]
    lost = house.object_of(keys[0], "transcript")
    house.store.delete(lost)
    assert house.found(dry_run=True, **how) == [("missing_object", lost, "to_mend")]
    assert house.found(**how) == [("missing_object", lost, "mended")]
    assert house.found(**how) == [], "it is under way"
    with house.ledger.reading() as conn:
        assert [r.status for r in recordings.rows(conn, keys)] == ["pending", "pending"]
    house.publisher.publish()
    assert house.shown() == before
    house.diary.transcribe(some)
    house.diary.write(some)
    assert transcripts_of(house.ledger, house.store, keys) == {r.key: transcript_for(r) for r in some}
    house.publisher.publish()
    assert house.shown() == before
    assert house.found(**how) == [("missing_object", lost, "mended")], "now it may be forgotten"
    assert house.found(**how) == []


def test_a_lost_note_is_made_again_with_its_outcome(house: House) -> None:
    some = house.noted("walk.m4a", "bread.m4a")
    before = house.shown()
    lost = house.object_of(some[0].key, "note")
    house.store.delete(lost)
    done = house.look()
    assert [f.detail for f in done.findings] == ["planned again: 0 transcripts, 2 notes"]
    with house.ledger.reading() as conn:
        todo = conn.execute(sa.select(work.c.stage, work.c.state).order_by(work.c.stage)).tuples().all()
        assert {h.subject for h in log_objects.holdings(conn, [lost])} == {r.key for r in some}, "not made again yet"
    assert todo == [("note", "ready"), ("note", "ready"), ("transcript", "done"), ("transcript", "done")]
    assert len(house.diary.write(some).committed) == 2
    house.publisher.publish()
    after = house.shown()
    assert {t: after[t] for t in SHOWN if t != "recordings"} == {t: before[t] for t in SHOWN if t != "recordings"}
    assert len(after["recordings"]) == 2
    assert set(notes_of(house.ledger, house.store, [r.key for r in some])) == {r.key for r in some}
    assert house.found() == [("missing_object", lost, "mended")]
    assert house.found() == []
    with house.ledger.reading() as conn:
        assert log_objects.holdings(conn, [lost]) == []


def test_an_outcome_alone_is_made_again_by_its_stage(house: House) -> None:
    heard, unheard = house.diary.accept("heard.m4a", "unheard.m4a")
    house.diary.transcribe([heard])
    house.diary.fail("note", [heard], "note_failed")
    house.diary.fail("transcript", [unheard])
    house.publisher.publish()
    for recording in (heard, unheard):
        house.store.put(recording.object_key, b"sound")
        house.store.delete(house.object_of(recording.key, "outcome"))
    assert {f.detail for f in house.look().findings} == {
        "planned again: 0 transcripts, 1 notes",
        "planned again: 1 transcripts, 0 notes",
    }
    house.diary.write([heard])
    house.diary.transcribe([unheard])
    house.diary.write([unheard])
    house.publisher.publish()
    assert len(house.shown()["recordings"]) == 2
    assert [f.state for f in house.look().findings] == ["mended", "mended"], "what was lost may be forgotten"
    assert house.found() == []


def test_lost_refusals_are_written_again_from_the_ledger(house: House) -> None:
    refused = house.diary.refuse("notes.txt")
    house.publisher.publish()
    assert house.found() == [], "from now on the store knows whose it is"
    before, lost = house.shown(), house.object_of(refused, "outcome")
    house.store.delete(lost)
    assert house.found() == [("missing_object", lost, "mended")]
    assert house.store.exists(house.object_of(refused, "outcome"))
    house.publisher.live.unlink()
    house.publisher.publish()
    assert house.shown() == before
    assert house.found() == []


def test_lost_corrections_are_a_persons_to_bring_back(house: House) -> None:
    [walk] = house.noted("walk.m4a")
    lost = "catalogue/202603/correction-lost"
    with house.ledger.writing() as tx:
        tx.execute(commits.insert().values(object_id=lost, kind="correction", seq=9, size_bytes=1, committed_at=0.0))
        row = {"subject": walk.key, "kind": "correction", "seq": 9, "version": "c1", "object_id": lost}
        tx.execute(pointers.insert().values(**row, owner="me"))
        tx.execute(history.insert().values(**row))
    done = house.look()
    assert [(f.subject, f.state) for f in done.left] == [(lost, "left")]
    assert house.object_of(walk.key, "correction") == lost


def test_a_store_that_is_away_for_an_hour_costs_nothing(house: House, tmp_path: Path) -> None:
    house.noted("walk.m4a", "bread.m4a")
    before = known_objects(house.ledger)
    for is_told in (False, True):
        (tmp_path / "objects").rename(tmp_path / "away")
        with pytest.raises(ServiceMissing) as refused:
            house.look()
        assert refused.value.code == "store_away"
        shutil.rmtree(tmp_path / "objects", ignore_errors=True)
        (tmp_path / "away").rename(tmp_path / "objects")
        assert known_objects(house.ledger) == before
        assert is_told or house.found() == [], "from now on the store knows whose it is"


def test_many_lost_objects_are_no_accident(house: House) -> None:
    some = [house.noted(f"memo{n}.m4a")[0] for n in range(MOST_LOST + 1)]
    house.look()
    lost = [house.object_of(r.key, "note") for r in some]
    for object_id in lost:
        house.store.delete(object_id)
    before = known_objects(house.ledger)
    assert house.found() == [("missing_object", object_id, "left") for object_id in sorted(lost)]
    assert known_objects(house.ledger) == before
    assert {f.state for f in house.look(most_lost=len(lost)).findings} == {"mended"}
    house.diary.write(some)
    house.look()
    assert house.found() == []


def test_an_object_that_is_back_is_pointed_to_again(house: House, tmp_path: Path) -> None:
    some = house.noted("walk.m4a", "bread.m4a")
    house.look()
    before, keys = known_objects(house.ledger), [r.key for r in some]
    ids = [house.object_of(keys[0], "transcript"), house.object_of(keys[0], "note")]
    for n, object_id in enumerate(ids):
        house.store.path(object_id).rename(tmp_path / f"away{n}")
    house.look()
    (tmp_path / "away1").rename(tmp_path / "objects" / ids[1])
    assert house.found() == [], "its transcript is still lost"
    (tmp_path / "away0").rename(tmp_path / "objects" / ids[0])
    for object_id in ids:
        make_old(house.store, object_id)
    assert house.found(dry_run=True) == [("missing_object", i, "to_mend") for i in sorted(ids)]
    assert house.found() == [("missing_object", i, "mended") for i in sorted(ids)]
    assert known_objects(house.ledger) == before
    assert house.found() == []
    assert set(house.diary.transcribe(some).already) == set(keys), "what was planned meanwhile finds it"


@pytest.mark.parametrize("is_kept", [False, True], ids=["lost", "removed as its owner wants"])
def test_a_lost_transcript_without_audio_is_a_persons_to_bring_back(house: House, is_kept: bool) -> None:
    walk, bread = house.noted("walk.m4a", "bread.m4a")
    lost = house.object_of(walk.key, "transcript")
    if is_kept:
        with house.ledger.writing() as tx:
            gone = recordings_table.update().where(recordings_table.c.key == walk.key)
            tx.execute(gone.values(audio_removed_at=1.0))
    house.store.delete(walk.object_key)
    house.store.delete(lost)
    for told in (["planned again: 1 transcripts, 0 notes"], []):
        done = [f for f in house.look().findings if f.difference == "missing_object"]
        assert [f.detail for f in done if f.state == "mended"] == told
        assert [(f.subject, f.state) for f in done if f.state == "left"] == [(lost, "left")]
    with house.ledger.reading() as conn:
        assert [r.status for r in recordings.rows(conn, [walk.key, bread.key])] == ["completed", "pending"]
    assert house.object_of(walk.key, "transcript") == lost


def test_pointers_of_a_lost_object_that_moved_on_are_left_alone(house: House) -> None:
    walk, bread = some = house.noted("walk.m4a", "bread.m4a")
    lost = house.object_of(walk.key, "transcript")
    house.diary.transcribe([walk], ["I ran."])
    house.store.delete(lost)
    assert [f.detail for f in house.look().findings] == ["planned again: 1 transcripts, 0 notes"]
    with house.ledger.reading() as conn:
        kept: Pointer | None = pointer(conn, walk.key, "transcript")
    assert kept is not None
    assert kept.object_id not in (None, lost)
    assert len(some) == 2
    assert bread.key


def test_rows_of_what_is_being_made_again_stay_when_others_of_it_are_folded_again(house: House) -> None:
    [walk, _] = house.noted("walk.m4a", "bread.m4a")
    before = house.shown()
    house.look()
    house.store.delete(house.object_of(walk.key, "transcript"))
    house.look()
    house.tamper(f"DELETE FROM data.notes WHERE recording_key = '{walk.key}'")
    assert house.found() == [("published_row", walk.key, "mended")]
    house.publisher.publish()
    assert house.shown() == before


def test_what_is_being_made_again_is_needed_by_no_backup_and_no_merge(house: House, tmp_path: Path) -> None:
    some = house.noted("walk.m4a", "bread.m4a")
    lost = house.object_of(some[0].key, "transcript")
    house.store.delete(lost)
    assert lost in snapshot.take(house.ledger, tmp_path / "before").objects, "nobody has seen to it yet"
    house.look()
    needed = snapshot.take(house.ledger, tmp_path / "after")
    assert lost not in needed.objects
    assert lost in needed.made_again, "whoever still has it keeps it"
    with house.ledger.reading() as conn:
        assert [o.kind for o in log_objects.mergeable(conn, time.time() + 60, 10**9)] == ["note"]
        assert (some[0].key, "transcript") in log_objects.current_of(conn, [some[0].key]), "merging keeps its versions"
