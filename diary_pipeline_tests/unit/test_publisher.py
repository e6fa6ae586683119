"""The published file is always whole, always one commit's truth, and follows the ledger's pointers."""

import datetime as dt
import multiprocessing
import random
import stat
import threading
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.catalogue.read import transcript_of
from diary_pipeline.catalogue.schema import SCHEMA_VERSION
from diary_pipeline.core.errors import NotFound
from diary_pipeline.core.note import Completion, NoteItem, Task
from diary_pipeline.ledger.clock import clock_now
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.publications import published_watermark
from diary_pipeline.ledger.tables import clock, pointers
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.diaries import SAID, Diary

PROCESSES = multiprocessing.get_context("forkserver")


@pytest.fixture
def ledger_url(tmp_path: Path) -> str:
    """A SQLite file; that PostgreSQL keeps the same promises is proved by contract/test_commits.py."""
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def diary(ledger: Ledger, tmp_path: Path) -> Diary:
    """A diary nobody has begun yet."""
    return Diary(ledger, FolderStore(tmp_path / "objects"))


@pytest.fixture
def publisher(diary: Diary, tmp_path: Path) -> Publisher:
    """Its publisher."""
    return Publisher(diary.ledger, diary.store, tmp_path / "home" / "catalogue.duckdb")


def rows(live: Path, sql: str) -> list[tuple[Any, ...]]:
    """Ask the published file."""
    with duckdb.connect(str(live), read_only=True) as db:
        return db.execute(sql).fetchall()


def erase(ledger: Ledger, subject: str) -> None:
    """Move all pointers of a subject to nothing, as erasure does."""
    with ledger.writing() as tx:
        tx.execute(clock.update().values(n=clock.c.n + 1))
        seq = tx.execute(sa.select(clock.c.n)).scalar_one()
        mine = pointers.update().where(pointers.c.subject == subject)
        tx.execute(mine.values(object_id=None, version=None, seq=seq))


def litter(publisher: Publisher) -> set[str]:
    """Return what lies beside the published file, its lock and its spare."""
    around = publisher.live.parent
    files = {str(p.relative_to(around)) for p in around.rglob("*") if p.is_file()}
    spare = f".{publisher.live.name}.twin/spare.duckdb"
    return files - {publisher.live.name, f".{publisher.live.name}.lock", spare}


def test_an_empty_catalogue_can_be_queried(publisher: Publisher) -> None:
    assert publisher.publish().watermark == 0
    assert rows(publisher.live, "SELECT count(*) FROM notes") == [(0,)]
    assert rows(publisher.live, "SELECT watermark, schema_version FROM catalogue_state") == [(0, SCHEMA_VERSION)]


def test_what_is_committed_is_published_once(diary: Diary, publisher: Publisher) -> None:
    some = diary.accept("walk.m4a", "bread.m4a")
    diary.transcribe(some)
    diary.write(some)
    done = publisher.publish()
    assert (done.watermark, done.recordings) == (2, 2)
    with diary.ledger.reading() as conn:
        assert published_watermark(conn) == 2
    keys = sorted(r.key for r in some)
    said = "SELECT recording_key, status, commit_seq, user_id FROM recordings ORDER BY 1"
    assert rows(publisher.live, said) == [(key, "completed", 2, "me") for key in keys]
    segments = "SELECT text FROM segments WHERE recording_key = '{}' AND kind = 'speech' ORDER BY segment_id"
    assert rows(publisher.live, segments.format(keys[0])) == [(text,) for text in SAID]
    assert rows(publisher.live, "SELECT markdown FROM notes ORDER BY 1") == [(f"# {key}\n",) for key in keys]
    assert rows(publisher.live, "SELECT quote = text, count(*) FROM note_items GROUP BY 1") == [(True, 4)]
    checks = "SELECT check_name, stage, count(*) FROM checks GROUP BY ALL ORDER BY 1"
    assert rows(publisher.live, checks) == [
        ("quotes_verbatim", "note", 2),
        ("transcript_covers_audio", "transcript", 2),
    ]
    assert stat.S_IMODE(publisher.live.stat().st_mode) == 0o400
    before = publisher.live.stat().st_ino
    again = publisher.publish()
    assert (again.watermark, again.recordings, publisher.live.stat().st_ino) == (2, 0, before)
    assert litter(publisher) == set()


def test_the_transcript_can_be_queried_before_the_note_is_written(diary: Diary, publisher: Publisher) -> None:
    some = diary.accept("walk.m4a")
    diary.transcribe(some)
    assert publisher.publish().recordings == 1
    counts = "SELECT (SELECT count(*) FROM segments), (SELECT count(*) FROM recordings)"
    assert rows(publisher.live, counts) == [(4, 0)]
    diary.write(some)
    assert publisher.publish().watermark == 2
    assert rows(publisher.live, counts) == [(4, 1)]


def test_a_new_version_replaces_the_old_one_and_leaves_the_rest_alone(diary: Diary, publisher: Publisher) -> None:
    walk, bread = some = diary.accept("walk.m4a", "bread.m4a")
    diary.transcribe(some)
    diary.write(some)
    publisher.publish()
    diary.transcribe([walk], said=["I ran."])
    publisher.publish()
    notes = "SELECT recording_key, summary, commit_seq FROM notes ORDER BY commit_seq, 1"
    old = [(key, " ".join(SAID), 2) for key in sorted((walk.key, bread.key))]
    assert rows(publisher.live, notes) == old, "the older note stays until its successor is there"
    diary.write([walk], said=["I ran."])
    publisher.publish()
    assert rows(publisher.live, notes) == [(bread.key, " ".join(SAID), 2), (walk.key, "I ran.", 4)]
    spoken = "SELECT text FROM segments WHERE text <> '' ORDER BY text"
    assert rows(publisher.live, spoken) == [("I ran.",), *((text,) for text in SAID)]
    assert rows(publisher.live, "SELECT count(*) FROM checks") == [(4,)]
    assert rows(publisher.live, "SELECT count(*), count(DISTINCT recording_key) FROM recordings") == [(2, 2)]


def test_a_failure_is_told_until_it_is_put_right(diary: Diary, publisher: Publisher) -> None:
    some = diary.accept("walk.m4a")
    diary.fail("transcript", some)
    publisher.publish()
    outcome = "SELECT recording_key, status, failed_stage, reason_code, duration_s IS NULL FROM recordings"
    assert rows(publisher.live, outcome) == [(some[0].key, "failed", "transcript", "audio_truncated", True)]
    diary.transcribe(some)
    diary.write(some)
    publisher.publish()
    assert rows(publisher.live, outcome) == [(some[0].key, "completed", None, None, False)]


def test_a_refusal_is_told_without_a_key_and_can_be_erased(diary: Diary, publisher: Publisher) -> None:
    refused = [diary.refuse(name) for name in ("a.txt", "b.txt")]
    publisher.publish()
    told = "SELECT submission_id, recording_key, status, reason_code, file_name FROM recordings ORDER BY file_name"
    a, b = ((i, None, "refused", "audio_empty", name) for i, name in zip(refused, ("a.txt", "b.txt"), strict=True))
    assert rows(publisher.live, told) == [a, b]
    erase(diary.ledger, refused[0])
    publisher.publish()
    assert rows(publisher.live, told) == [b]


def test_an_erased_recording_leaves_every_table(diary: Diary, publisher: Publisher) -> None:
    walk, bread = some = diary.accept("walk.m4a", "bread.m4a")
    diary.transcribe(some)
    diary.write(some)
    publisher.publish()
    erase(diary.ledger, walk.key)
    assert publisher.publish().watermark == 3
    for table in ("recordings", "segments", "notes", "note_items", "checks"):
        assert rows(publisher.live, f"SELECT DISTINCT recording_key FROM {table}") == [(bread.key,)], table


def test_a_reader_keeps_the_snapshot_it_opened(diary: Diary, publisher: Publisher) -> None:
    diary.transcribe(diary.accept("walk.m4a"))
    publisher.publish()
    with duckdb.connect(str(publisher.live), read_only=True) as reader:
        for n in range(2):
            diary.transcribe(diary.accept(f"later {n}.m4a"))
            publisher.publish()
            assert reader.execute("SELECT count(DISTINCT recording_key) FROM segments").fetchone() == (1,)
    assert rows(publisher.live, "SELECT count(DISTINCT recording_key) FROM segments") == [(3,)]


def other_schema(live: Path) -> None:
    live.chmod(0o600)
    with duckdb.connect(str(live)) as db:
        db.execute("UPDATE catalogue_state SET schema_version = 0")


def damaged(live: Path) -> None:
    live.chmod(0o600)
    live.write_bytes(b"not a database" * 1000)


def from_the_future(live: Path) -> None:
    live.chmod(0o600)
    with duckdb.connect(str(live)) as db:
        db.execute("UPDATE catalogue_state SET watermark = 99")
        db.execute("DELETE FROM data.notes")


def lost(live: Path) -> None:
    live.unlink()


@pytest.mark.parametrize("accident", [other_schema, damaged, from_the_future, lost])
def test_the_file_can_be_rebuilt_from_the_log(diary: Diary, publisher: Publisher, accident: Any) -> None:
    some = diary.accept("walk.m4a", "bread.m4a")
    diary.transcribe(some)
    diary.write(some)
    diary.refuse("a.txt")
    publisher.publish()
    tables = ("recordings", "segments", "notes", "note_items", "checks")
    before = [rows(publisher.live, f"FROM {table} ORDER BY ALL") for table in tables]
    accident(publisher.live)
    assert publisher.publish().recordings == 3
    assert [rows(publisher.live, f"FROM {table} ORDER BY ALL") for table in tables] == before


def test_what_a_killed_publisher_left_is_removed(diary: Diary, publisher: Publisher) -> None:
    publisher.publish()
    room = publisher.live.parent / ".catalogue.duckdb.twin"
    for name in ("next.duckdb", "next.duckdb.wal"):
        (room / name).write_bytes(b"half")
    (room / "next.duckdb.tmp").mkdir()
    diary.transcribe(diary.accept("walk.m4a"))
    assert publisher.publish().watermark == 1
    assert litter(publisher) == set()


def test_a_missing_object_is_named_and_the_old_file_stays(diary: Diary, publisher: Publisher) -> None:
    publisher.publish()
    diary.transcribe(diary.accept("walk.m4a"))
    with diary.ledger.reading() as conn:
        object_id = str(conn.execute(sa.select(pointers.c.object_id)).scalar_one())
    diary.store.delete(object_id)
    with pytest.raises(NotFound, match=object_id):
        publisher.publish()
    assert rows(publisher.live, "SELECT watermark FROM catalogue_state") == [(0,)]
    assert litter(publisher) == set()


def test_an_object_of_an_older_program_is_read_and_is_null_where_it_lacks_a_column(
    diary: Diary, publisher: Publisher, tmp_path: Path
) -> None:
    lacking = "raw_text, reason, risks, rung, model_sha256, language_probability"
    [walk] = diary.accept("walk.m4a")
    diary.transcribe([walk])
    [key] = [k for k in diary.store.list("catalogue/") if k.endswith("/segments.parquet")]
    older = tmp_path / "older.parquet"
    with duckdb.connect() as db:
        source = diary.store.path(key)
        db.execute(f"COPY (SELECT * EXCLUDE ({lacking}) FROM '{source}') TO '{older}'")
    diary.store.put_file(key, older)
    transcript = transcript_of(diary.ledger, diary.store, walk.key)
    assert transcript is not None and [s.text for s in transcript.speech] == list(SAID)
    [bread] = diary.accept("bread.m4a")
    diary.transcribe([bread])
    publisher.publish()
    told = f"SELECT DISTINCT recording_key, {lacking} FROM segments ORDER BY ALL"
    told_of_older = (walk.key, *(None,) * 6)
    assert told_of_older in rows(publisher.live, told)
    risks = "SELECT DISTINCT recording_key, risks FROM segments ORDER BY 1"
    assert rows(publisher.live, risks) == [(bread.key, []), (walk.key, None)]


def test_two_publishers_at_once_take_turns(diary: Diary, publisher: Publisher) -> None:
    for n in range(6):
        diary.transcribe(diary.accept(f"memo {n}.m4a"))
    other = Publisher(diary.ledger, diary.store, publisher.live)
    folded: list[int] = []
    threads = [threading.Thread(target=lambda p=p: folded.append(p.publish().recordings)) for p in (publisher, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(folded) == [0, 6]
    assert rows(publisher.live, "SELECT count(DISTINCT recording_key) FROM segments") == [(6,)]


def publish_for_ever(url: str, objects: Path, live: Path) -> None:
    """Be a publisher that somebody kills."""
    publisher = Publisher(open_ledger(url), FolderStore(objects), live)
    while True:
        publisher.publish()


WHOLE = """
WITH n AS (SELECT recording_key k, count(*) c FROM notes GROUP BY 1),
     i AS (SELECT recording_key k, count(*) c FROM note_items GROUP BY 1),
     s AS (SELECT recording_key k, count(*) c, count(DISTINCT segment_id) d FROM segments GROUP BY 1),
     r AS (SELECT recording_key k, count(*) c FROM recordings GROUP BY 1),
     b AS (SELECT commit_seq q, count(*) c FROM notes GROUP BY 1)
SELECT (SELECT count(*) FROM n) AS seen,
       (SELECT count(*) FROM n WHERE c > 1) + (SELECT count(*) FROM r WHERE c > 1)
       + (SELECT count(*) FROM s WHERE c <> d) AS doubled,
       (SELECT count(*) FROM b WHERE c <> 4)
       + (SELECT count(*) FROM n LEFT JOIN i USING (k) WHERE i.c IS DISTINCT FROM 2)
       + (SELECT count(*) FROM r LEFT JOIN s USING (k) WHERE s.c IS DISTINCT FROM 4) AS torn
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_loses_doubles_and_tears_nothing(
    diary: Diary, publisher: Publisher, ledger_url: str, tmp_path: Path
) -> None:
    PROCESSES.set_forkserver_preload([__name__])
    publisher.publish()
    moments = random.Random(7)
    committed = within = 0
    for _ in range(15):
        before = rows(publisher.live, "SELECT watermark FROM catalogue_state")
        victim = PROCESSES.Process(target=publish_for_ever, args=(ledger_url, tmp_path / "objects", publisher.live))
        victim.start()
        deadline = time.monotonic() + 30  # for starting; its end is drawn once it has published something
        at_work = False
        while time.monotonic() < deadline:
            batch = diary.accept(*(f"memo {committed + n}.m4a" for n in range(4)))
            diary.transcribe(batch)
            diary.write(batch)
            committed += len(batch)
            seen, doubled, torn = rows(publisher.live, WHOLE)[0]
            assert (doubled, torn) == (0, 0)
            assert seen <= committed
            if not at_work and rows(publisher.live, "SELECT watermark FROM catalogue_state") > before:
                at_work, deadline = True, time.monotonic() + moments.uniform(0, 0.5)
        victim.kill()
        victim.join()
        assert at_work
        within += bool(litter(publisher))
        assert rows(publisher.live, WHOLE)[0][1:] == (0, 0)
    assert within, "some were killed while they published"
    publisher.publish()
    assert rows(publisher.live, WHOLE)[0] == (committed, 0, 0)
    with diary.ledger.reading() as conn:
        assert published_watermark(conn) == clock_now(conn)
    assert litter(publisher) == set()


def test_an_action_is_open_until_a_later_note_that_was_published_says_it_is_done(
    diary: Diary, publisher: Publisher
) -> None:
    asked, done = diary.accept("asked.m4a", "done.m4a")
    diary.transcribe([asked, done])
    todo = NoteItem(0, "action", "Buy bread.", 0, 0.0, 1.0, "bread", task=Task("buy", ("bread",)))
    diary.write([asked], items=(todo,), note_date=dt.date(2026, 3, 6))
    publisher.publish()
    assert rows(publisher.live, "SELECT status, done_recording_key FROM action_items") == [("open", None)]
    bought = Completion(
        "Then I bought bread.", 2, 3.0, 4.0, "bought", "done", dt.date(2026, 3, 7), ("buy",), ("bread",)
    )
    diary.write([done], completions=(bought,), note_date=dt.date(2026, 3, 7))
    publisher.publish()
    assert rows(publisher.live, "SELECT status, done_recording_key FROM action_items") == [("done", done.key)]
