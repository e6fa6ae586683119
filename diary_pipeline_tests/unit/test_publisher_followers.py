"""Followers take over what is published; freshness is measured; compaction leaves no byte of deleted rows."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pytest

from diary_pipeline.catalogue.compaction import WORTH_IT, dead_share, rewrite
from diary_pipeline.catalogue.fold import create
from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.catalogue.schema import STATE
from diary_pipeline.catalogue.state import opened
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.pointers import Pointer
from diary_pipeline.ledger.publications import place_of, published_watermark
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.diaries import Diary
from diary_pipeline_tests.publishing import erase, rows, twin_room


@pytest.fixture
def diary(tmp_path: Path) -> Iterator[Diary]:
    """A diary nobody has begun yet."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield Diary(ledger, FolderStore(tmp_path / "objects"))
    ledger.close()


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """Where it is published."""
    return tmp_path / "home" / "catalogue.duckdb"


class Counter:
    """A follower that keeps what it was told."""

    def __init__(self, diary: Diary, live: Path) -> None:
        self.diary, self.live = diary, live
        self.at = 0
        self.told: list[tuple[int, list[int], int, int]] = []
        self.breaks = False

    def watermark(self) -> int:
        """Return how far it has come."""
        return self.at

    def drop(self) -> None:
        """Begin anew."""
        self.at = 0

    def compact(self) -> None:
        """Nothing of it is on a disk."""

    def follow(self, db: duckdb.DuckDBPyConnection, moved: Sequence[Pointer], head: int) -> None:
        """Note what is new, what the file shows, and what the ledger has been told so far."""
        if self.breaks:
            raise OSError("no room")
        [heard] = db.execute("SELECT count(DISTINCT recording_key) FROM segments").fetchone() or (0,)
        with self.diary.ledger.reading() as conn:
            known = published_watermark(conn, place_of(self.live))
        self.told.append((head, [p.seq for p in moved], heard, known))
        self.at = head


def test_a_follower_follows_after_the_swap_and_before_the_ledger_is_told(diary: Diary, live: Path) -> None:
    follower = Counter(diary, live)
    publisher = Publisher(diary.ledger, diary.store, live, followers=[follower])
    for n in range(3):
        diary.transcribe(diary.accept(f"memo {n}.m4a"))
        publisher.publish()
    assert follower.told == [(1, [1], 1, 0), (2, [2], 2, 1), (3, [3], 3, 2)]
    publisher.publish()
    assert len(follower.told) == 3, "it is where the file is"


def test_a_follower_that_fails_is_led_again_and_the_ledger_is_told_then(diary: Diary, live: Path) -> None:
    follower = Counter(diary, live)
    publisher = Publisher(diary.ledger, diary.store, live, followers=[follower])
    follower.breaks = True
    diary.transcribe(diary.accept("memo.m4a"))
    with pytest.raises(OSError, match="no room"):
        publisher.publish()
    with diary.ledger.reading() as conn:
        assert published_watermark(conn, place_of(live)) == 0
    assert rows(live, "SELECT watermark FROM catalogue_state") == [(1,)]
    follower.breaks = False
    assert publisher.publish().origin is None
    assert follower.told == [(1, [1], 1, 0)]
    with diary.ledger.reading() as conn:
        assert published_watermark(conn, place_of(live)) == 1


@pytest.mark.parametrize(
    ("at", "told"), [(0, [1, 2]), (1, [2]), (9, [1, 2])], ids=["new", "behind", "of another ledger"]
)
def test_a_follower_is_handed_what_it_lacks(diary: Diary, live: Path, at: int, told: list[int]) -> None:
    for n in range(2):
        diary.transcribe(diary.accept(f"memo {n}.m4a"))
    follower = Counter(diary, live)
    follower.at = at
    Publisher(diary.ledger, diary.store, live, followers=[follower]).publish()
    assert [moved for _, moved, _, _ in follower.told] == [told]


def test_freshness_is_what_passed_between_the_commit_and_the_file(diary: Diary, live: Path) -> None:
    publisher = Publisher(diary.ledger, diary.store, live)
    for n in range(2):
        diary.transcribe(diary.accept(f"memo {n}.m4a"))
    done = publisher.publish()
    assert done.freshness_s is not None and done.oldest_freshness_s is not None
    assert 0 < done.freshness_s <= done.oldest_freshness_s < 60
    names = [column.name for column in STATE]
    [values] = rows(live, "FROM catalogue_state")
    state = dict(zip(names, values, strict=True))
    assert (state["watermark"], state["recordings"]) == (2, 2)
    assert 0 < state["freshness_s"] <= done.freshness_s, "the file is written before users can see it"
    assert state["freshness_s"] <= state["oldest_freshness_s"] <= done.oldest_freshness_s
    passed = state["published_at"] - state["committed_at"]
    assert passed.total_seconds() == pytest.approx(state["freshness_s"], abs=0.001)
    assert 0 < state["seconds"] <= done.seconds
    again = publisher.publish()
    assert (again.recordings, again.freshness_s, again.oldest_freshness_s) == (0, None, None)


def test_the_oldest_commit_is_the_oldest_that_users_did_not_see_yet(diary: Diary, live: Path) -> None:
    """The spare lacks one that the live file has; that one has not waited."""
    publisher = Publisher(diary.ledger, diary.store, live)
    for n in range(3):
        diary.transcribe(diary.accept(f"memo {n}.m4a"))
        done = publisher.publish()
        assert done.freshness_s == done.oldest_freshness_s
        assert done.recordings == 1
    assert done.origin == "spare"


MARK = "Xylophone aubergine quetzal"


def test_compaction_leaves_no_byte_of_deleted_rows_and_keeps_the_rest(diary: Diary, live: Path) -> None:
    kept, gone = diary.accept("kept.m4a", "gone.m4a")
    publisher = Publisher(diary.ledger, diary.store, live, options={"force_compression": "uncompressed"})
    diary.transcribe([kept])
    publisher.publish()
    diary.transcribe([gone], [f"{MARK} {n}." for n in range(50)])
    publisher.publish()
    assert MARK.encode() in live.read_bytes()
    erase(diary.ledger, gone.key)
    publisher.publish()
    views = rows(live, "SELECT view_name, sql FROM duckdb_views() WHERE NOT internal ORDER BY 1")
    before = rows(live, "FROM segments ORDER BY ALL")
    everywhere = [p for p in live.parent.rglob("*") if p.is_file()]
    assert any(MARK.encode() in p.read_bytes() for p in everywhere), "deleting leaves the bytes"
    assert publisher.compact().watermark == 3
    everywhere = [p for p in live.parent.rglob("*") if p.is_file()]
    assert not any(MARK.encode() in p.read_bytes() for p in everywhere)
    assert rows(live, "FROM segments ORDER BY ALL") == before
    assert rows(live, "SELECT view_name, sql FROM duckdb_views() WHERE NOT internal ORDER BY 1") == views
    assert live.stat().st_mode & 0o777 == 0o400
    assert list(twin_room(live).iterdir()) == []
    diary.transcribe(diary.accept("later.m4a"))
    assert publisher.publish().origin == "copy"
    assert rows(live, "SELECT count(DISTINCT recording_key) FROM segments") == [(2,)]


def test_compaction_publishes_first(diary: Diary, live: Path) -> None:
    diary.transcribe(diary.accept("memo.m4a"))
    done = Publisher(diary.ledger, diary.store, live).compact()
    assert (done.watermark, done.recordings) == (1, 1)
    assert rows(live, "SELECT count(*) FROM segments") == [(4,)]


def test_the_dead_share_tells_when_to_compact(tmp_path: Path) -> None:
    """DuckDB drops dead rows of itself while a table is small, so this one has 300,000."""
    with opened(tmp_path / "old.duckdb") as db:
        create(db)
        assert dead_share(db) == 0
        keys = "SELECT 'day-' || lpad((i // 20)::VARCHAR, 9, '0'), i % 20, 'Said.' FROM range(300000) t(i)"
        db.execute(f"INSERT INTO data.segments(recording_key, segment_id, text) {keys}")
        db.execute("CHECKPOINT")
        db.execute("DELETE FROM data.segments WHERE hash(recording_key) % 10 < 3")
        db.execute("CHECKPOINT")
        [left] = db.execute("SELECT count(*) FROM segments").fetchone() or (0,)
        assert WORTH_IT < dead_share(db) == pytest.approx(1 - left / 300_000)
    rewrite(tmp_path / "old.duckdb", tmp_path / "new.duckdb", {})
    with opened(tmp_path / "new.duckdb", read_only=True) as db:
        assert dead_share(db) == 0
        assert db.execute("SELECT count(*) FROM segments").fetchone() == (left,)


def test_the_dead_share_rises_while_recordings_are_processed_again_and_duckdb_takes_some_back(tmp_path: Path) -> None:
    """As a fold does it: the rows of a recording are deleted and its new ones inserted, then comes a checkpoint."""
    shares = []
    with opened(tmp_path / "old.duckdb") as db:
        create(db)
        for n in (*range(10), *range(10)):
            db.execute("DELETE FROM data.segments WHERE recording_key = ?", [f"day-{n}"])
            said = "SELECT ?, i, 'Said ' || i FROM range(6000) t(i)"
            db.execute(f"INSERT INTO data.segments(recording_key, segment_id, text) {said}", [f"day-{n}"])
            db.execute("CHECKPOINT")
            shares.append(dead_share(db))
        assert db.execute("SELECT count(*) FROM segments").fetchone() == (60_000,)
    assert max(shares[:10]) == 0
    assert max(shares) > WORTH_IT, shares
    assert 0 in shares[10:], "DuckDB has merged row groups"
