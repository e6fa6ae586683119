"""What a commit promises, on SQLite and on PostgreSQL."""

import threading
import uuid
from collections.abc import Sized
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from diary_pipeline.core.batch import Stage
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger import batches, submissions
from diary_pipeline.ledger.clock import clock_now
from diary_pipeline.ledger.commits import Change, Committed, record, record_refusals
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.pointers import pointer, pointers_of, pointers_since
from diary_pipeline.ledger.statements import CHUNK
from diary_pipeline.ledger.tables import batch_items, commits, history, recordings, work
from diary_pipeline.ledger.tables import batches as batch_table
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.diaries import Diary


@pytest.fixture
def diary(ledger: Ledger, tmp_path: Path) -> Diary:
    """A diary nobody has begun yet."""
    return Diary(ledger, FolderStore(tmp_path / "objects"))


def commit(ledger: Ledger, kind: Stage, changes: list[Change]) -> Committed:
    """Commit an object with a name of its own; the ledger never looks into objects."""
    return record(
        ledger, kind=kind, object_id=f"catalogue/202603/{kind}-{uuid.uuid4().hex}", size_bytes=1, changes=changes
    )


def transcribed(diary: Diary, some: list[Recording], version: str = "t1") -> Committed:
    """Commit a transcript of a version for each recording."""
    batch = diary.claim("transcript", some)
    return commit(
        diary.ledger, "transcript", [Change(x.key, x.epoch, "generating_notes", version) for x in batch.leases]
    )


def noted(
    diary: Diary, some: list[Recording], transcript: str = "t1", version: str = "n1", **changes: Any
) -> Committed:
    """Commit a note of a version for each recording."""
    batch = diary.claim("note", some)
    wanted = {"status": "completed", "requires": ("transcript", transcript), **changes}
    return commit(diary.ledger, "note", [Change(x.key, x.epoch, version=version, **wanted) for x in batch.leases])


def failed(diary: Diary, stage: Stage, some: list[Recording], code: str = "audio_truncated") -> Committed:
    """Commit that a stage went wrong."""
    batch = diary.claim(stage, some)
    return commit(diary.ledger, stage, [Change(x.key, x.epoch, "failed", None, code, "why") for x in batch.leases])


def row(ledger: Ledger, table: sa.Table, *where: sa.ColumnElement[bool]) -> Any:
    """Return the one row."""
    with ledger.reading() as conn:
        return conn.execute(sa.select(table).where(*where)).one()


def work_of(ledger: Ledger, key: str, stage: Stage) -> Any:
    """Return the work row of a recording."""
    return row(ledger, work, work.c.recording_key == key, work.c.stage == stage)


def shown(ledger: Ledger, key: str) -> tuple[Any, ...]:
    """Return what users are told about a recording."""
    found = row(ledger, recordings, recordings.c.key == key)
    return found.status, found.failed_stage, found.reason_code, found.ended_at is not None


def answer(ledger: Ledger, submission_id: str) -> tuple[Any, ...]:
    """Return what users are told about a submission."""
    with ledger.reading() as conn:
        [found] = submissions.get(conn, [submission_id])
    return found.status, found.reason_code, found.ended_at is not None, found.commit_seq


def at(ledger: Ledger, key: str, kind: Any) -> tuple[Any, ...] | None:
    """Return version and seq of a pointer."""
    with ledger.reading() as conn:
        found = pointer(conn, key, kind)
    return (found.version, found.seq) if found else None


def test_a_transcript_moves_its_pointer_and_makes_the_note_ready(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    assert transcribed(diary, [memo]) == Committed(1, (memo.key,))
    done, ready = work_of(diary.ledger, memo.key, "transcript"), work_of(diary.ledger, memo.key, "note")
    assert (done.state, done.holder, done.expires_at) == ("done", None, None)
    assert (ready.state, ready.epoch, ready.model, ready.audio_s, ready.priority) == ("ready", 0, "", 60.0, 1)
    assert at(diary.ledger, memo.key, "transcript") == ("t1", 1)
    assert at(diary.ledger, memo.key, "outcome") is None, "it has not ended"
    assert shown(diary.ledger, memo.key) == ("generating_notes", None, None, False)
    assert answer(diary.ledger, memo.submission_id) == ("generating_notes", None, False, None)


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        ("completed", None, "completed"),
        ("degraded", None, "degraded"),
        ("completed", "audio_no_speech", "completed:audio_no_speech"),
    ],
)
def test_a_note_ends_its_recording_and_its_submissions(
    diary: Diary, status: str, code: str | None, outcome: str
) -> None:
    [memo] = diary.accept("memo.m4a")
    transcribed(diary, [memo])
    assert noted(diary, [memo], status=status, reason_code=code).seq == 2
    assert at(diary.ledger, memo.key, "note") == ("n1", 2)
    assert at(diary.ledger, memo.key, "outcome") == (outcome, 2)
    assert shown(diary.ledger, memo.key) == (status, None, code, True)
    assert answer(diary.ledger, memo.submission_id) == (status, code, True, 2)
    with diary.ledger.reading() as conn:
        objects = conn.execute(
            sa.select(history.c.kind, history.c.version, history.c.seq).order_by(history.c.seq)
        ).all()
        kinds = conn.execute(sa.select(commits.c.kind, commits.c.seq).order_by(commits.c.seq)).all()
    assert sorted(map(tuple, objects)) == sorted([("transcript", "t1", 1), ("note", "n1", 2), ("outcome", outcome, 2)])
    assert list(map(tuple, kinds)) == [("transcript", 1), ("note", 2)]


def test_good_and_bad_recordings_of_a_batch_are_told_apart_and_the_batch_closes(diary: Diary) -> None:
    good, bad = diary.accept("good.m4a", "bad.m4a")
    batch = diary.claim("transcript", [good, bad])
    epoch = {x.key: x.epoch for x in batch.leases}
    changes = [
        Change(good.key, epoch[good.key], "generating_notes", "t1"),
        Change(bad.key, epoch[bad.key], "failed", None, "audio_truncated", "why"),
    ]
    assert set(commit(diary.ledger, "transcript", changes).committed) == {good.key, bad.key}
    assert shown(diary.ledger, bad.key) == ("failed", "transcript", "audio_truncated", True)
    assert answer(diary.ledger, bad.submission_id) == ("failed", "audio_truncated", True, 1)
    assert work_of(diary.ledger, bad.key, "transcript").state == "failed"
    assert at(diary.ledger, bad.key, "transcript") is None
    assert at(diary.ledger, bad.key, "outcome") == ("failed:audio_truncated", 1)
    with diary.ledger.reading() as conn:
        items = conn.execute(sa.select(batch_items.c.recording_key, batch_items.c.outcome)).tuples().all()
    assert dict(items) == {good.key: "committed", bad.key: "failed"}
    closed = row(diary.ledger, batch_table, batch_table.c.id == batch.id)
    assert (closed.state, closed.closed_at is not None) == ("closed", True)


def test_a_worker_given_up_for_dead_cannot_commit_and_the_rest_goes_in_with_a_second_object(diary: Diary) -> None:
    mine, lost = diary.accept("mine.m4a", "lost.m4a")
    old = diary.claim("transcript", [mine, lost], lease_s=-1)
    diary.claim("transcript", [lost], holder="run-2")
    changes = [Change(x.key, x.epoch, "generating_notes", "t1") for x in old.leases]
    assert commit(diary.ledger, "transcript", changes) == Committed(0, fenced=(lost.key,))
    with diary.ledger.reading() as conn:
        assert clock_now(conn) == 0, "seq has no gaps"
        assert pointers_since(conn, 0) == []
    rest = [c for c in changes if c.key == mine.key]
    assert commit(diary.ledger, "transcript", rest) == Committed(1, (mine.key,))
    assert work_of(diary.ledger, lost.key, "transcript").holder == "run-2"


def test_unknown_work_is_fenced(diary: Diary) -> None:
    assert commit(diary.ledger, "note", [Change("nobody", 1, "completed", "n1")]).fenced == ("nobody",)


def test_no_batch_is_too_large_for_a_statement(diary: Diary) -> None:
    keys = [f"nobody {n}" for n in range(2 * CHUNK + 1)]
    sent: list[int] = []

    def note(_conn: object, _cursor: object, _statement: str, parameters: Sized, *_rest: object) -> None:
        sent.append(len(parameters))

    sa.event.listen(diary.ledger.engine, "before_cursor_execute", note)
    assert commit(diary.ledger, "note", [Change(key, 1, "completed", "n1") for key in keys]).fenced == tuple(keys)
    with diary.ledger.reading() as conn:
        assert pointers_of(conn, keys, "note") == {}
    assert CHUNK <= max(sent) <= CHUNK + 1


def test_nothing_to_commit_ticks_nothing(diary: Diary) -> None:
    assert commit(diary.ledger, "note", []) == Committed(0)


def test_the_same_version_again_changes_nothing_but_ends_the_work(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    transcribed(diary, [memo])
    noted(diary, [memo])
    assert transcribed(diary, [memo]) == Committed(0, already=(memo.key,))
    assert noted(diary, [memo]) == Committed(0, already=(memo.key,))
    for stage in ("transcript", "note"):
        done = work_of(diary.ledger, memo.key, stage)
        assert (done.state, done.holder, done.expires_at) == ("done", None, None)
    assert shown(diary.ledger, memo.key) == ("completed", None, None, True)
    assert at(diary.ledger, memo.key, "outcome") == ("completed", 2)
    with diary.ledger.reading() as conn:
        assert conn.execute(sa.select(sa.func.count()).where(batch_items.c.outcome.is_(None))).scalar() == 0
        assert {state for (state,) in conn.execute(sa.select(batch_table.c.state))} == {"closed"}


def test_finding_a_transcript_without_its_note_makes_the_note_ready_again(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    transcribed(diary, [memo])
    failed(diary, "note", [memo], "note_failed")
    assert shown(diary.ledger, memo.key) == ("failed", "note", "note_failed", True)
    assert transcribed(diary, [memo]).already == (memo.key,)
    assert work_of(diary.ledger, memo.key, "note").state == "ready"
    assert shown(diary.ledger, memo.key) == ("generating_notes", None, None, False)
    assert noted(diary, [memo]).committed == (memo.key,)
    assert answer(diary.ledger, memo.submission_id) == ("completed", None, True, 3), "the failure was put right"


def test_a_new_transcript_takes_the_note_away_from_whoever_writes_one(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    transcribed(diary, [memo])
    noted(diary, [memo])
    writing = diary.claim("note", [memo], holder="writer")
    transcribed(diary, [memo], "t2")
    assert shown(diary.ledger, memo.key) == ("generating_notes", None, None, False)
    assert at(diary.ledger, memo.key, "note") == ("n1", 2), "the older note stays visible"
    late = [Change(x.key, x.epoch, "completed", "n2", requires=("transcript", "t1")) for x in writing.leases]
    assert commit(diary.ledger, "note", late).fenced == (memo.key,)
    assert work_of(diary.ledger, memo.key, "note").state == "ready"
    assert row(diary.ledger, batch_table, batch_table.c.id == writing.id).state == "closed"
    assert noted(diary, [memo], "t2", "n3").committed == (memo.key,)


def test_a_note_of_another_transcript_is_dropped_and_planned_again(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    transcribed(diary, [memo], "t2")
    assert noted(diary, [memo], transcript="t1").stale == (memo.key,)
    assert at(diary.ledger, memo.key, "note") is None
    again = work_of(diary.ledger, memo.key, "note")
    assert (again.state, again.holder, again.expires_at, again.batch_id) == ("ready", None, None, None)
    with diary.ledger.reading() as conn:
        assert {state for (state,) in conn.execute(sa.select(batch_table.c.state))} == {"closed"}


@pytest.mark.parametrize("stage", ["transcript", "note"])
def test_a_failure_never_hides_what_is_good(diary: Diary, stage: Stage) -> None:
    [memo] = diary.accept("memo.m4a")
    transcribed(diary, [memo])
    noted(diary, [memo])
    assert failed(diary, stage, [memo], "model_missing") == Committed(0, kept=(memo.key,))
    assert shown(diary.ledger, memo.key) == ("completed", None, None, True)
    assert answer(diary.ledger, memo.submission_id) == ("completed", None, True, 2)
    done = work_of(diary.ledger, memo.key, stage)
    assert (done.state, done.reason_code) == ("done", "model_missing")
    with diary.ledger.reading() as conn:
        assert clock_now(conn) == 2
        outcomes = {outcome for (outcome,) in conn.execute(sa.select(batch_items.c.outcome))}
    assert outcomes == {"committed", "failed"}


def test_a_failed_repeat_while_the_note_is_on_its_way_leaves_it_on_its_way(diary: Diary) -> None:
    [memo] = diary.accept("memo.m4a")
    transcribed(diary, [memo])
    failed(diary, "transcript", [memo], "model_missing")
    assert work_of(diary.ledger, memo.key, "note").state == "ready"
    assert shown(diary.ledger, memo.key) == ("generating_notes", None, None, False)


def test_refusals_have_an_outcome_each_once(diary: Diary) -> None:
    ids = [diary.submit(name) for name in ("a.txt", "b.txt")]
    for i in ids:
        submissions.refuse(diary.ledger, i, "audio_unreadable", "why")
    assert record_refusals(diary.ledger, object_id="o1", size_bytes=1, submission_ids=ids) == 1
    assert record_refusals(diary.ledger, object_id="o2", size_bytes=1, submission_ids=ids[:1]) == 0, "committed already"
    assert record_refusals(diary.ledger, object_id="o3", size_bytes=1, submission_ids=["nobody"]) == 0
    assert answer(diary.ledger, ids[0]) == ("refused", "audio_unreadable", True, 1)
    with diary.ledger.reading() as conn:
        assert [(p.subject, p.kind, p.version, p.owner) for p in pointers_since(conn, 0)] == [
            (i, "outcome", "refused", "me") for i in sorted(ids)
        ]
        assert (clock_now(conn), pointers_since(conn, 1)) == (1, [])


def test_commits_at_once_leave_no_gap_and_no_deadlock(diary: Diary) -> None:
    some = diary.accept(*(f"memo {n}.m4a" for n in range(12)))
    seqs: list[int] = []

    def work_through(mine: list[Recording]) -> None:
        for memo in mine:
            seqs.append(transcribed(diary, [memo]).seq)
            seqs.append(noted(diary, [memo]).seq)

    threads = [threading.Thread(target=work_through, args=(some[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seqs) == list(range(1, 25))
    with diary.ledger.reading() as conn:
        assert clock_now(conn) == 24
        assert len(pointers_since(conn, 0)) == 36


def test_rivals_over_the_same_recordings_leave_one_truth_and_no_open_batch(diary: Diary) -> None:
    some = diary.accept(*(f"memo {n}.m4a" for n in range(5)))
    seqs: list[int] = []

    def snatch(name: str) -> None:
        for n in range(5):
            keys = [r.key for r in some]
            batch = batches.claim_keys(diary.ledger, "transcript", keys, name, -1)  # leases that anybody may take
            left = [Change(x.key, x.epoch, "generating_notes", f"{name}{n}") for x in batch.leases]
            while left:
                done = commit(diary.ledger, "transcript", left)
                seqs.extend([done.seq] * bool(done.seq))
                left = [c for c in left if c.key not in {*done.committed, *done.dropped}]
            batches.release(diary.ledger, batch)

    threads = [threading.Thread(target=snatch, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with diary.ledger.reading() as conn:
        assert sorted(seqs) == list(range(1, clock_now(conn) + 1))
        current = {p.subject: p.seq for p in pointers_since(conn, 0)}
        newest = sa.select(history.c.subject, sa.func.max(history.c.seq)).group_by(history.c.subject)
        assert current == dict(conn.execute(newest).tuples().all())
        assert {state for (state,) in conn.execute(sa.select(batch_table.c.state))} == {"closed"}
        held = sa.select(work.c.holder).where(work.c.holder.is_not(None))
        assert conn.execute(held).all() == []
    assert set(current) == {r.key for r in some}


def test_released_work_does_not_reopen_what_was_committed(diary: Diary) -> None:
    done, left = diary.accept("done.m4a", "left.m4a")
    batch = diary.claim("transcript", [done, left])
    [mine] = [x for x in batch.leases if x.key == done.key]
    commit(diary.ledger, "transcript", [Change(mine.key, mine.epoch, "generating_notes", "t1")])
    assert row(diary.ledger, batch_table, batch_table.c.id == batch.id).state == "claimed"
    batches.release(diary.ledger, batch)
    assert work_of(diary.ledger, done.key, "transcript").state == "done"
    assert work_of(diary.ledger, left.key, "transcript").state == "ready"
    assert row(diary.ledger, batch_table, batch_table.c.id == batch.id).state == "closed"
