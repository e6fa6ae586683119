"""What is kept for as long as its owner wants, on SQLite and on PostgreSQL."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from diary_pipeline.core.owner import Owner
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger import recordings, retention
from diary_pipeline.ledger.acceptance import AudioGoing
from diary_pipeline.ledger.again import want_again
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.tables import recordings as table
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.upkeep.retain import Retained, Retention
from diary_pipeline_tests.diaries import Diary

DAY_S = 86_400


@pytest.fixture
def diary(ledger: Ledger, tmp_path: Path) -> Diary:
    """A diary nobody has begun yet."""
    return Diary(ledger, FolderStore(tmp_path / "objects"))


def kept(diary: Diary, name: str, *, days_ago: float, owner: str = "me", noted: bool = True) -> Recording:
    """A recording with audio that was taken in, and noted, some days ago."""
    (one,) = diary.accept(name, owner=owner)
    diary.store.put(one.object_key, b"audio")
    diary.transcribe([one])
    if noted:
        diary.write([one])
    with diary.ledger.writing() as tx:
        mine = table.update().where(table.c.key == one.key)
        back = days_ago * DAY_S
        tx.execute(mine.values(created_at=table.c.created_at - back, ended_at=table.c.ended_at - back))
    return one


def rules(diary: Diary, usual: Owner, *owners: Owner, hide: Callable[[str], None] = lambda _: None) -> Retention:
    """The rules of a deployment."""
    return Retention(diary.ledger, diary.store, usual, owners, hide)


@pytest.mark.parametrize(
    ("days", "noted", "goes"),
    [
        (None, True, False),  # for ever
        (30.0, True, True),  # noted 40 days ago
        (50.0, True, False),
        (0.0, True, True),  # until the note
        (0.0, False, False),  # never before transcript and note are committed
    ],
)
def test_audio_goes_when_its_days_are_over(diary: Diary, days: float | None, noted: bool, goes: bool) -> None:
    one = kept(diary, "a.m4a", days_ago=40, noted=noted)
    done = rules(diary, Owner(keep_audio_days=days))()
    assert done == (Retained(1, one.size_bytes, 0) if goes else Retained(0, 0, 0))
    assert diary.store.exists(one.object_key) is not goes
    with diary.ledger.reading() as conn:
        assert recordings.get(conn, one.key).audio_removed is goes


def test_an_owner_s_rule_wins_over_the_usual_one(diary: Diary) -> None:
    anna, me = (kept(diary, f"{owner}.m4a", days_ago=40, owner=owner) for owner in ("anna", "me"))
    rules(diary, Owner(keep_audio_days=0), Owner("anna", keep_audio_days=100))()
    assert diary.store.exists(anna.object_key)
    assert not diary.store.exists(me.object_key)


def test_audio_that_somebody_still_wants_to_hear_stays(diary: Diary) -> None:
    one = kept(diary, "a.m4a", days_ago=40)
    want_again(diary.ledger, "transcript", [one.key])
    assert rules(diary, Owner(keep_audio_days=0))().audio == 0
    assert diary.store.exists(one.object_key)


def test_a_run_that_was_killed_half_way_is_finished_by_the_next(diary: Diary) -> None:
    one = kept(diary, "a.m4a", days_ago=40)
    assert [a.key for a in retention.mark_audio(diary.ledger, [retention.Rule(0, "me")], 10)] == [one.key]
    assert rules(diary, Owner())().audio == 1, "although no rule asks for it any more: it was promised"
    assert not diary.store.exists(one.object_key)
    assert rules(diary, Owner(keep_audio_days=0))().audio == 0, "done once"


def test_the_same_audio_brought_again_counts_as_kept(diary: Diary) -> None:
    one = kept(diary, "a.m4a", days_ago=40)
    rules(diary, Owner(keep_audio_days=0))()
    recordings.accept(diary.ledger, diary.submit("a.m4a"), one, 1, 60.0)
    with diary.ledger.reading() as conn:
        assert not recordings.get(conn, one.key).audio_removed


def test_the_same_audio_brought_again_while_it_goes_waits_until_it_has_gone(diary: Diary) -> None:
    one = kept(diary, "a.m4a", days_ago=40)
    retention.mark_audio(diary.ledger, [retention.Rule(0, "me")], 10)
    again = diary.submit("a.m4a")
    with pytest.raises(AudioGoing):
        recordings.accept(diary.ledger, again, one, 1, 60.0)
    rules(diary, Owner())()
    recordings.accept(diary.ledger, again, one, 1, 60.0)
    with diary.ledger.reading() as conn:
        assert not recordings.get(conn, one.key).audio_removed


def test_recordings_are_erased_when_they_were_taken_in_long_enough_ago(diary: Diary) -> None:
    old, _new = kept(diary, "a.m4a", days_ago=40), kept(diary, "b.m4a", days_ago=10)
    hidden: list[str] = []
    assert rules(diary, Owner(keep_days=30), hide=hidden.append)().erased == 1
    assert hidden == [old.key]


def test_what_is_due_is_found_by_its_index(diary: Diary) -> None:
    if diary.ledger.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL chooses plans by statistics")
    with diary.ledger.reading() as conn:
        plan = " ".join(
            row.detail
            for row in conn.execute(
                sa.text(
                    "EXPLAIN QUERY PLAN SELECT key FROM recordings "
                    "WHERE audio_removed_at IS NULL AND owner = 'me' AND ended_at <= 1"
                )
            )
        )
    assert "recordings_with_audio" in plan
