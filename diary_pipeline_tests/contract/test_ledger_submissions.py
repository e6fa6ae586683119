"""What was submitted is waiting, accepted or refused; on both databases."""

import pytest

from diary_pipeline.core.errors import UsageError
from diary_pipeline.ledger import jobs, recordings, submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.jobs import NewJob
from diary_pipeline.ledger.tables import NOT_WHOLE
from diary_pipeline.ledger.tables import submissions as table
from diary_pipeline.ledger.turns import in_turn
from diary_pipeline_tests.builders import make_recording
from diary_pipeline_tests.contract.query_plans import plans


def submit(ledger: Ledger, name: str = "memo.m4a", **changes: str) -> str:
    """Submit a file of `me`."""
    options = {"whisper_model": "tiny.en", "tags": ["walk"]}
    said = {"owner": "me", "source": "cli", "uri": f"file:///memos/{name}", "file_name": name, **changes}
    return submissions.submit(ledger, options=options, **said)


def read(ledger: Ledger, id: str) -> submissions.Submission:
    """Return one submission."""
    with ledger.reading() as conn:
        return submissions.get(conn, [id])[0]


def test_a_submission_keeps_what_was_asked_for(ledger: Ledger) -> None:
    got = read(ledger, submit(ledger, priority="high"))
    assert (got.owner, got.source, got.uri, got.file_name) == ("me", "cli", "file:///memos/memo.m4a", "memo.m4a")
    assert got.options == {"whisper_model": "tiny.en", "tags": ["walk"]}
    assert (got.priority, got.status, got.recording_key, got.duplicate) == (2, "pending", None, False)
    assert got.created_at > 1.7e9
    assert got.ended_at is got.commit_seq is None


def test_submitting_again_under_the_same_id_changes_nothing(ledger: Ledger) -> None:
    first = submit(ledger, id="one")
    assert submit(ledger, "other.m4a", id="one") == first == "one"
    assert read(ledger, "one").file_name == "memo.m4a"


def test_an_unknown_priority_is_refused(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="urgent, high, medium, low"):
        submit(ledger, priority="now")


def test_many_ids_come_back_in_the_order_asked_for_without_the_unknown(ledger: Ledger) -> None:
    ids = [submit(ledger, f"{n}.m4a") for n in range(3)]
    asked = [ids[2], "nobody", ids[0], *(f"no-{n}" for n in range(1200)), ids[1], ids[2]]
    with ledger.reading() as conn:
        assert [s.id for s in submissions.get(conn, asked)] == [ids[2], ids[0], ids[1]]


def test_intake_gets_urgent_submissions_first_then_the_oldest(ledger: Ledger) -> None:
    low, first, second, urgent = (submit(ledger, f"{p}.m4a", priority=p) for p in ("low", "medium", "medium", "urgent"))
    with ledger.reading() as conn:
        assert [s.id for s in submissions.waiting(conn, 9)] == [urgent, first, second, low]
        assert [s.id for s in submissions.waiting(conn, 2)] == [urgent, first]


def test_what_has_waited_for_a_month_is_among_the_next(ledger: Ledger) -> None:
    old, *_ = [submit(ledger, priority="low"), *(submit(ledger, f"{n}.m4a") for n in range(5))]
    with ledger.writing() as tx:
        tx.execute(table.update().where(table.c.id == old).values(created_at=table.c.created_at - 30 * 86_400))
    with ledger.reading() as conn:
        assert submissions.waiting(conn, 2)[0].id == old


@pytest.mark.parametrize("far", [False, True])
def test_a_bucket_full_of_one_s_own_does_not_stand_before_what_others_bring(ledger: Ledger, far: bool) -> None:
    uri = "https://x/a.mp3" if far else "upload:1"
    bucket = [NewJob(f"bucket{n}", "anna", "bucket", uri, f"{n}.mp3", {}) for n in range(60)]
    jobs.open_jobs(ledger, bucket)
    ben = [jobs.open_jobs(ledger, [NewJob(f"ben{n}", "ben", "api", uri, "a.mp3", {})])[0].id for n in range(2)]
    with ledger.reading() as conn:
        found = submissions.waiting(conn, 10, far=far)
    assert [s.id for s in found if s.owner == "ben"] == ben[:2]
    assert ben[0] in [s.id for s in found[:2]]
    assert len(found) == 10, "the bucket has all the other turns"


def test_a_submission_that_waits_for_its_fetch_s_next_try_holds_up_nobody(ledger: Ledger) -> None:
    pausing, next_ = (submit(ledger, f"{n}.m4a", uri="https://x/a.mp3") for n in range(2))
    with ledger.writing() as tx:
        tx.execute(table.update().where(table.c.id == pausing).values(not_before=NOT_WHOLE - 1))
    with ledger.reading() as conn:
        assert [s.id for s in submissions.waiting(conn, 1, far=True)] == [next_]


def test_what_was_accepted_or_refused_waits_no_longer(ledger: Ledger) -> None:
    taken, refused, left = (submit(ledger, f"{n}.m4a") for n in range(3))
    recordings.accept(ledger, taken, make_recording(), 1, 60.0)
    submissions.refuse(ledger, refused, "audio_empty", "2.m4a holds no audio.")
    with ledger.reading() as conn:
        assert [s.id for s in submissions.waiting(conn, 9)] == [left]
        assert submissions.counts(conn) == {"pending": 2, "refused": 1}


def test_a_refusal_says_why_and_is_told_until_it_is_committed(ledger: Ledger) -> None:
    id = submit(ledger)
    submissions.refuse(ledger, id, "audio_empty", "memo.m4a holds no audio.")
    submissions.refuse(ledger, id, "audio_too_long", "said later")
    got = read(ledger, id)
    assert (got.status, got.reason_code, got.message) == ("refused", "audio_empty", "memo.m4a holds no audio.")
    assert got.ended_at is not None
    with ledger.reading() as conn:
        assert submissions.refused_uncommitted(conn, 9) == [id]
    with ledger.writing() as tx:
        tx.execute(table.update().values(commit_seq=1))
    with ledger.reading() as conn:
        assert submissions.refused_uncommitted(conn, 9) == []


def test_what_became_a_recording_cannot_be_refused(ledger: Ledger) -> None:
    id = submit(ledger)
    key = recordings.accept(ledger, id, make_recording(), 1, 60.0).key
    submissions.refuse(ledger, id, "audio_empty", "said too late")
    assert (read(ledger, id).status, read(ledger, id).recording_key) == ("pending", key)


def test_a_seen_file_is_remembered_for_its_owner_and_replaced_when_it_changes(ledger: Ledger) -> None:
    submissions.remember(ledger, "me", "/a", 10, 2**62, "s1")
    submissions.remember(ledger, "you", "/a", 11, 1, "s2")
    submissions.remember(ledger, "me", "/a", 12, 2**62 + 1, "s3")
    many = ["/a", *(f"/{n}" for n in range(1200))]
    with ledger.reading() as conn:
        assert submissions.seen(conn, "me", many) == {"/a": submissions.Seen(12, 2**62 + 1, "s3")}
        assert submissions.seen(conn, "me", []) == {}


def test_what_is_far_or_not_whole_lies_in_no_files_way(ledger: Ledger) -> None:
    far = [submit(ledger, uri=f"{scheme}://x/a.mp3", priority="urgent") for scheme in ("https", "gs")]
    upload, file = submit(ledger, uri="upload:1"), submit(ledger)
    half = submit(ledger, uri="upload:2", priority="urgent")
    with ledger.writing() as tx:
        tx.execute(table.update().where(table.c.id == half).values(not_before=NOT_WHOLE))
    with ledger.reading() as conn:
        assert [s.id for s in submissions.waiting(conn, 9)] == [upload, file]
        assert [s.id for s in submissions.waiting(conn, 9, far=True)] == far
    with ledger.writing() as tx:
        tx.execute(table.update().where(table.c.id == half).values(not_before=0.0))
    with ledger.reading() as conn:
        assert submissions.waiting(conn, 1)[0].id == half


_ROW: dict[str, object] = {"owner": "me", "uri": "upload:1", "priority": 1, "created_at": 0.0}


def test_the_queues_of_intake_are_read_from_their_indices(ledger: Ledger) -> None:
    jobs.open_jobs(ledger, [NewJob(f"b{n}", str(n), "api", "upload:1", "a.mp3", {}) for n in range(300)])
    with ledger.writing() as tx:
        tx.exec_driver_sql("ANALYZE")  # as PostgreSQL does by itself; of tables that it knows nothing of it guesses
    for ask, index in (
        (lambda conn: submissions.waiting(conn, 5), "submissions_waiting"),
        (lambda conn: submissions.waiting(conn, 5, far=True), "submissions_waiting"),
        (lambda conn: in_turn(conn, [_ROW]), "submissions_turn"),
    ):
        for plan in (plan for plan in plans(ledger, ask) if "submissions" in plan):
            assert index in plan
            assert "Filter" not in plan, "the part of an index that is not asked for is walked past"
            assert "SORT" not in plan.upper().replace("TEMP B-TREE", "SORT")


def test_refusals_that_are_not_committed_are_read_from_their_index(ledger: Ledger) -> None:
    [plan] = (p for p in plans(ledger, lambda conn: submissions.refused_uncommitted(conn, 5)) if "submissions" in p)
    assert "submissions_refused" in plan
    assert "SORT" not in plan.upper().replace("TEMP B-TREE", "SORT")
