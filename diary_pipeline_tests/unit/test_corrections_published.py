"""Corrections in the published file: they show within one publish, survive what is made anew, and a rebuild agrees."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from diary_pipeline.catalogue.commit import FinishedTranscript, commit_transcripts
from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.catalogue.read import markdown_of
from diary_pipeline.core.batch import Check
from diary_pipeline.core.recording import Recording
from diary_pipeline.core.transcript import Segment
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.pointers import pointer
from diary_pipeline.ledger.tables import clock, pointers
from diary_pipeline.notes.batch import WriteNotes
from diary_pipeline.notes.editing import EditDiary
from diary_pipeline.notes.edits import Edit
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.upkeep.reconcile import reconcile
from diary_pipeline_tests.diaries import Diary, leases_of, transcript_for
from diary_pipeline_tests.note_builders import offline_notes

WALK = ("I walked by the river with Brea today.", "Then I bought bread at the market.")
RIVER = "I walked by the river with Priya today."
TABLES = ("recordings", "segments", "notes", "note_items", "completions", "checks", "corrections", "corrected_notes")


@pytest.fixture
def diary(tmp_path: Path) -> Iterator[Diary]:
    """A diary nobody has begun yet."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger' / 'ledger.db'}")
    yield Diary(ledger, FolderStore(tmp_path / "objects"))
    ledger.close()


@pytest.fixture
def publisher(diary: Diary, tmp_path: Path) -> Publisher:
    """Its publisher."""
    return Publisher(diary.ledger, diary.store, tmp_path / "home" / "catalogue.duckdb")


@pytest.fixture
def walk(diary: Diary, publisher: Publisher) -> Recording:
    """A published walk beside a published ride; "Brea" should be "Priya"."""
    walk, ride = diary.accept("walk.m4a", "ride.m4a")
    diary.transcribe([walk, ride], WALK)
    note(diary, walk, ride)
    publisher.publish()
    return walk


def note(diary: Diary, *some: Recording) -> None:
    """Have notes written."""
    report = WriteNotes(diary.ledger, diary.store, offline_notes())(diary.claim("note", some))
    assert {r.outcome for r in report.results} <= {"committed", "found"}


def edit(diary: Diary, recording: Recording, *edits: Edit, revert: Sequence[str] = ()) -> None:
    """Correct a recording."""
    EditDiary(diary.ledger, diary.store, offline_notes())(recording, edits, "me", revert)


def heard_anew(diary: Diary, recording: Recording, segments: Sequence[Segment], version: str = "f" * 16) -> None:
    """Commit another transcript."""
    batch = diary.claim("transcript", [recording])
    transcript = dataclasses.replace(transcript_for(recording, WALK), segments=tuple(segments), version=version)
    finished = FinishedTranscript(
        recording, leases_of(batch)[recording.key], transcript, (Check("transcript_covers_audio", True),)
    )
    assert commit_transcripts(diary.ledger, diary.store, [finished]).seq


def rows(live: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Ask the published file."""
    with duckdb.connect(str(live), read_only=True) as db:
        return db.execute(sql, list(values)).fetchall()


def everything(live: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row that lies in the file."""
    return {table: sorted(rows(live, f"SELECT * FROM data.{table}"), key=repr) for table in TABLES}


def published(diary: Diary, publisher: Publisher) -> Path:
    """Publish, and hold the file against one that is built from the whole log."""
    publisher.publish()
    other = Publisher(diary.ledger, diary.store, publisher.live.with_name("rebuilt.duckdb"))
    other.live.unlink(missing_ok=True)
    other.publish()
    assert everything(publisher.live) == everything(other.live)
    return publisher.live


SEGMENTS = "SELECT segment_id, text, machine_text, kind FROM segments WHERE recording_key = ? ORDER BY 1"
CORRECTIONS = "SELECT target, machine_text, text, placed, segment_id, item_id FROM corrections ORDER BY 1"


def test_a_corrected_segment_shows_with_the_next_publish_and_its_rows_are_new_to_who_reads_on(
    diary: Diary, publisher: Publisher, walk: Recording
) -> None:
    before = rows(publisher.live, "SELECT max(watermark) FROM catalogue_state")[0][0]
    edit(diary, walk, Edit("segment", RIVER, 0))
    live = published(diary, publisher)
    assert rows(live, SEGMENTS, walk.key)[0] == (0, RIVER, WALK[0], "speech")
    assert rows(live, SEGMENTS, walk.key)[2] == (2, WALK[1], None, "speech")
    assert rows(live, CORRECTIONS) == [("segment", WALK[0], RIVER, True, 0, None)]
    for table in ("segments", "notes", "note_items"):
        anew = f"SELECT DISTINCT recording_key FROM {table} WHERE commit_seq > ?"
        assert rows(live, anew, before) == [(walk.key,)]


def test_the_note_written_after_replaces_the_old_one_and_keeps_title_date_and_items(
    diary: Diary, publisher: Publisher, walk: Recording
) -> None:
    live = publisher.live
    [(claim, kind, gone)] = rows(
        live, "SELECT text, kind, item_id FROM note_items WHERE kind = 'event' AND recording_key = ? LIMIT 1", walk.key
    )
    [(machine_title,)] = rows(live, "SELECT title FROM notes WHERE recording_key = ?", walk.key)
    edit(diary, walk, Edit("title", "By the river"), Edit("note_date", "2026-03-05"), Edit("item", "Bread", gone))
    live = published(diary, publisher)
    told = "SELECT title, machine_title, CAST(note_date AS VARCHAR), markdown FROM notes WHERE recording_key = ?"
    [(title, machine, day, markdown)] = rows(live, told, walk.key)
    assert (title, machine, day) == ("By the river", machine_title, "2026-03-05")
    assert markdown.startswith("# By the river\n")
    assert "Bread [" in markdown
    assert markdown == markdown_of(diary.ledger, diary.store, walk.key)
    of_item = (
        "SELECT text, machine_text, correction FROM note_items WHERE recording_key = ? AND kind = ? AND item_id = ?"
    )
    assert rows(live, of_item, walk.key, kind, gone) == [("Bread", claim, "text")]

    edit(diary, walk, Edit("segment", RIVER, 0))
    note(diary, walk)
    live = published(diary, publisher)
    [(title, _, day, markdown)] = rows(live, told, walk.key)
    assert (title, day) == ("By the river", "2026-03-05")
    assert markdown.startswith("# By the river\n")
    assert "Priya" in markdown
    assert "Brea " not in markdown
    assert rows(live, "SELECT text FROM note_items WHERE kind = 'person' AND recording_key = ?", walk.key) == [
        ("Priya",)
    ]
    assert rows(live, "SELECT count(*) FROM note_items WHERE correction = 'text'") == [(1,)], "the item's, still"


def test_a_removed_item_is_not_shown_and_comes_back(diary: Diary, publisher: Publisher, walk: Recording) -> None:
    shown = "SELECT item_id, text FROM note_items WHERE recording_key = ? ORDER BY 1"
    before = rows(publisher.live, shown, walk.key)
    machine = markdown_of(diary.ledger, diary.store, walk.key)
    edit(diary, walk, Edit("removed_item", number=0))
    live = published(diary, publisher)
    assert rows(live, shown, walk.key) == before[1:]
    assert rows(live, "SELECT markdown FROM notes WHERE recording_key = ?", walk.key) != [(machine,)]
    edit(diary, walk, revert=["all"])
    live = published(diary, publisher)
    assert rows(live, shown, walk.key) == before
    assert rows(live, "SELECT markdown FROM notes WHERE recording_key = ?", walk.key) == [(machine,)]
    assert rows(live, CORRECTIONS) == []


def test_reverted_words_are_the_machines_again(diary: Diary, publisher: Publisher, walk: Recording) -> None:
    before = rows(publisher.live, SEGMENTS, walk.key)
    edit(diary, walk, Edit("segment", RIVER, 0), Edit("title", "By the river"))
    published(diary, publisher)
    edit(diary, walk, revert=["all"])
    live = published(diary, publisher)
    assert rows(live, SEGMENTS, walk.key) == before
    assert rows(live, "SELECT machine_title FROM notes") == [(None,), (None,)]


def test_a_correction_finds_its_words_in_a_transcript_that_is_cut_elsewhere(
    diary: Diary, publisher: Publisher, walk: Recording
) -> None:
    edit(diary, walk, Edit("segment", RIVER, 0))
    one, _, two, end = transcript_for(walk, WALK).segments
    joined = Segment(0, 0.0, two.end_s, "speech", f"{WALK[0]} {WALK[1]}", "en", words=(*one.words, *two.words))
    heard_anew(diary, walk, [joined, dataclasses.replace(end, id=1)])
    live = published(diary, publisher)
    assert rows(live, SEGMENTS, walk.key)[0] == (0, f"{RIVER} {WALK[1]}", f"{WALK[0]} {WALK[1]}", "speech")
    note(diary, walk)
    live = published(diary, publisher)
    people = "SELECT text FROM note_items WHERE kind = 'person' AND recording_key = ?"
    assert rows(live, people, walk.key) == [("Priya",)]
    assert rows(live, CORRECTIONS)[0][3:] == (True, 0, None)


def test_a_correction_of_words_that_are_gone_is_kept_and_placed_nowhere(
    diary: Diary, publisher: Publisher, walk: Recording
) -> None:
    edit(diary, walk, Edit("segment", RIVER, 0))
    one, pause, two, end = transcript_for(walk, WALK).segments
    other = dataclasses.replace(one, text="Something else was heard here by far.", words=())
    heard_anew(diary, walk, [other, pause, two, end])
    live = published(diary, publisher)
    assert rows(live, SEGMENTS, walk.key)[0] == (0, other.text, None, "speech")
    assert rows(live, CORRECTIONS) == [("segment", WALK[0], RIVER, False, None, None)]
    heard_anew(diary, walk, [one, pause, two, end], "e" * 16)
    live = published(diary, publisher)
    assert rows(live, SEGMENTS, walk.key)[0] == (0, RIVER, WALK[0], "speech"), "and it is back when they are"


def test_what_was_inaudible_reads_as_its_owner_says(diary: Diary, publisher: Publisher, walk: Recording) -> None:
    one, pause, two, end = transcript_for(walk, WALK).segments
    dark = dataclasses.replace(one, kind="inaudible", text="", reason="nothing_heard", words=(), language=None)
    heard_anew(diary, walk, [dark, pause, two, end])
    edit(diary, walk, Edit("segment", RIVER, 0))
    live = published(diary, publisher)
    assert rows(live, SEGMENTS, walk.key)[0] == (0, RIVER, "", "speech")
    edit(diary, walk, revert=["all"])
    live = published(diary, publisher)
    assert rows(live, SEGMENTS, walk.key)[0] == (0, "", None, "inaudible")


def test_what_is_erased_leaves_no_correction_in_the_file(diary: Diary, publisher: Publisher, walk: Recording) -> None:
    edit(diary, walk, Edit("segment", RIVER, 0), Edit("title", "By the river"))
    publisher.publish()
    with diary.ledger.writing() as tx:  # as erasure does
        tx.execute(clock.update().values(n=clock.c.n + 1))
        seq = tx.execute(sa.select(clock.c.n)).scalar_one()
        mine = pointers.update().where(pointers.c.subject == walk.key)
        tx.execute(mine.values(object_id=None, version=None, seq=seq))
    live = published(diary, publisher)
    for table in TABLES:
        found = f"SELECT count(*) FROM data.{table} WHERE recording_key = ?"
        assert rows(live, found, walk.key) == [(0,)], table


def test_a_note_to_which_the_pointer_is_moved_back_reads_with_the_corrections(
    diary: Diary, publisher: Publisher, walk: Recording
) -> None:
    with diary.ledger.reading() as conn:
        first = pointer(conn, walk.key, "note")
    edit(diary, walk, Edit("segment", RIVER, 0), Edit("title", "By the river"))
    note(diary, walk)
    assert first is not None
    with diary.ledger.writing() as tx:  # as a roll-back does
        tx.execute(clock.update().values(n=clock.c.n + 1))
        seq = tx.execute(sa.select(clock.c.n)).scalar_one()
        mine = (pointers.c.subject == walk.key) & (pointers.c.kind == "note")
        tx.execute(pointers.update().where(mine).values(object_id=first.object_id, version=first.version, seq=seq))
    assert EditDiary(diary.ledger, diary.store, offline_notes()).show_again(walk) == seq + 1
    live = published(diary, publisher)
    [(title, markdown)] = rows(live, "SELECT title, markdown FROM notes WHERE recording_key = ?", walk.key)
    assert title == "By the river"
    assert markdown.startswith("# By the river\n")
    assert "Brea" in markdown


def differences(diary: Diary, publisher: Publisher, months: int = 0) -> list[tuple[str, str]]:
    """Reconcile, and return what was found."""
    found = reconcile(diary.ledger, diary.store, publisher.live, months=months, refused_kept_s=0).findings
    return [(f.difference, f.detail) for f in found if f.difference != "missing_audio"]


def test_a_corrected_diary_differs_in_nothing(diary: Diary, publisher: Publisher, walk: Recording) -> None:
    for correction in (Edit("title", "By the river again"), Edit("segment", RIVER, 0)):
        edit(diary, walk, correction)
        assert differences(diary, publisher) == [], "what is not published yet is the next publish's"
        publisher.publish()
        assert [differences(diary, publisher, months) for months in (0, 1)] == [[], []]
    note(diary, walk)
    publisher.publish()
    assert differences(diary, publisher) == []


def test_rows_of_a_corrected_diary_follow_their_pointers_again(
    diary: Diary, publisher: Publisher, walk: Recording
) -> None:
    edit(diary, walk, Edit("title", "By the river again"))
    publisher.publish()
    publisher.live.chmod(0o600)
    with duckdb.connect(str(publisher.live)) as db:
        before = db.execute("SELECT * EXCLUDE commit_seq FROM notes ORDER BY recording_key").fetchall()
        db.execute("DELETE FROM data.notes")
    assert len(differences(diary, publisher)) == 2
    publisher.publish()
    assert differences(diary, publisher) == []
    assert rows(publisher.live, "SELECT * EXCLUDE commit_seq FROM notes ORDER BY recording_key") == before
