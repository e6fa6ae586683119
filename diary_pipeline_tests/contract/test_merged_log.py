"""Merged objects hold what the small ones held, whatever happens meanwhile: on both databases."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from diary_pipeline.catalogue.merge import Merged, merge
from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.catalogue.read import notes_of, transcripts_of
from diary_pipeline.catalogue.rewrite import rewrite_without
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger import log_objects
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.tables import commits
from diary_pipeline.ledger.versions import kept, show_previous, show_version
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.contract.test_rewritten_log import hide, known_objects, left_in_store
from diary_pipeline_tests.diaries import Diary, transcript_for
from diary_pipeline_tests.note_builders import make_note

DAY_S = 86_400.0
LONG_AGO = 1_770_000_000.0  # 2026-02-02


@pytest.fixture
def diary(ledger: Ledger, tmp_path: Path) -> Diary:
    """A diary nobody has begun yet."""
    return Diary(ledger, FolderStore(tmp_path / "objects"))


def grown(diary: Diary, count: int = 9) -> list[Recording]:
    """Commit recordings one by one, the first of them three times, and let all that be long ago."""
    some = diary.accept(*(f"memo{n}.m4a" for n in range(count)))
    for recording in some:
        diary.transcribe([recording])
        diary.write([recording])
    for said in (["I ran."], ["I swam."]):
        diary.transcribe(some[:1], said)
        diary.write(some[:1], said)
    age(diary.ledger)
    return some


def age(ledger: Ledger) -> None:
    """Make every commit older than any roll-back window."""
    with ledger.writing() as tx:
        tx.execute(commits.update().values(committed_at=LONG_AGO))


def test_small_objects_become_one_of_each_kind_and_one_of_the_versions_before(diary: Diary, tmp_path: Path) -> None:
    some = grown(diary)
    publisher = Publisher(diary.ledger, diary.store, tmp_path / "home" / "catalogue.duckdb")
    publisher.publish()
    before = publisher.live.stat().st_ino
    done = merge(diary.ledger, diary.store, older_than_s=30 * DAY_S)
    assert (done.objects, done.into, done.forgotten) == (22, 4, 3), "transcript, note and outcome of the first version"
    assert done.bytes_before > done.bytes_after > 0
    committed, pointed = known_objects(diary.ledger)
    assert len(committed) == 4
    assert committed == pointed == {k.rpartition("/")[0] for k in diary.store.list("catalogue/")}
    keys = [r.key for r in some]
    swam = transcript_for(some[0], ["I swam."])
    heard = {r.key: transcript_for(r) for r in some[1:]} | {some[0].key: swam}
    assert transcripts_of(diary.ledger, diary.store, keys) == heard
    assert notes_of(diary.ledger, diary.store, keys) == {k: make_note(t) for k, t in heard.items()}
    assert publisher.publish().recordings == 0
    assert publisher.live.stat().st_ino == before, "what users see did not change"
    assert merge(diary.ledger, diary.store, older_than_s=30 * DAY_S) == Merged(), "nothing is merged again and again"


def test_an_object_holds_a_recording_at_most_once_and_the_version_before_is_there_whole(diary: Diary) -> None:
    first = grown(diary)[0]
    merge(diary.ledger, diary.store, older_than_s=30 * DAY_S)
    with diary.ledger.reading() as conn:
        versions = [h for h in log_objects.history_of(conn, [first.key]) if h.kind == "transcript"]
    said = {}
    for h in versions:
        rows = pq.read_table(diary.store.path(f"{h.object_id}/segments.parquet"), partitioning=None).to_pylist()
        said[h.version] = [r["text"] for r in rows if r["recording_key"] == first.key and r["text"]]
        whole = pq.read_table(diary.store.path(f"{h.object_id}/transcripts.parquet"), partitioning=None).to_pylist()
        assert [r["version"] for r in whole if r["recording_key"] == first.key] == [h.version]
    swam, ran = (transcript_for(first, [text]).version for text in ("I swam.", "I ran."))
    assert said == {swam: ["I swam."], ran: ["I ran."]}


@pytest.mark.parametrize(
    ("older_than_s", "at_least", "why"),
    [(1e12, 8, "what may be rolled back to is left"), (30 * DAY_S, 100, "too few are left")],
)
def test_what_need_not_be_merged_is_left_alone(diary: Diary, older_than_s: float, at_least: int, why: str) -> None:
    grown(diary)
    before = known_objects(diary.ledger)
    assert merge(diary.ledger, diary.store, older_than_s=older_than_s, at_least=at_least) == Merged(), why
    assert known_objects(diary.ledger) == before


def test_objects_of_other_months_or_too_large_to_be_worth_it_are_not_merged(diary: Diary) -> None:
    grown(diary)
    smallest = 8 * 1000  # no object is smaller than 1 kB
    assert merge(diary.ledger, diary.store, older_than_s=30 * DAY_S, most_bytes=smallest) == Merged()
    with diary.ledger.writing() as tx:
        for month, seq in enumerate(tx.execute(commits.select().with_only_columns(commits.c.seq)).scalars().all()):
            earlier = LONG_AGO - month * 32 * DAY_S
            tx.execute(commits.update().where(commits.c.seq == seq).values(committed_at=earlier))
    assert merge(diary.ledger, diary.store, older_than_s=30 * DAY_S) == Merged()


class Meanwhile(FolderStore):
    """A store in whose first write something else happens."""

    def __init__(self, root: Path, event: Callable[[], object]) -> None:
        super().__init__(root)
        self.event: Callable[[], object] | None = event

    def put_folder(self, key: str, files: Mapping[str, Path]) -> int:
        size = super().put_folder(key, files)
        event, self.event = self.event, None
        if event is not None:
            event()
        return size


def store_in_which(diary: Diary, event: Callable[[], object]) -> Meanwhile:
    """Open the diary's store once more."""
    return Meanwhile(diary.store.root, event)  # type: ignore[attr-defined]


def test_a_version_committed_during_a_merge_is_the_one_that_is_read(diary: Diary) -> None:
    some = grown(diary)
    store = store_in_which(diary, lambda: diary.transcribe(some[1:2], ["I slept."]))
    merge(diary.ledger, store, older_than_s=30 * DAY_S)
    slept = transcript_for(some[1], ["I slept."])
    assert transcripts_of(diary.ledger, diary.store, [r.key for r in some[1:3]]) == {
        some[1].key: slept,
        some[2].key: transcript_for(some[2]),
    }
    age(diary.ledger)
    merge(diary.ledger, diary.store, older_than_s=30 * DAY_S)
    assert transcripts_of(diary.ledger, diary.store, [some[1].key]) == {some[1].key: slept}


def test_what_is_hidden_during_a_merge_can_still_be_taken_out(diary: Diary) -> None:
    some = grown(diary)
    gone = some[1].key
    merge(diary.ledger, store_in_which(diary, lambda: hide(diary.ledger, gone)), older_than_s=30 * DAY_S)
    rewrite_without(diary.ledger, diary.store, {gone})
    assert gone not in left_in_store(diary)
    others = [r.key for r in some if r.key != gone]
    assert set(transcripts_of(diary.ledger, diary.store, others)) == set(others)


def test_what_is_hidden_before_a_merge_is_not_carried_on(diary: Diary) -> None:
    some = grown(diary)
    hide(diary.ledger, some[1].key)
    merge(diary.ledger, diary.store, older_than_s=30 * DAY_S)
    assert some[1].key not in left_in_store(diary)
    with diary.ledger.reading() as conn:
        assert log_objects.objects_of(conn, [some[1].key]) == []


def test_objects_that_erasure_rewrites_during_a_merge_are_left_for_the_next(diary: Diary) -> None:
    some = grown(diary)
    gone = some[1].key

    def erase() -> None:
        hide(diary.ledger, gone)
        rewrite_without(diary.ledger, diary.store, {gone})

    assert merge(diary.ledger, store_in_which(diary, erase), older_than_s=30 * DAY_S) == Merged()
    assert merge(diary.ledger, diary.store, older_than_s=30 * DAY_S).into == 4
    assert gone not in left_in_store(diary)
    committed, pointed = known_objects(diary.ledger)
    assert committed == pointed == {k.rpartition("/")[0] for k in diary.store.list("catalogue/")}
    others = [r.key for r in some if r.key != gone]
    assert set(transcripts_of(diary.ledger, diary.store, others)) == set(others)


def test_two_merges_at_once_do_the_work_once(diary: Diary) -> None:
    some = grown(diary)
    other: list[Merged] = []
    store = store_in_which(diary, lambda: other.append(merge(diary.ledger, diary.store, older_than_s=30 * DAY_S)))
    mine = merge(diary.ledger, store, older_than_s=30 * DAY_S)
    assert (mine, other[0].objects) == (Merged(), 22)
    keys = [r.key for r in some]
    assert set(transcripts_of(diary.ledger, diary.store, keys)) == set(keys)


def test_users_can_go_back_and_forward_as_before_a_merge(diary: Diary) -> None:
    first = grown(diary)[0]

    def shown() -> list[tuple[str, str, str | None, bool]]:
        with diary.ledger.reading() as conn:
            return [(v.stage, v.version, v.made_with, v.current) for v in kept(conn, first.key)]

    before = shown()
    merge(diary.ledger, diary.store, older_than_s=30 * DAY_S)
    assert shown() == before[:4], "the current and the previous transcript, each with its note"
    assert all(made_with for stage, _, made_with, _ in before if stage == "note")
    assert show_previous(diary.ledger, first.key).note is not None
    assert transcripts_of(diary.ledger, diary.store, [first.key])[first.key].text == "I ran."
    show_version(diary.ledger, first.key, before[0][1])
    assert shown() == before[:4]
