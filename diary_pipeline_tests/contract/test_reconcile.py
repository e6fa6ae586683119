"""Each way in which stores may come to differ, but for lost objects, planted, found and mended: on both databases."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from diary_pipeline.catalogue.read import transcripts_of
from diary_pipeline.core.seal import Seal
from diary_pipeline.ledger import again, jobs, recordings, versions
from diary_pipeline.ledger import submissions as handed_in
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.identity import note_restored
from diary_pipeline.ledger.pointers import pointer
from diary_pipeline.ledger.quarantine_ends import drop
from diary_pipeline.ledger.tables import history, replaced_objects, submissions
from diary_pipeline.ledger.tombstones import AUDIO_ERASED
from diary_pipeline.storage.keys import UPLOAD_PARTS, audio_key, upload_key
from diary_pipeline.upkeep.reconcile import ORPHAN_AGE_S, Reconciled
from diary_pipeline_tests.builders import make_recording
from diary_pipeline_tests.contract.test_ledger_jobs import make_job
from diary_pipeline_tests.contract.test_merged_log import store_in_which
from diary_pipeline_tests.contract.test_rewritten_log import hide, known_objects
from diary_pipeline_tests.diaries import Diary, transcript_for
from diary_pipeline_tests.reconciling import LONG_AGO, House, make_old


@pytest.fixture
def house(ledger: Ledger, tmp_path: Path) -> House:
    """A diary nobody has begun yet."""
    return House(ledger, tmp_path)


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


def test_uploads_that_nobody_needs_go_after_a_day(house: House) -> None:
    house.noted("walk.m4a")
    ids = ("waits", "refused", "refused_long", "dropped", "erased", "cancelled", "hopeless", "stranger", "young")
    jobs.open_jobs(house.ledger, [make_job(id, uri=f"upload:{id}") for id in ids if id != "stranger"])
    for id in ("refused", "refused_long", "dropped"):
        handed_in.refuse(house.ledger, id, "audio_too_short", "It is short.")
    handed_in.refuse(house.ledger, "erased", AUDIO_ERASED, "It was erased.")
    handed_in.refuse(house.ledger, "hopeless", "audio_empty", "It holds no audio.")
    drop(house.ledger, ["dropped"], "anna")
    with house.ledger.writing() as tx:
        tx.execute(submissions.update().where(submissions.c.id == "refused_long").values(ended_at=LONG_AGO))
    jobs.cancel_or_remove(house.ledger, Seal("of this test"), "cancelled")
    keys = [upload_key(id) for id in ids]
    parts = [f"{UPLOAD_PARTS}{id}" for id in ("unheard_of", "refused")]
    for key in [*keys, *(f"{part}/{n}" for part in parts for n in range(2))]:
        house.store.put(key, b"sound")
        if "young" not in key:
            make_old(house.store, key)
    kept = [upload_key(id) for id in ("waits", "refused", "young")] + parts[1:]
    expected = {("orphan_upload", key, "to_mend") for key in [*keys, *parts] if key not in kept}
    assert set(house.found(dry_run=True)) == expected
    assert all(map(house.store.exists, [*keys, *parts]))
    assert set(house.found(months=1)) == {(kind, key, "mended") for kind, key, _ in expected}
    assert [key for key in [*keys, *parts] if house.store.exists(key)] == kept
    assert house.found() == []
    assert house.found(refused_kept_s=-1) == [("orphan_upload", upload_key("refused"), "mended")]
    assert not house.store.exists(parts[1]), "all that is of it goes together"


def test_uploads_that_are_left_after_a_restore_keep_no_known_one_from_its_turn(house: House) -> None:
    house.noted("walk.m4a")
    jobs.open_jobs(house.ledger, [make_job("cancelled", uri="upload:cancelled")])
    jobs.cancel_or_remove(house.ledger, Seal("of this test"), "cancelled")
    keys = [upload_key(id) for id in ("a_stranger", "b_stranger", "cancelled")]
    for key in keys:
        house.store.put(key, b"sound")
        make_old(house.store, key)
    note_restored(house.ledger)
    assert house.found(limit=1) == [("orphan_upload", keys[0], "left"), ("orphan_upload", keys[2], "mended")]
    assert [house.store.exists(key) for key in keys] == [True, True, False]


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
