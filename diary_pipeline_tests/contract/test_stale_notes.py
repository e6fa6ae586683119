"""Exactly the notes that a change affects are wanted again, and what users see stays until they are written."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger import stale
from diary_pipeline.ledger.commits import Change
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.migrations import STEPS
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.pointers import pointers_of
from diary_pipeline.ledger.stale import (
    DEGRADED_RETRY_S,
    RETRY_MAX_S,
    Made,
    StaleGroup,
    counted,
    plan_stale,
    stale_notes,
)
from diary_pipeline.ledger.statements import now
from diary_pipeline.ledger.tables import commits, pointers, schema_version, work
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.contract.batch_work import works
from diary_pipeline_tests.contract.query_plans import plans, walks
from diary_pipeline_tests.contract.test_commits import answer, commit, failed, noted, shown, transcribed
from diary_pipeline_tests.diaries import Diary

NEW = frozenset({"note-new", "note-new-long"})
DOWN = {"status": "degraded"}


@pytest.fixture
def diary(ledger: Ledger, tmp_path: Path) -> Iterator[Diary]:
    yield Diary(ledger, FolderStore(tmp_path / "objects"))


def memos(diary: Diary, made_with: str | None, *names: str, owner: str = "me", **changes: str) -> list[Recording]:
    """Recordings with a committed note; every name is a recording."""
    some = diary.accept(*names, owner=owner)
    transcribed(diary, some)
    noted(diary, some, **{"version": f"made with {made_with}", "made_with": made_with, **changes})
    return some


def degraded(diary: Diary, *names: str, **changes: str) -> list[Recording]:
    """Recordings with a stand-in for a note."""
    return memos(diary, "degraded/offline-3", *names, status="degraded", **changes)


def plan(diary: Diary, *, limit: int = 100, upgrades: bool = True) -> int:
    """Plan as the sensor does."""
    return plan_stale(diary.ledger, lambda _: NEW, limit, upgrades=upgrades)


def wanted(diary: Diary) -> set[str]:
    """Which notes are waited for."""
    return {key for key, row in works(diary.ledger, "note").items() if row.wanted}


def later(diary: Diary, seconds: float) -> None:
    """Let so much time go by for what waits to be tried again, and for the age of notes."""
    with diary.ledger.writing() as tx:
        tx.execute(pointers.update().values(again_at=pointers.c.again_at - seconds))
        tx.execute(commits.update().values(committed_at=commits.c.committed_at - seconds))


@pytest.mark.parametrize(
    ("made_with", "is_stale", "why"),
    [
        ("note-new", False, "it is current"),
        ("note-new-long", False, "long recordings are asked otherwise"),
        ("note-old", True, "its prompt was changed"),
        ("note-new-", True, "it only begins like a current one"),
        ("offline-3", True, "another writer is configured now"),
        ("zzz", True, "whatever sorts last"),
        (None, False, "nothing was said, or nobody knows what it was made with"),
    ],
)
def test_a_note_is_stale_when_it_would_be_made_with_something_else(
    diary: Diary, made_with: str | None, is_stale: bool, why: str
) -> None:
    [memo] = memos(diary, made_with, "memo.m4a")
    before = shown(diary.ledger, memo.key)
    assert plan(diary) == int(is_stale), why
    assert wanted(diary) == ({memo.key} if is_stale else set())
    assert shown(diary.ledger, memo.key) == before
    assert plan(diary) == 0, "it is planned once"


def test_only_the_notes_of_the_change_are_planned_whosever_they_are(diary: Diary) -> None:
    stale_mine = memos(diary, "note-old", "a.m4a", "b.m4a")
    memos(diary, "note-new", "c.m4a")
    memos(diary, "note-yours", "d.m4a", owner="you")
    stale_yours = memos(diary, "note-new", "e.m4a", owner="you")
    current = {"me": NEW, "you": frozenset({"note-yours"})}
    assert plan_stale(diary.ledger, current.__getitem__, 100, upgrades=True) == 3
    assert wanted(diary) == {memo.key for memo in (*stale_mine, *stale_yours)}


def test_what_is_planned_is_ordinary_work_behind_what_is_new_and_fences_whoever_made_the_note_before(
    diary: Diary,
) -> None:
    [memo] = diary.accept("memo.m4a")
    transcribed(diary, [memo])
    before = diary.claim("note", [memo])
    change = Change(memo.key, before.leases[0].epoch, "completed", "n1", made_with="note-old")
    assert commit(diary.ledger, "note", [change]).seq
    assert plan(diary) == 1
    row = works(diary.ledger, "note")[memo.key]
    assert (row.state, row.attempts, row.priority, row.batch_id) == ("ready", 0, 0, None)
    assert commit(diary.ledger, "note", [change]).fenced == (memo.key,)
    assert wanted(diary) == {memo.key}


def test_the_note_written_again_takes_the_place_of_the_stale_one(diary: Diary) -> None:
    [memo] = memos(diary, "note-old", "memo.m4a")
    plan(diary)
    assert noted(diary, [memo], version="n2", made_with="note-new").committed == (memo.key,)
    with diary.ledger.reading() as conn:
        [there] = pointers_of(conn, [memo.key], "note").values()
    assert (there.version, there.made_with) == ("n2", "note-new")
    assert (wanted(diary), plan(diary)) == (set(), 0)


def test_the_same_text_made_with_something_else_is_committed_or_it_would_stay_stale(diary: Diary) -> None:
    [memo] = memos(diary, "note-old", "memo.m4a", version="n1")
    plan(diary)
    assert noted(diary, [memo], version="n1", made_with="note-new").committed == (memo.key,)
    later(diary, RETRY_MAX_S)
    assert plan(diary) == 0


def test_no_more_wait_than_there_may_and_the_rest_follows(diary: Diary) -> None:
    some = memos(diary, "note-old", *(f"{n}.m4a" for n in range(5)))
    new = diary.accept("new.m4a")
    transcribed(diary, new)
    assert plan(diary, limit=3) == 2, "one that is new waits already"
    assert plan(diary, limit=3) == 0
    planned = [memo for memo in some if memo.key in wanted(diary)]
    noted(diary, planned, version="n2", made_with="note-new")
    assert plan(diary, limit=3) == 2
    assert not {memo.key for memo in planned} & wanted(diary)


def test_a_stand_in_is_upgraded_a_while_after_it_was_made_and_nobody_hears_of_it_before(diary: Diary) -> None:
    [memo] = degraded(diary, "memo.m4a")
    assert plan(diary) == 0, "the routes failed a moment ago"
    later(diary, DEGRADED_RETRY_S)
    assert plan(diary) == 1
    assert shown(diary.ledger, memo.key) == ("degraded", None, None, True)
    assert answer(diary.ledger, memo.submission_id)[0] == "degraded"
    seq = noted(diary, [memo], version="n2", made_with="note-new").seq
    assert shown(diary.ledger, memo.key) == ("completed", None, None, True)
    assert answer(diary.ledger, memo.submission_id) == ("completed", None, True, seq)


def test_without_routes_nothing_could_better_a_stand_in(diary: Diary) -> None:
    degraded(diary, "memo.m4a")
    later(diary, RETRY_MAX_S)
    assert plan(diary, upgrades=False) == 0
    assert plan(diary, upgrades=True) == 1


def test_routes_that_stay_dead_are_asked_less_and_less(diary: Diary) -> None:
    [memo] = degraded(diary, "memo.m4a")
    age_s, pause_s = 0.0, DEGRADED_RETRY_S
    for _ in range(4):
        later(diary, pause_s - 5)
        assert plan(diary) == 0, f"{pause_s} s are not over"
        later(diary, 10)
        assert plan(diary) == 1, f"{pause_s} s are over"
        age_s += pause_s + 5
        pause_s = age_s
        again = noted(diary, [memo], version="made with degraded/offline-3", made_with="degraded/offline-3", **DOWN)
        assert again.already == (memo.key,)
    later(diary, 100 * RETRY_MAX_S)
    assert plan(diary) == 1
    noted(diary, [memo], version="made with degraded/offline-3", made_with="degraded/offline-3", **DOWN)
    later(diary, RETRY_MAX_S + 5)
    assert plan(diary) == 1, "but once a day"


def test_a_good_note_stays_where_only_a_stand_in_could_be_made(diary: Diary) -> None:
    [memo] = memos(diary, "note-old", "memo.m4a")
    plan(diary)
    assert noted(diary, [memo], version="n2", made_with="degraded/offline-3", **DOWN).kept == (memo.key,)
    with diary.ledger.reading() as conn:
        assert pointers_of(conn, [memo.key], "note")[memo.key].made_with == "note-old"
    assert shown(diary.ledger, memo.key) == ("completed", None, None, True)
    assert (wanted(diary), plan(diary)) == (set(), 0)
    later(diary, DEGRADED_RETRY_S + 5)
    assert plan(diary) == 1, "it is stale still"


def test_a_stand_in_is_better_than_the_note_of_an_older_transcript(diary: Diary) -> None:
    [memo] = memos(diary, "note-old", "memo.m4a")
    transcribed(diary, [memo], "t2")
    again = noted(diary, [memo], transcript="t2", version="n2", made_with="degraded/offline-3", **DOWN)
    assert again.committed == (memo.key,)
    assert shown(diary.ledger, memo.key)[0] == "degraded"


def test_a_note_that_cannot_be_written_again_leaves_the_stale_one_and_is_not_tried_in_the_next_tick(
    diary: Diary,
) -> None:
    [memo] = memos(diary, "note-old", "memo.m4a")
    plan(diary)
    assert failed(diary, "note", [memo], "note_unsupported").kept == (memo.key,)
    assert shown(diary.ledger, memo.key) == ("completed", None, None, True)
    assert answer(diary.ledger, memo.submission_id)[0] == "completed"
    assert plan(diary) == 0


def test_what_is_made_anew_anyway_is_left_alone_and_hides_nothing(diary: Diary) -> None:
    by_hand, heard_anew, other = memos(diary, "note-old", "1.m4a", "2.m4a", "3.m4a")
    diary.claim("note", [by_hand])
    with diary.ledger.writing() as tx:
        mine = (work.c.recording_key == heard_anew.key) & (work.c.stage == "transcript")
        tx.execute(work.update().where(mine).values(wanted=True, state="ready"))
    planned = sum(plan(diary, limit=1) for _ in range(3))
    assert (planned, wanted(diary)) == (1, {other.key})
    assert works(diary.ledger, "note")[by_hand.key].state == "planned"


def test_a_note_that_is_committed_between_the_look_and_the_plan_is_not_written_twice(diary: Diary) -> None:
    [memo] = memos(diary, "note-new", "memo.m4a")
    assert diary.ledger.write(lambda tx: stale._want_again(tx, {memo.key: "note-old"})) == 0
    assert wanted(diary) == set()


def test_stale_notes_are_counted_by_whose_they_are_and_what_they_were_made_with(diary: Diary) -> None:
    memos(diary, "note-old", "a.m4a", "b.m4a")
    degraded(diary, "c.m4a")
    memos(diary, "note-new", "d.m4a")
    memos(diary, "note-older", "e.m4a", owner="you")
    memos(diary, "note-new", "f.m4a", owner="them")
    plan(diary)
    with diary.ledger.reading() as conn:
        told = [counted(conn, made) for made in stale_notes(conn, lambda _: NEW, upgrades=True)]
        assert not list(stale_notes(conn, lambda _: frozenset(), upgrades=True)), "no route could write one"
        [key] = stale.newest(conn, Made("me", "note-old"), 1)
    assert told == [
        StaleGroup("me", "degraded/offline-3", 1, 60.0),
        StaleGroup("me", "note-old", 2, 120.0),
        StaleGroup("you", "note-older", 1, 60.0),
    ]
    assert "-b-" in key


def test_looking_for_stale_notes_reads_no_current_one(diary: Diary) -> None:
    memos(diary, "note-new", *(f"{n}.m4a" for n in range(4)))
    memos(diary, "note-old", "old.m4a")

    def tick(conn: sa.Connection) -> None:
        assert stale._due(conn, stale_notes(conn, lambda _: NEW, upgrades=True), 10)
        stale._waiting(conn, 10)
        stale._want_again(conn, {"a": "note-old"})

    said = plans(diary.ledger, tick)
    if diary.ledger.engine.dialect.name == "sqlite":
        assert any("pointers_made_with (owner=? AND made_with>?)" in plan_ for plan_ in said)
    for plan_ in said:
        for rows_in_hand in ("anon_1", "first", "pair"):
            plan_ = plan_.replace(f"SCAN {rows_in_hand}", "")  # noqa: PLW2901 - what a statement has found already
        assert not walks(plan_), plan_
        assert "TEMP B-TREE" not in plan_, plan_


def test_a_ledger_of_version_3_learns_what_notes_are_made_with_and_leaves_those_alone_that_it_does_not_know(
    ledger: Ledger, ledger_url: str, tmp_path: Path
) -> None:
    def schema(conn: sa.Connection) -> tuple[object, ...]:
        columns = {c["name"]: (str(c["type"]), c["nullable"]) for c in sa.inspect(conn).get_columns("pointers")}
        return columns, {index["name"] for index in sa.inspect(conn).get_indexes("pointers")}

    diary = Diary(ledger, FolderStore(tmp_path / "objects"))
    [memo] = memos(diary, "note-old", "memo.m4a")
    with ledger.writing() as tx:
        today = schema(tx)
        tx.exec_driver_sql("DROP INDEX pointers_made_with")
        for column in ("made_with", "again_at"):
            tx.exec_driver_sql(f"ALTER TABLE pointers DROP COLUMN {column}")
        tx.execute(schema_version.delete().where(schema_version.c.version > 3))
    ledger.close()
    again = open_ledger(ledger_url)
    with again.reading() as conn:
        assert schema(conn) == today
        assert conn.execute(sa.select(sa.func.max(schema_version.c.version))).scalar() == len(STEPS)
        assert now(conn) > 0
    assert plan_stale(again, lambda _: NEW, 10, upgrades=True) == 0
    diary = Diary(again, diary.store)
    assert noted(diary, [memo], version="n2", made_with="note-older").committed == (memo.key,)
    assert plan(diary) == 1
    again.close()
