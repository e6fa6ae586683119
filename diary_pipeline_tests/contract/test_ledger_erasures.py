"""What an erasure does in the ledger, on SQLite and on PostgreSQL."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from diary_pipeline.catalogue.commit import commit_refusals
from diary_pipeline.core.errors import NotFound, ServiceMissing, UsageError
from diary_pipeline.core.seal import Seal
from diary_pipeline.ledger import api_keys as keys
from diary_pipeline.ledger import batches, erasures, hiding, submissions, tombstones
from diary_pipeline.ledger.clock import clock_now
from diary_pipeline.ledger.commits import Change, record
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.planner import PlanLimits
from diary_pipeline.ledger.pointers import pointers_since
from diary_pipeline.ledger.tables import batches as batch_table
from diary_pipeline.ledger.tables import erasure_subjects, llm_holds, llm_spent, metadata, seen_files
from diary_pipeline.ledger.tables import tombstones as stones
from diary_pipeline.ledger.tables_jobs import api_keys, idempotency_keys, jobs, outbox, source_cursors
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.diaries import Diary

SEAL = Seal("of this test")


@pytest.fixture
def diary(ledger: Ledger, tmp_path: Path) -> Diary:
    """A diary nobody has begun yet."""
    return Diary(ledger, FolderStore(tmp_path / "objects"))


def every_value(ledger: Ledger) -> str:
    """Return all that the ledger holds, as one text."""
    with ledger.reading() as conn:
        return "\n".join(
            f"{table.name}: {tuple(row)}" for table in metadata.sorted_tables for row in conn.execute(sa.select(table))
        )


def test_every_table_is_cleared_by_an_erasure_or_says_why_it_need_not_be() -> None:
    columns = (*hiding.AT_ONCE, *hiding.AT_LAST, *hiding.OF_OWNERS, *hiding.OF_OWNERS_AT_ONCE)
    cleared = {c.table.name for c in columns} | {"llm_spent"}
    assert {t.name for t in metadata.sorted_tables} == cleared | set(hiding.KEPT)
    assert not cleared & set(hiding.KEPT)


def test_what_is_hidden_is_told_to_nobody_and_moves_its_pointers_in_one_tick(diary: Diary) -> None:
    gone, stays = diary.accept("Secret trip.m4a", "walk.m4a")
    diary.transcribe([gone, stays])
    diary.write([gone, stays])
    erasure = erasures.hide(diary.ledger, SEAL, "recording", gone.key)
    with diary.ledger.reading() as conn:
        assert clock_now(conn) == erasure.hidden_seq == erasures.last_hidden_seq(conn) == 3
        assert erasures.last_removed_seq(conn) == 0
        moved = pointers_since(conn, 2)
        assert {(p.subject, p.object_id, p.version) for p in moved} == {(gone.key, None, None)}
        assert {p.kind for p in moved} == {"transcript", "note", "outcome"}
        assert submissions.get(conn, [gone.submission_id, stays.submission_id])[0].id == stays.submission_id
    assert erasure.found["ledger"] | {"recordings": 1, "submissions": 1, "work": 2} == erasure.found["ledger"]
    assert erasures.hide(diary.ledger, SEAL, "recording", gone.key) == erasure, "asked again, it is the same"


def test_when_it_is_finished_no_row_of_any_table_names_it(diary: Diary) -> None:
    gone, stays = diary.accept("Secret trip.m4a", "walk.m4a")
    diary.transcribe([gone, stays])
    erasure = erasures.hide(diary.ledger, SEAL, "recording", gone.key)
    erasures.clear(diary.ledger, erasure.id)
    erasures.finish(diary.ledger, erasure.id, {"signed": True}, erasure.hidden_at + 1)
    told = every_value(diary.ledger)
    for word in (gone.key, "Secret trip", gone.content_sha256, gone.submission_id):
        assert word not in told
    assert stays.key in told
    with diary.ledger.reading() as conn:
        assert erasures.unfinished(conn) == []
        assert [e.receipt for e in erasures.finished(conn, 9)] == [{"signed": True}]
        assert erasures.last_removed_seq(conn) == erasure.hidden_seq
    with pytest.raises(NotFound):
        erasures.hide(diary.ledger, SEAL, "recording", gone.key)


def test_a_person_goes_with_refused_and_waiting_submissions_files_seen_and_money_spent(diary: Diary) -> None:
    [mine] = diary.accept("mine.m4a", owner="me")
    [hers] = diary.accept("hers.m4a", owner="anna")
    diary.transcribe([mine, hers])
    refused = diary.refuse("broken.m4a")
    diary.submit("waiting.m4a")
    submissions.remember(diary.ledger, "me", "/memos/mine.m4a", 1, 1, mine.submission_id)
    with diary.ledger.writing() as tx:
        for owner in ("me", "anna"):
            tx.execute(llm_spent.insert().values(subject=f"owner/2026-11-27/{owner}", usd=1.0))
            hold = {"id": owner, "owner": owner, "day": "2026-11-27", "run": "r", "usd": 1.0, "expires_at": 0.0}
            tx.execute(llm_holds.insert().values(**hold))
    erasure = erasures.hide(diary.ledger, SEAL, "user", "me")
    with diary.ledger.reading() as conn:
        subjects = {s.subject for s in erasures.subjects_of(conn, erasure.id)}
    assert {mine.key, refused, ""} < subjects
    erasures.clear(diary.ledger, erasure.id)
    told = every_value(diary.ledger)
    for word in (mine.key, refused, "'me'", "/me'", "waiting.m4a", "broken.m4a"):
        assert word not in told, word
    assert hers.key in told
    assert "owner/2026-11-27/anna" in told


def said_of_jobs(ledger: Ledger, owner: str, *submission_ids: str) -> None:
    """Let an application have said something of each submission, and have been told of it."""
    with ledger.writing() as tx:
        for n, id in enumerate(submission_ids):
            tx.execute(jobs.insert().values(submission_id=id, said={"of": f"said-{owner}"}, callback_url="https://x"))
            told = {"submission_id": id, "event": "job.completed", "url": f"https://told-{owner}.example", "body": {}}
            tx.execute(outbox.insert().values(**told, host="x", created_at=1.0, next_at=1.0, attempts=0))
            key = {"owner": owner, "key": f"key-{owner}-{n}", "request_sha256": "x", "submission_id": id}
            tx.execute(idempotency_keys.insert().values(**key, created_at=1.0))
        secret = {"id": f"dk-{owner}", "secret_sha256": "x", "owner": owner, "name": f"phone of {owner}"}
        tx.execute(api_keys.insert().values(**secret, scopes=["read"], created_at=1.0))


def test_what_applications_said_of_a_recording_goes_at_once_whichever_of_its_jobs_said_it(diary: Diary) -> None:
    [gone] = diary.accept("gone.m4a")
    [again] = diary.accept("gone.m4a", content_sha256=gone.content_sha256)
    [stays] = diary.accept("stays.m4a", owner="anna")
    said_of_jobs(diary.ledger, "me", gone.submission_id, again.submission_id)
    said_of_jobs(diary.ledger, "anna", stays.submission_id)
    erasure = erasures.hide(diary.ledger, SEAL, "recording", gone.key)
    told = every_value(diary.ledger)
    for word in ("said-me", "told-me", "key-me", again.submission_id):
        assert word not in told, word
    assert told.count("-anna") == 4, "what somebody else said stays"
    assert "dk-me" in told, "a recording is not its owner"
    assert {t: erasure.found["ledger"][t] for t in ("jobs", "outbox", "idempotency_keys")} == {
        "jobs": 2,
        "outbox": 2,
        "idempotency_keys": 2,
    }


def test_a_person_who_is_erased_is_locked_out_at_once_and_one_of_that_name_may_come_again(diary: Diary) -> None:
    [memo] = diary.accept("mine.m4a")
    refused = diary.refuse("broken.m4a")
    said_of_jobs(diary.ledger, "me", memo.submission_id, refused)
    said_of_jobs(diary.ledger, "anna")
    with diary.ledger.writing() as tx:
        tx.execute(source_cursors.insert().values(source="gs://memos", cursor="me/trip.m4a", moved_at=1.0))
    erasure = erasures.hide(diary.ledger, SEAL, "user", "me")
    with diary.ledger.writing() as tx:
        assert list(tx.execute(sa.select(api_keys.c.id)).scalars()) == ["dk-anna"]
        assert tx.execute(sa.select(source_cursors)).all() == []
        tx.execute(api_keys.update().values(id="dk-new", owner="me"))
    erasures.clear(diary.ledger, erasure.id)
    told = every_value(diary.ledger)
    for word in ("said-me", "told-me", "key-me", "dk-me", refused):
        assert word not in told, word
    assert "dk-new" in told


def test_the_keys_of_a_person_without_recordings_go_with_them(diary: Diary) -> None:
    api_key, _ = keys.create(diary.ledger, name="phone", scopes=["read"], owner="bob")
    erasure = erasures.hide(diary.ledger, SEAL, "user", "bob")
    assert erasure.found == {"ledger": {"api_keys": 1}}
    assert erasures.hide(diary.ledger, SEAL, "user", "bob").id == erasure.id
    erasures.clear(diary.ledger, erasure.id)
    assert api_key not in every_value(diary.ledger)


def test_an_unfinished_recording_is_never_worked_on_again_and_its_worker_is_waited_for(diary: Diary) -> None:
    gone, stays = diary.accept("gone.m4a", "stays.m4a")
    batch = diary.claim("transcript", [gone, stays], holder="run-1")
    erasure = erasures.hide(diary.ledger, SEAL, "recording", gone.key)
    assert erasure.waits_for == ["run-1"]
    assert erasure.hidden_seq == 0, "nothing of it was ever committed"
    with diary.ledger.reading() as conn:
        assert erasures.at_work(conn, erasure) == ["run-1"]
    epoch = {x.key: x.epoch for x in batch.leases}
    changes = [Change(r.key, epoch[r.key], "generating_notes", "t1") for r in (gone, stays)]
    assert record(diary.ledger, kind="transcript", object_id="o", size_bytes=1, changes=changes).fenced == (gone.key,)
    rest = record(diary.ledger, kind="transcript", object_id="o", size_bytes=1, changes=changes[1:])
    assert rest.committed == (stays.key,)
    with diary.ledger.reading() as conn:
        assert conn.execute(sa.select(batch_table.c.state)).scalars().all() == ["closed"]


def test_a_run_that_has_committed_and_not_told_dagster_yet_is_waited_for(diary: Diary) -> None:
    gone, stays = diary.accept("gone.m4a", "stays.m4a")
    batch = diary.claim("transcript", [gone, stays], holder="run-1")
    diary.transcribe([gone, stays], batch=batch)
    erasure = erasures.hide(diary.ledger, SEAL, "recording", gone.key)
    assert erasure.waits_for == ["run-1"]
    batches.mark_reported(diary.ledger, batch.id)
    assert erasures.hide(diary.ledger, SEAL, "recording", stays.key).waits_for == []


def test_a_batch_that_carried_nothing_else_closes_and_owes_dagster_nothing(diary: Diary) -> None:
    [gone] = diary.accept("gone.m4a")
    batches.plan_waiting(diary.ledger, "transcript", PlanLimits(100, 10, 2))
    erasures.hide(diary.ledger, SEAL, "recording", gone.key)
    with diary.ledger.reading() as conn:
        [row] = conn.execute(sa.select(batch_table)).all()
        assert (row.state, row.reported_at is not None) == ("closed", True)
        assert batches.unreported(conn, "transcript") == []


def test_a_refused_submission_is_erased_by_its_id(diary: Diary) -> None:
    refused = diary.refuse("broken.m4a")
    erasure = erasures.hide(diary.ledger, SEAL, "recording", refused)
    assert erasure.hidden_seq == 2
    erasures.clear(diary.ledger, erasure.id)
    assert "broken.m4a" not in every_value(diary.ledger)


def test_several_submissions_of_one_recording_go_together(diary: Diary) -> None:
    [first] = diary.accept("walk.m4a")
    [again] = diary.accept("Copy of walk.m4a", content_sha256=first.content_sha256)
    submissions.remember(diary.ledger, "me", "/memos/Copy of walk.m4a", 1, 1, again.submission_id)
    erasure = erasures.hide(diary.ledger, SEAL, "recording", first.key)
    with diary.ledger.reading() as conn:
        assert conn.execute(sa.select(seen_files)).all() == []
        [about] = erasures.subjects_of(conn, erasure.id)
    assert set(about.names) == {"walk.m4a", "/memos/walk.m4a", "Copy of walk.m4a", "/memos/Copy of walk.m4a"}


def test_a_tombstone_is_of_one_owner_and_can_be_forgotten(diary: Diary) -> None:
    [gone] = diary.accept("walk.m4a")
    erasure = erasures.hide(diary.ledger, SEAL, "recording", gone.key)
    with diary.ledger.reading() as conn:
        assert tombstones.stands(conn, SEAL, "me", gone.content_sha256)
        assert not tombstones.stands(conn, SEAL, "anna", gone.content_sha256)
        with pytest.raises(ServiceMissing, match="DIARY_ERASURE_KEY"):
            tombstones.stands(conn, Seal("another"), "me", gone.content_sha256)
    with pytest.raises(UsageError, match="not finished"):
        tombstones.allow(diary.ledger, SEAL, "me", gone.content_sha256)
    erasures.clear(diary.ledger, erasure.id)
    erasures.finish(diary.ledger, erasure.id, {}, 1.0)
    assert tombstones.allow(diary.ledger, SEAL, "me", gone.content_sha256)
    assert not tombstones.allow(diary.ledger, SEAL, "me", gone.content_sha256)


def test_a_refused_file_that_is_handed_in_again_meanwhile_is_left_alone(diary: Diary) -> None:
    refused = diary.refuse("broken.m4a")
    erasure = erasures.hide(diary.ledger, SEAL, "recording", refused)
    submissions.submit(diary.ledger, owner="me", source="folder", uri="/memos/x", file_name="x", options={}, id=refused)
    erasures.clear(diary.ledger, erasure.id)
    with diary.ledger.reading() as conn:
        assert [s.id for s in submissions.get(conn, [refused])] == [refused]
        assert erasures.subjects_of(conn, erasure.id) == []


@pytest.mark.parametrize("finished_first", [True, False])
def test_an_erased_refusal_whose_file_still_lies_there_is_refused_and_committed_again(
    diary: Diary, finished_first: bool
) -> None:
    refused = diary.refuse("broken.m4a")
    erasure = erasures.hide(diary.ledger, SEAL, "recording", refused)
    submissions.submit(diary.ledger, owner="me", source="folder", uri="/memos/x", file_name="x", options={}, id=refused)
    submissions.refuse(diary.ledger, refused, "audio_empty", "x holds no audio; record it again.")
    if finished_first:
        erasures.finish(diary.ledger, erasure.id, {}, erasure.hidden_at)
        with diary.ledger.reading() as conn:
            assert pointers_since(conn, 0) == [], "what was hidden is gone, though the submission is another now"
            assert conn.execute(sa.select(erasure_subjects)).all() == []
    seq = commit_refusals(diary.ledger, diary.store, [refused])
    erasures.clear(diary.ledger, erasure.id)
    with diary.ledger.reading() as conn:
        assert [(p.subject, p.version, p.seq) for p in pointers_since(conn, 0)] == [(refused, "refused", seq)]


def test_what_was_handed_in_anew_and_erased_again_is_left_to_the_second_erasure(diary: Diary) -> None:
    refused = diary.refuse("broken.m4a")
    first = erasures.hide(diary.ledger, SEAL, "recording", refused)
    submissions.submit(diary.ledger, owner="me", source="folder", uri="/memos/x", file_name="x", options={}, id=refused)
    submissions.refuse(diary.ledger, refused, "audio_empty", "x holds no audio; record it again.")
    assert commit_refusals(diary.ledger, diary.store, [refused])
    second = erasures.hide(diary.ledger, SEAL, "recording", refused)
    erasures.finish(diary.ledger, first.id, {}, first.hidden_at)
    with diary.ledger.reading() as conn:
        assert [(p.object_id, p.seq) for p in pointers_since(conn, 0)] == [(None, second.hidden_seq)]
        assert [s.subject for s in erasures.subjects_of(conn, second.id)] == [refused]


def test_a_person_with_many_recordings_is_hidden_in_few_statements(diary: Diary) -> None:
    diary.accept(*(f"{n}.m4a" for n in range(40)))
    said: list[str] = []
    sa.event.listen(diary.ledger.engine, "before_cursor_execute", lambda *event: said.append(str(event[2])))
    erasures.hide(diary.ledger, SEAL, "user", "me")
    for table in ("erasure_subjects", "tombstones"):
        assert len([s for s in said if s.startswith(f"INSERT INTO {table}")]) == 1, table
    with diary.ledger.reading() as conn:
        counts = [conn.execute(sa.select(sa.func.count()).select_from(t)).scalar() for t in (erasure_subjects, stones)]
    assert counts == [41, 40]


def test_the_first_count_of_a_store_stands(diary: Diary) -> None:
    [gone] = diary.accept("walk.m4a")
    erasure = erasures.hide(diary.ledger, SEAL, "recording", gone.key)
    erasures.note_found(diary.ledger, [erasure.id], {"store": {"audio": 1}})
    erasures.note_found(diary.ledger, [erasure.id], {"store": {"audio": 0}, "ledger": {}})
    with diary.ledger.reading() as conn:
        found = erasures.get(conn, erasure.id)
        assert conn.execute(sa.select(erasure_subjects)).one().subject == gone.key
    assert found is not None
    assert found.found == {
        "ledger": erasure.found["ledger"],
        "store": {"audio": 1},
        erasures.TOGETHER: {"erasures": 1},
    }
