"""Submissions become recordings once, whatever races; on both databases."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from diary_pipeline.core.batch import Stage
from diary_pipeline.core.errors import NotFound, UsageError
from diary_pipeline.ledger import recordings, submissions
from diary_pipeline.ledger.commits import Change, record
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.recordings import Accepted
from diary_pipeline.ledger.statements import now
from diary_pipeline.ledger.tables import pointers, work
from diary_pipeline.ledger.tables import recordings as table
from diary_pipeline_tests.builders import make_recording
from diary_pipeline_tests.contract.batch_work import claim_keys, commit, plan, status, works
from diary_pipeline_tests.contract.test_ledger_submissions import read, submit


def work_of(ledger: Ledger, key: str) -> sa.Row[tuple[object, ...]]:
    """Return the transcript work of a recording."""
    with ledger.reading() as conn:
        return conn.execute(sa.select(work).where(work.c.recording_key == key, work.c.stage == "transcript")).one()


def there(ledger: Ledger) -> int:
    """Count the recordings."""
    with ledger.reading() as conn:
        return conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def end(ledger: Ledger, key: str, status: str, **why: str) -> None:
    """Let a recording have ended with commit 7."""
    with ledger.writing() as tx:
        tx.execute(table.update().where(table.c.key == key).values(status=status, ended_at=now(tx), **why))
        tx.execute(work.update().where(work.c.recording_key == key).values(state="done", epoch=3))
        row = {"subject": key, "kind": "outcome", "owner": "me", "version": status, "object_id": "o", "seq": 7}
        tx.execute(pointers.insert().values(**row))


def test_an_accepted_recording_comes_back_as_it_was_with_work_to_do(ledger: Ledger) -> None:
    id = submit(ledger)
    recording = make_recording(title="Walk", tags=("a", "b"), language="en", submission_id=id)
    assert recordings.accept(ledger, id, recording, 2, 61.5) == Accepted(recording.key, False, True)
    with ledger.reading() as conn:
        assert recordings.get(conn, recording.key) == recording
        assert recordings.find(conn, "me", recording.content_sha256) == recording
        assert recordings.find(conn, "you", recording.content_sha256) is None
        (row,) = recordings.rows(conn, ["nobody", recording.key])
        assert recordings.known(conn, ["nobody", recording.key]) == {recording.key}
    assert there(ledger) == 1
    assert (row.recording, row.status, row.failed_stage, row.reason_code) == (recording, "pending", None, None)
    todo = work_of(ledger, recording.key)
    assert (todo.state, todo.model, todo.priority, todo.audio_s, todo.epoch) == ("ready", "tiny.en", 2, 61.5, 0)
    assert (read(ledger, id).recording_key, read(ledger, id).status) == (recording.key, "pending")


def test_accepting_again_gives_the_same_answer(ledger: Ledger) -> None:
    id, recording = submit(ledger), make_recording()
    recordings.accept(ledger, id, recording, 1, 60)
    assert recordings.accept(ledger, id, recording, 1, 60) == Accepted(recording.key, False, False)
    assert recordings.accept(ledger, id, make_recording(file_name="x.m4a"), 1, 60).key == recording.key
    assert there(ledger) == 1


def test_the_same_audio_under_another_name_is_a_duplicate_and_of_another_owner_is_not(ledger: Ledger) -> None:
    first = make_recording()
    recordings.accept(ledger, submit(ledger), first, 1, 60)
    again = make_recording(file_name="copy.m4a", content_sha256=first.content_sha256)
    second = submit(ledger)
    assert recordings.accept(ledger, second, again, 1, 60) == Accepted(first.key, True, False)
    assert (read(ledger, second).recording_key, read(ledger, second).duplicate) == (first.key, True)
    theirs = make_recording(owner="you", content_sha256=first.content_sha256)
    assert recordings.accept(ledger, submit(ledger, owner="you"), theirs, 1, 60).duplicate is False


def test_an_urgent_duplicate_raises_the_priority_of_work_that_waits_and_a_low_one_does_not_lower_it(
    ledger: Ledger,
) -> None:
    recording = make_recording()
    for priority, after in ((1, 1), (3, 3), (0, 3)):
        recordings.accept(ledger, submit(ledger), recording, priority, 60)
        assert work_of(ledger, recording.key).priority == after


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("completed", {}),
        ("completed", {"reason_code": "audio_no_speech"}),
        ("degraded", {}),
        (
            "failed",
            {"reason_code": "audio_truncated", "message": "The end is not there.", "failed_stage": "transcript"},
        ),
    ],
)
def test_a_duplicate_of_an_ended_recording_ends_at_once_the_same_way(
    ledger: Ledger, how: str, why: dict[str, str]
) -> None:
    recording = make_recording()
    recordings.accept(ledger, submit(ledger), recording, 1, 60)
    end(ledger, recording.key, how, **why)
    id = submit(ledger)
    assert recordings.accept(ledger, id, recording, 1, 60) == Accepted(recording.key, True, False)
    got = read(ledger, id)
    assert (got.status, got.reason_code, got.message) == (how, why.get("reason_code"), why.get("message"))
    assert got.commit_seq == 7
    assert got.ended_at is not None


@pytest.mark.parametrize(
    "change",
    [{"whisper_model": "small"}, {"language": "de"}, {"vocabulary": ("Mika", "Anna")}, {"vocabulary": ("Anna",)}],
)
def test_another_model_language_or_vocabulary_is_wanted_from_now_on_and_fences_who_works_with_the_old(
    ledger: Ledger, change: dict[str, Any]
) -> None:
    recording = make_recording(vocabulary=("Mika",))
    recordings.accept(ledger, submit(ledger), recording, 1, 60)
    end(ledger, recording.key, "failed", reason_code="audio_truncated", failed_stage="transcript")
    id = submit(ledger)
    with ledger.reading() as conn:
        wanted = replace(recordings.get(conn, recording.key), **change)
    assert recordings.accept(ledger, id, wanted, 2, 60) == Accepted(recording.key, True, True)
    with ledger.reading() as conn:
        (row,) = recordings.rows(conn, [recording.key])
    assert (row.recording, row.status, row.reason_code, row.failed_stage) == (wanted, "pending", None, None)
    todo = work_of(ledger, recording.key)
    assert (todo.state, todo.model, todo.epoch, todo.priority) == ("ready", wanted.whisper_model, 4, 2)
    assert (read(ledger, id).status, read(ledger, id).ended_at) == ("pending", None)


@pytest.mark.parametrize(
    ("stage", "code", "source", "after"),
    [
        ("transcript", "internal_error", "cli", "pending"),
        ("transcript", "worker_lost", "graphql", "pending"),
        ("note", "note_unsupported", "cli", "generating_notes"),
        ("transcript", "internal_error", "folder", None),
        ("transcript", "internal_error", "bucket", None),
        ("transcript", "audio_truncated", "cli", None),
        ("transcript", "audio_unreadable", "cli", None),
    ],
)
def test_what_failed_is_tried_anew_when_somebody_asks_again_and_it_could_help(
    ledger: Ledger, stage: Stage, code: str, source: str, after: str | None
) -> None:
    id, recording = submit(ledger), make_recording()
    recordings.accept(ledger, id, recording, 1, 60)
    if stage == "note":
        commit(ledger, claim_keys(ledger, [recording.key]))
    batch = claim_keys(ledger, [recording.key], stage=stage)
    failed = Change(recording.key, batch.leases[0].epoch, "failed", None, code, "why")
    record(ledger, kind=stage, object_id="o", size_bytes=1, changes=[failed])
    again = submit(ledger, source=source)
    assert recordings.accept(ledger, again, recording, 2, 60) == Accepted(recording.key, True, after is not None)
    assert (read(ledger, again).status, status(ledger, recording.key)) == ((after or "failed",) * 2)
    assert read(ledger, id).status == "failed"
    todo = works(ledger, stage)[recording.key]
    assert (todo.state, todo.attempts) == (("ready", 0) if after else ("failed", 1))
    if after:
        assert (todo.priority, todo.reason_code) == (2, None)
        assert plan(ledger, stage=stage)


def test_a_model_that_failed_is_tried_again_although_an_older_transcript_stands(ledger: Ledger) -> None:
    recording = make_recording()
    recordings.accept(ledger, submit(ledger), recording, 1, 60)
    commit(ledger, claim_keys(ledger, [recording.key]))
    wanted = replace(recording, whisper_model="small")
    recordings.accept(ledger, submit(ledger), wanted, 1, 60)
    batch = claim_keys(ledger, [recording.key])
    failed = Change(recording.key, batch.leases[0].epoch, "failed", None, "internal_error", "why")
    assert record(ledger, kind="transcript", object_id="o", size_bytes=1, changes=[failed]).kept
    assert recordings.accept(ledger, submit(ledger), wanted, 1, 60).new_work
    assert works(ledger)[recording.key].state == "ready"


def test_submissions_that_are_not_there_or_have_ended_cannot_be_accepted(ledger: Ledger) -> None:
    with pytest.raises(NotFound, match="submit the file again"):
        recordings.accept(ledger, "nobody", make_recording(), 1, 60)
    id = submit(ledger)
    submissions.refuse(ledger, id, "audio_empty", "Nothing in it.")
    with pytest.raises(UsageError, match="is refused"):
        recordings.accept(ledger, id, make_recording(), 1, 60)
    assert there(ledger) == 0
    with ledger.reading() as conn, pytest.raises(NotFound, match="no recording nobody"):
        recordings.get(conn, "nobody")


def test_eight_threads_that_accept_the_same_audio_make_one_recording(ledger: Ledger) -> None:
    recording = make_recording()
    ids = [submit(ledger) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda id: recordings.accept(ledger, id, recording, 1, 60), ids))
    assert {a.key for a in said} == {recording.key}
    assert sorted(a.duplicate for a in said) == [False] + [True] * 7
    assert sum(a.new_work for a in said) == 1
    with ledger.reading() as conn:
        assert [s.recording_key for s in submissions.get(conn, ids)] == [recording.key] * 8
    assert there(ledger) == 1


def test_eight_threads_that_accept_one_submission_agree(ledger: Ledger) -> None:
    id = submit(ledger)
    different = [make_recording(file_name=f"{n}.m4a") for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda r: recordings.accept(ledger, id, r, 1, 60), different))
    assert {a.key for a in said} == {read(ledger, id).recording_key}
    assert sum(a.new_work for a in said) == 1
    assert there(ledger) == 1


def test_an_owner_s_own_backlog_lies_behind_the_turn_of_somebody_who_comes_later(ledger: Ledger) -> None:
    turns = []
    for n in range(3):
        mine = make_recording(file_name=f"{n}.m4a")
        recordings.accept(ledger, submit(ledger), mine, 1, 600)
        turns.append(work_of(ledger, mine.key).turn_at)
    assert turns == [pytest.approx(turns[0] + 600 * n) for n in range(3)]
    theirs = make_recording(owner="you")
    recordings.accept(ledger, submit(ledger, owner="you"), theirs, 1, 600)
    assert turns[0] <= work_of(ledger, theirs.key).turn_at < turns[1]


def test_the_last_accepted_come_first(ledger: Ledger) -> None:
    for n in range(3):
        recordings.accept(ledger, submit(ledger), make_recording(file_name=f"{n}.m4a"), 1, 60)
    with ledger.reading() as conn:
        assert [r.recording.file_name for r in recordings.page(conn, limit=2)] == ["2.m4a", "1.m4a"]
