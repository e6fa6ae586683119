"""Each way in which stores may come to differ is planted, found and mended: on both databases."""

import os
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.catalogue.read import notes_of, transcripts_of
from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger import again, log_objects, recordings, versions
from diary_pipeline.ledger.commits import Pointer, pointer
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.identity import note_restored
from diary_pipeline.ledger.tables import commits, history, pointers, replaced_objects, submissions, work
from diary_pipeline.ledger.tables import recordings as recordings_table
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.storage.keys import audio_key
from diary_pipeline.upkeep.reconcile import MOST_LOST, ORPHAN_AGE_S, Reconciled, reconcile
from diary_pipeline_tests.builders import make_recording
from diary_pipeline_tests.contract.test_merged_log import store_in_which
from diary_pipeline_tests.contract.test_rewritten_log import hide, known_objects
from diary_pipeline_tests.diaries import Diary, transcript_for

LONG_AGO = 1_770_000_000.0
SHOWN = ("recordings", "segments", "notes", "note_items", "completions", "checks", "llm_calls")


class House:
    """A diary with its published file."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.store = FolderStore(folder / "objects")
        self.diary = Diary(ledger, self.store)
        self.ledger = ledger
        self.publisher = Publisher(ledger, self.store, folder / "home" / "catalogue.duckdb")

    def noted(self, *names: str) -> list[Recording]:
        """Bring recordings to their notes, with their audio, and publish."""
        some = self.diary.accept(*names)
        for recording in some:
            self.store.put(recording.object_key, b"sound")
        self.diary.transcribe(some)
        self.diary.write(some)
        self.publisher.publish()
        return some

    def look(self, **how: Any) -> Reconciled:
        """Reconcile."""
        return reconcile(self.ledger, self.store, self.publisher.live, **how)

    def found(self, **how: Any) -> list[tuple[str, str, str]]:
        """Reconcile, and return what was found without the sentences."""
        return [(f.difference, f.subject, f.state) for f in self.look(**how).findings]

    def object_of(self, subject: str, kind: Any) -> str:
        """Return where a subject's rows lie."""
        with self.ledger.reading() as conn:
            there = pointer(conn, subject, kind)
        assert there is not None
        assert there.object_id is not None
        return there.object_id

    def shown(self) -> Mapping[str, list[tuple[Any, ...]]]:
        """Return all that users see but the order of commits."""
        with duckdb.connect(str(self.publisher.live), read_only=True) as db:
            return {t: sorted(db.execute(f"SELECT * EXCLUDE commit_seq FROM {t}").fetchall(), key=repr) for t in SHOWN}

    def tamper(self, *statements: str) -> None:
        """Change the published file behind the publisher's back."""
        self.publisher.live.chmod(0o600)
        with duckdb.connect(str(self.publisher.live)) as db:
            for statement in statements:
                db.execute(statement)


@pytest.fixture
def house(ledger: Ledger, tmp_path: Path) -> House:
    """A diary nobody has begun yet."""
    return House(ledger, tmp_path)


def make_old(store: FolderStore, key: str) -> None:
    """Let an object have been written long ago."""
    os.utime(store.path(key), (LONG_AGO, LONG_AGO))


def test_a_diary_in_order_has_nothing_to_mend(house: House) -> None:
    assert house.look().findings == (), "nothing was ever published"
    house.noted("walk.m4a", "bread.m4a")
    house.diary.refuse("notes.txt")
    assert house.look().findings == (), "what is not published yet is no difference"
    house.publisher.publish()
    assert house.look().findings == ()
    assert house.look(months=1).findings == ()


@pytest.mark.parametrize("how", [{}, {"months": 2}])
def test_objects_that_nobody_committed_go_when_they_are_old(house: House, how: dict[str, int]) -> None:
    [walk] = house.noted("walk.m4a")
    real = house.object_of(walk.key, "note")
    month = real.rpartition("/")[0]
    for name in ("note-old", "note-young"):
        files = {file.name: file for file in house.store.path(real).iterdir()}
        house.store.put_folder(f"{month}/{name}", files)
    make_old(house.store, f"{month}/note-old")
    make_old(house.store, real)
    assert house.found(dry_run=True, **how) == [("orphan_object", f"{month}/note-old", "to_mend")]
    assert house.store.exists(f"{month}/note-old")
    assert house.found(**how) == [("orphan_object", f"{month}/note-old", "mended")]
    assert [house.store.exists(i) for i in (f"{month}/note-old", f"{month}/note-young", real)] == [False, True, True]
    assert house.found(**how) == []


def test_what_a_crash_left_of_replaced_objects_goes_at_once(house: House) -> None:
    [walk] = house.noted("walk.m4a")
    files = {file.name: file for file in house.store.path(house.object_of(walk.key, "note")).iterdir()}
    house.store.put_folder("catalogue/202603/note-replaced", files)
    with house.ledger.writing() as tx:
        tx.execute(replaced_objects.insert().values(object_id="catalogue/202603/note-replaced", replaced_at=0.0))
    assert house.found(dry_run=True) == [("replaced_object", "catalogue/202603/note-replaced", "to_mend")]
    assert house.found() == [("replaced_object", "catalogue/202603/note-replaced", "mended")]
    assert not house.store.exists("catalogue/202603/note-replaced")
    assert house.found() == []


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


def test_what_was_written_before_a_restore_is_left(house: House) -> None:
    [walk] = house.noted("walk.m4a")
    files = {file.name: file for file in house.store.path(house.object_of(walk.key, "note")).iterdir()}
    unknown, sound = "catalogue/202603/note-since", audio_key("me", "0" * 64)
    house.store.put_folder(unknown, files)
    house.store.put(sound, b"sound")
    for key in (unknown, sound):
        make_old(house.store, key)
    note_restored(house.ledger)
    done = house.look()
    assert [(f.difference, f.subject, f.state) for f in done.findings] == [
        ("orphan_object", unknown, "left"),
        ("orphan_audio", sound, "left"),
    ]
    assert all("hand" in f.detail for f in done.findings)
    assert done.urgent == (), "nobody has to come at night for what is kept"
    assert house.store.exists(unknown)
    assert house.store.exists(sound)


@pytest.mark.parametrize(
    ("statement", "kinds"),
    [
        ("DELETE FROM data.recordings WHERE recording_key = '{walk}'", 1),
        ("DELETE FROM data.recordings WHERE submission_id = '{refused}'", 1),
        ("INSERT INTO data.recordings FROM data.recordings WHERE submission_id = '{refused}'", 1),
        ("DELETE FROM data.notes", 2),
        ("UPDATE data.notes SET commit_seq = 0 WHERE recording_key = '{walk}'", 1),
        ("INSERT INTO data.notes FROM data.notes WHERE recording_key = '{walk}'", 1),
        ("DELETE FROM data.segments; DELETE FROM data.checks", 2),
        ("UPDATE data.recordings SET recording_key = 'a stranger', commit_seq = 1 WHERE recording_key = '{walk}'", 2),
        ("INSERT INTO data.notes BY NAME SELECT 'a stranger' AS recording_key, 'x' AS user_id, 1 AS commit_seq", 1),
    ],
)
def test_published_rows_follow_their_pointers_again(house: House, statement: str, kinds: int) -> None:
    walk, _ = house.noted("walk.m4a", "bread.m4a")
    refused = house.diary.refuse("notes.txt")
    house.publisher.publish()
    before = house.shown()
    house.tamper(*statement.format(walk=walk.key, refused=refused).split(";"))
    assert house.shown() != before or "commit_seq" in statement
    assert [f.state for f in house.look(dry_run=True).findings] == ["to_mend"] * kinds
    done = house.look()
    assert {(f.difference, f.state) for f in done.findings} == {("published_row", "mended")}
    assert len(done.findings) == kinds
    assert house.found() == [], "what moved is the next publish's"
    house.publisher.publish()
    assert house.shown() == before
    assert house.found() == []


def test_a_note_still_belongs_to_its_transcript_after_both_were_folded_again(house: House) -> None:
    [walk] = house.noted("walk.m4a")
    house.tamper("DELETE FROM data.notes")
    house.look()
    with house.ledger.reading() as conn:
        seqs = {kind: p.seq for kind in ("transcript", "note", "outcome") if (p := pointer(conn, walk.key, kind))}
    assert seqs["transcript"] < seqs["note"] == seqs["outcome"]
    assert house.diary.transcribe([walk]).already == (walk.key,)
    with house.ledger.reading() as conn:
        assert recordings.rows(conn, [walk.key])[0].status == "completed", "no note is waited for"


def test_a_look_goes_no_further_than_its_limit_and_the_next_goes_on(house: House) -> None:
    some = house.noted(*(f"memo{n}.m4a" for n in range(5)))
    before = house.shown()
    house.tamper("DELETE FROM data.notes")
    assert [len(house.look(limit=2).findings) for _ in range(3)] == [2, 2, 1]
    house.publisher.publish()
    assert house.shown() == before
    assert len(some) == 5


def test_what_is_hidden_and_not_published_yet_is_no_difference(house: House) -> None:
    walk, _ = house.noted("walk.m4a", "bread.m4a")
    hide(house.ledger, walk.key)
    assert house.found() == []
    house.publisher.publish()
    assert len(house.shown()["notes"]) == 1
    assert house.found() == []


def test_audio_that_nobody_owns_goes_when_it_is_old(house: House) -> None:
    house.noted("walk.m4a")
    mine, strangers, young = audio_key("me", "0" * 64), audio_key("nobody", "1" * 64), audio_key("me", "2" * 64)
    for key in (mine, strangers, young):
        house.store.put(key, b"sound")
    for key in (mine, strangers):
        make_old(house.store, key)
    expected = {("orphan_audio", mine, "mended"), ("orphan_audio", strangers, "mended")}
    assert house.found(months=1) == [], "a short look lists no audio"
    assert set(house.found()) == expected
    assert [house.store.exists(k) for k in (mine, strangers, young)] == [False, False, True]
    assert house.found() == []


def test_audio_of_an_owner_whose_files_are_being_taken_in_is_left_alone(house: House) -> None:
    house.look()
    again = audio_key("me", "0" * 64)
    house.store.put(again, b"sound")
    make_old(house.store, again)
    house.diary.submit("again.m4a")
    assert house.found() == []
    assert house.store.exists(again)
    with house.ledger.writing() as tx:
        tx.execute(submissions.delete())
    assert house.found() == [("orphan_audio", again, "mended")]


@pytest.mark.parametrize("how", [{}, {"months": 1}])
def test_recordings_without_audio_are_told_of(house: House, how: dict[str, int]) -> None:
    walk, bread, far = house.noted("walk.m4a", "bread.m4a", "far.m4a")
    [unheard] = house.diary.accept("unheard.m4a", owner="you")
    house.diary.accept("far2.m4a", object_key="gs://memos/far2.m4a")
    house.store.delete(walk.object_key)
    done = house.look(**how)
    assert {(f.difference, f.subject, f.state) for f in done.findings} == {
        ("missing_audio", walk.key, "noted"),
        ("missing_audio", unheard.key, "left"),
    }
    assert [f.subject for f in done.left] == [unheard.key]
    house.diary.fail("transcript", [unheard], "audio_missing")
    assert house.look(**how).left == (), "whoever handed it in was told, and need not be told every hour"
    assert house.store.exists(bread.object_key)
    assert house.store.exists(far.object_key)


def test_a_look_while_a_commit_is_under_way_takes_nothing_from_it(house: House) -> None:
    looks: list[Reconciled] = []
    some = house.diary.accept("walk.m4a")
    house.store.put(some[0].object_key, b"sound")
    store = store_in_which(house.diary, lambda: looks.append(house.look()))
    Diary(house.ledger, store).transcribe(some)
    assert [look.findings for look in looks] == [()]
    assert transcripts_of(house.ledger, house.store, [some[0].key]) == {some[0].key: transcript_for(some[0])}


def test_looks_beside_writers_and_a_publisher_find_nothing(house: House) -> None:
    over, trouble = threading.Event(), list[object]()

    def repeatedly(act: Callable[[], object]) -> threading.Thread:
        def run() -> None:
            try:
                while not over.is_set():
                    trouble.extend(found for found in (act(),) if found)
            except BaseException as error:  # noqa: BLE001 - told by the test
                trouble.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    shutil.rmtree(house.publisher.live.parent, ignore_errors=True)
    threads = [repeatedly(lambda: house.look().findings), repeatedly(lambda: house.look(months=1).findings)]
    for n in range(12):
        names = (f"a{n}.m4a", f"b{n}.m4a")
        for name in names:  # as intake does: first the audio, then the recording
            house.store.put(make_recording(file_name=name).object_key, b"sound")
        some = house.diary.accept(*names)
        house.diary.transcribe(some)
        house.diary.write(some)
    over.set()
    for thread in threads:
        thread.join()
    assert trouble == []
    committed, pointed = known_objects(house.ledger)
    assert committed == pointed == {k.rpartition("/")[0] for k in house.store.list("catalogue/")}
    assert ORPHAN_AGE_S >= 3600


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


def test_folding_again_keeps_one_place_of_a_note_and_what_it_was_made_with(house: House) -> None:
    [walk] = house.noted("walk.m4a")
    with house.ledger.writing() as tx:
        tx.execute(history.update().where(history.c.kind == "note").values(made_with="prompt 7"))
    for n in range(3):
        house.tamper("DELETE FROM data.notes")
        assert house.found() == [("published_row", walk.key, "mended")], n
        house.publisher.publish()
    with house.ledger.reading() as conn:
        theirs = sa.select(history.c.seq, history.c.made_with).where(history.c.kind == "note")
        there = pointer(conn, walk.key, "note")
        assert there is not None
        assert conn.execute(theirs).tuples().all() == [(there.seq, "prompt 7")]
        assert len(versions.kept(conn, walk.key)) == 2


def test_a_note_can_still_be_gone_back_to_after_its_recording_was_folded_again(house: House) -> None:
    [walk] = house.noted("walk.m4a")
    again.want_again(house.ledger, "note", [walk.key])
    house.diary.write([walk], prompt_version="offline-4")
    house.publisher.publish()
    with house.ledger.reading() as conn:
        before = [(v.stage, v.version, v.transcript) for v in versions.kept(conn, walk.key)]
    house.tamper("DELETE FROM data.notes")
    house.look()
    with house.ledger.reading() as conn:
        after = [(v.stage, v.version, v.transcript) for v in versions.kept(conn, walk.key)]
    assert sorted(after) == sorted(before)
    assert len([v for v in before if v[0] == "note"]) == 2
