"""What is taken out of the log is gone from every object, and nobody else's rows are touched: on both databases."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from diary_pipeline.catalogue.read import note_of, notes_of, transcript_of, transcripts_of
from diary_pipeline.catalogue.rewrite import Rewritten, remove_replaced, rewrite_without
from diary_pipeline.core.errors import PermanentError
from diary_pipeline.ledger import log_objects
from diary_pipeline.ledger.clock import clock_now
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.tables import clock, commits, history, pointers
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.diaries import Diary, transcript_for


@pytest.fixture
def diary(ledger: Ledger, tmp_path: Path) -> Diary:
    """A diary nobody has begun yet."""
    return Diary(ledger, FolderStore(tmp_path / "objects"))


def hide(ledger: Ledger, *subjects: str) -> None:
    """Point to nothing, as erasure does first."""
    with ledger.writing() as tx:
        tx.execute(clock.update().values(n=clock.c.n + 1))
        seq = tx.execute(sa.select(clock.c.n)).scalar_one()
        mine = pointers.update().where(pointers.c.subject.in_(subjects))
        tx.execute(mine.values(object_id=None, version=None, seq=seq))


def left_in_store(diary: Diary) -> Mapping[str, int]:
    """Count the rows of each subject in all objects that there are."""
    count: dict[str, int] = {}
    for key in diary.store.list("catalogue/"):
        for row in pq.read_table(diary.store.path(key), partitioning=None).to_pylist():
            subject = row["recording_key"] or row["submission_id"]
            count[subject] = count.get(subject, 0) + 1
    return count


def known_objects(ledger: Ledger) -> tuple[set[str], set[str]]:
    """Return the objects that have a commit, and those that something points or pointed to."""
    with ledger.reading() as conn:
        committed = set(conn.execute(sa.select(commits.c.object_id)).scalars())
        pointed = set(conn.execute(sa.select(pointers.c.object_id).where(pointers.c.object_id.is_not(None))).scalars())
        return committed, pointed | set(conn.execute(sa.select(history.c.object_id)).scalars())


def test_every_version_of_a_recording_goes_and_the_others_stay(diary: Diary) -> None:
    walk, bread = some = diary.accept("walk.m4a", "bread.m4a")
    diary.transcribe(some)
    diary.write(some)
    diary.transcribe([walk], said=["I ran."])  # an object with nobody else in it
    diary.write(some[:1], said=["I ran."])
    rows = left_in_store(diary)
    hide(diary.ledger, walk.key)
    with diary.ledger.reading() as conn:
        head = clock_now(conn)
    done = rewrite_without(diary.ledger, diary.store, {walk.key})
    assert (done.objects, done.rows) == (4, rows[walk.key])
    assert done.bytes_before > done.bytes_after > 0
    assert left_in_store(diary) == {bread.key: rows[bread.key]}
    committed, pointed = known_objects(diary.ledger)
    assert committed == pointed == {k.rpartition("/")[0] for k in diary.store.list("catalogue/")}
    assert len(committed) == 2, "an object left empty disappears"
    with diary.ledger.reading() as conn:
        assert clock_now(conn) == head, "what is current did not move, so nothing is folded again"
        assert log_objects.objects_of(conn, [walk.key]) == []
    assert transcript_of(diary.ledger, diary.store, bread.key) == transcript_for(bread)
    assert note_of(diary.ledger, diary.store, bread.key) is not None
    assert rewrite_without(diary.ledger, diary.store, {walk.key}) == Rewritten()


def test_a_refusal_goes_by_its_submission(diary: Diary) -> None:
    refused, other = diary.refuse("notes.txt"), diary.refuse("empty.wav")
    hide(diary.ledger, refused)
    done = rewrite_without(diary.ledger, diary.store, {refused})
    assert (done.objects, done.rows, done.bytes_after) == (1, 1, 0)
    assert left_in_store(diary) == {other: 1}


def test_what_is_still_current_is_not_taken_out(diary: Diary) -> None:
    some = diary.accept("walk.m4a", "bread.m4a")
    diary.transcribe(some)
    before = left_in_store(diary)
    with pytest.raises(PermanentError, match="hide it first"):
        rewrite_without(diary.ledger, diary.store, {some[0].key})
    assert left_in_store(diary) == before


class Dying(FolderStore):
    """A store whose process dies at the n-th write or delete: before it, or when it is done."""

    def __init__(self, root: Path, at: int, *, done: bool) -> None:
        super().__init__(root)
        self.at, self.done, self.met = at, done, 0

    def put_folder(self, key: str, files: Mapping[str, Path]) -> int:
        self._die(done=False)
        size = super().put_folder(key, files)
        self._die(done=True)
        return size

    def delete(self, key: str) -> None:
        self._die(done=False)
        super().delete(key)
        self._die(done=True)

    def _die(self, *, done: bool) -> None:
        self.met += done is self.done
        if done is self.done and self.met == self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_crash_anywhere_loses_nobody_and_the_next_call_finishes(diary: Diary, at: int, done: bool) -> None:
    walk, bread = some = diary.accept("walk.m4a", "bread.m4a")
    diary.transcribe(some)
    diary.write(some)
    rows = left_in_store(diary)
    hide(diary.ledger, walk.key)
    dying = Dying(diary.store.root, at, done=done)  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        rewrite_without(diary.ledger, dying, {walk.key})
    keys = [bread.key]
    assert transcripts_of(diary.ledger, diary.store, keys) == {bread.key: transcript_for(bread)}, "no hole"
    assert set(notes_of(diary.ledger, diary.store, keys)) == {bread.key}
    rewrite_without(diary.ledger, diary.store, {walk.key})
    assert walk.key not in left_in_store(diary)
    committed, pointed = known_objects(diary.ledger)
    assert committed == pointed
    orphans = {k.rpartition("/")[0] for k in diary.store.list("catalogue/")} - committed
    assert len(orphans) <= 1, "one that was staged, without a row of what was erased"
    assert left_in_store(diary)[bread.key] <= 2 * rows[bread.key]


def test_a_lost_object_does_not_keep_what_is_erased_from_being_forgotten(diary: Diary) -> None:
    walk, bread = some = diary.accept("walk.m4a", "bread.m4a")
    diary.transcribe(some)
    hide(diary.ledger, walk.key)
    with diary.ledger.reading() as conn:
        [object_id] = log_objects.objects_of(conn, [walk.key])
    diary.store.delete(object_id)
    assert rewrite_without(diary.ledger, diary.store, {walk.key}) == Rewritten()
    with diary.ledger.reading() as conn:
        assert log_objects.objects_of(conn, [walk.key]) == []
        assert log_objects.objects_of(conn, [bread.key]) == [object_id], "the hole is the reconciler's"


def test_objects_that_changed_meanwhile_are_left_alone(diary: Diary) -> None:
    some = diary.accept("walk.m4a", "bread.m4a")
    diary.transcribe(some)
    with diary.ledger.reading() as conn:
        [object_id] = log_objects.objects_of(conn, [some[0].key])
        seen = log_objects.holdings(conn, [object_id])
    new = log_objects.NewObject("catalogue/202603/transcript-new", 1, seen[:1])
    assert not log_objects.replace(diary.ledger, [object_id], seen[:1], [new]), "it holds more than was seen"
    assert not log_objects.replace(diary.ledger, [object_id], seen, [new]), "what is current would be dropped"
    assert not log_objects.replace(diary.ledger, ["catalogue/202603/gone"], [], []), "it is not there"
    with pytest.raises(ValueError, match="at most as many"):
        log_objects.replace(diary.ledger, [], [], [new])
    assert remove_replaced(diary.ledger, diary.store) == 0
    with diary.ledger.reading() as conn:
        assert log_objects.holdings(conn, [object_id]) == seen
