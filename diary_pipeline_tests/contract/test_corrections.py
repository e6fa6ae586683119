"""What a correction promises, on SQLite and on PostgreSQL: nothing is lost, nothing happens twice, only its own note is
written again."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from diary_pipeline.catalogue.corrections import commit_corrections, correctable
from diary_pipeline.catalogue.read import heard_of, note_of, transcript_of
from diary_pipeline.core.correction import EDITED
from diary_pipeline.core.errors import DiaryError, NotFound, TransientError, UsageError
from diary_pipeline.core.owner import Owner
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger.clock import clock_now
from diary_pipeline.ledger.commits import Change, Committed, record
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.pointers import Pointer, pointer
from diary_pipeline.ledger.stale import plan_stale
from diary_pipeline.ledger.tables import clock, commits, history, pointers, work
from diary_pipeline.notes.batch import WriteNotes
from diary_pipeline.notes.editing import EditDiary
from diary_pipeline.notes.edits import Edit
from diary_pipeline.notes.offline.notes import OfflineNotes
from diary_pipeline.notes.renderers.template import Templates
from diary_pipeline.notes.stale import StaleNotes
from diary_pipeline.notes.writer import ToWrite, Written
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.storage.keys import catalogue_object_id
from diary_pipeline_tests.diaries import Diary
from diary_pipeline_tests.note_builders import offline_notes

WALK = ("I walked by the river with Brea today.", "Then I bought bread at the market.")


@pytest.fixture
def diary(ledger: Ledger, tmp_path: Path) -> Diary:
    """A diary nobody has begun yet."""
    return Diary(ledger, FolderStore(tmp_path / "objects"))


@pytest.fixture
def walk(diary: Diary) -> Recording:
    """A walk with its note; "Brea" should be "Priya"."""
    return ended(diary, "walk.m4a")


@pytest.fixture
def edit(diary: Diary) -> EditDiary:
    """What corrects it."""
    return EditDiary(diary.ledger, diary.store, offline_notes())


def ended(diary: Diary, name: str) -> Recording:
    """Accept, transcribe and note a recording."""
    [recording] = diary.accept(name)
    diary.transcribe([recording], WALK)
    noted(diary, recording)
    return recording


def noted(diary: Diary, recording: Recording) -> str:
    """Write the note and return how that ended."""
    write = WriteNotes(diary.ledger, diary.store, offline_notes())
    [result] = write(diary.claim("note", [recording])).results
    return result.outcome


def state(ledger: Ledger, recording: Recording) -> tuple[str, bool]:
    """Return what is to do about a note."""
    with ledger.reading() as conn:
        asked = sa.select(work.c.state, work.c.wanted).where(work.c.recording_key == recording.key)
        return tuple(conn.execute(asked.where(work.c.stage == "note")).one())


def at(ledger: Ledger, recording: Recording, kind: Any) -> Pointer | None:
    """Return a pointer of a recording."""
    with ledger.reading() as conn:
        return pointer(conn, recording.key, kind)


def head(ledger: Ledger) -> int:
    """Return the clock."""
    with ledger.reading() as conn:
        return clock_now(conn)


def text(diary: Diary, recording: Recording) -> str:
    """Return what was said, as users read it."""
    said = transcript_of(diary.ledger, diary.store, recording.key)
    assert said is not None
    return said.text


def corrected(number: int, to: str) -> Edit:
    """Correct a segment."""
    return Edit("segment", to, number)


PRIYA = corrected(0, "I walked by the river with Priya today.")


def test_a_segment_reads_as_corrected_and_only_its_own_note_is_planned_again(
    diary: Diary, walk: Recording, edit: EditDiary
) -> None:
    other = ended(diary, "other.m4a")
    before = at(diary.ledger, walk, "note")
    done = edit(walk, [PRIYA], "me")
    assert (done.seq, done.is_said_anew) == (head(diary.ledger), True)
    assert "with Priya today" in text(diary, walk)
    machine = heard_of(diary.ledger, diary.store, [walk.key])[walk.key]
    assert machine.text == " ".join(WALK), "the machine's words stay"
    assert state(diary.ledger, walk) == ("ready", True)
    assert state(diary.ledger, other) == ("done", False)
    with diary.ledger.reading() as conn:
        speech = conn.execute(sa.select(work.c.state).where(work.c.stage == "transcript")).scalars().all()
    assert set(speech) == {"done"}, "nobody is heard again"
    note = at(diary.ledger, walk, "note")
    assert before and note and (note.seq, note.object_id, note.made_with) == (before.seq, before.object_id, EDITED)


def test_the_note_written_after_tells_the_corrected_name_and_quotes_it(
    diary: Diary, walk: Recording, edit: EditDiary
) -> None:
    edit(walk, [PRIYA], "me")
    assert noted(diary, walk) == "committed"
    note = note_of(diary.ledger, diary.store, walk.key)
    assert note is not None
    assert [i.text for i in note.of("person")] == ["Priya"]
    assert any("Priya" in i.quote for i in note.items)
    assert not any("Brea" in told for i in note.items for told in (i.text, i.quote))
    said = transcript_of(diary.ledger, diary.store, walk.key)
    assert said is not None
    assert note.transcript_version == said.version != said.heard_version
    assert state(diary.ledger, walk) == ("done", False)
    found = at(diary.ledger, walk, "note")
    assert found and found.made_with != EDITED
    assert noted(diary, walk) == "found", "it is current"


def test_an_edit_while_the_note_is_written_has_it_written_again(diary: Diary, walk: Recording, edit: EditDiary) -> None:
    edit(walk, [corrected(2, "Then I bought bread at the bakery.")], "me")
    batch = diary.claim("note", [walk])
    edit(walk, [PRIYA], "me")
    [late] = WriteNotes(diary.ledger, diary.store, offline_notes())(batch).results
    assert (late.outcome, late.code) == ("skipped", "fenced")
    assert state(diary.ledger, walk) == ("ready", True)
    assert noted(diary, walk) == "committed"
    note = note_of(diary.ledger, diary.store, walk.key)
    assert note is not None
    assert [i.text for i in note.of("person")] == ["Priya"]


def test_a_title_given_while_the_note_is_written_is_in_what_is_shown(
    diary: Diary, walk: Recording, edit: EditDiary
) -> None:
    edit(walk, [PRIYA], "me")
    batch = diary.claim("note", [walk])
    assert edit(walk, [Edit("title", "By the river")], "me").is_said_anew is False
    [first] = WriteNotes(diary.ledger, diary.store, offline_notes())(batch).results
    assert first.preview.startswith("# By the river\n")
    note = note_of(diary.ledger, diary.store, walk.key)
    assert note is not None
    assert note.title == "By the river"


def test_a_note_that_was_rendered_before_the_last_correction_is_dropped_and_planned_again(
    diary: Diary, walk: Recording, edit: EditDiary
) -> None:
    edit(walk, [PRIYA], "me")

    class Slow(OfflineNotes):
        """A writer during whose work a title is given."""

        def write(self, asked: Sequence[ToWrite], run: str) -> Iterator[tuple[str, Written | Exception]]:
            """Write, but somebody was faster."""
            edit(walk, [Edit("title", "By the river")], "me")
            return super().write(asked, run)

    slow = WriteNotes(diary.ledger, diary.store, Slow(Owner, lambda _: Templates()))
    [late] = slow(diary.claim("note", [walk])).results
    assert (late.outcome, late.code) == ("skipped", "transcript_replaced")
    assert state(diary.ledger, walk) == ("ready", True)
    assert noted(diary, walk) == "committed"


@pytest.mark.parametrize(
    "asked",
    [
        Edit("title", "By the river"),
        Edit("note_date", "2026-03-05"),
        Edit("item", "Walked with Priya", 0),
        Edit("removed_item", number=0),
    ],
    ids=lambda e: e.target,
)
def test_what_is_shown_alone_writes_no_note_again(diary: Diary, walk: Recording, edit: EditDiary, asked: Edit) -> None:
    before = at(diary.ledger, walk, "note")
    assert edit(walk, [asked], "me").is_said_anew is False
    assert state(diary.ledger, walk) == ("done", False)
    assert at(diary.ledger, walk, "note") == before


def test_the_same_edit_twice_changes_nothing(diary: Diary, walk: Recording, edit: EditDiary) -> None:
    edit(walk, [PRIYA, Edit("title", "By the river")], "me")
    seq, objects = head(diary.ledger), len(list(diary.store.list("catalogue/")))
    assert edit(walk, [PRIYA, Edit("title", "By the river")], "you").seq == 0
    assert (head(diary.ledger), len(list(diary.store.list("catalogue/")))) == (seq, objects)


def test_correcting_a_place_again_replaces_the_correction(diary: Diary, walk: Recording, edit: EditDiary) -> None:
    edit(walk, [PRIYA], "me")
    edit(walk, [corrected(0, "I walked by the river with Prija today.")], "me")
    assert "Prija" in text(diary, walk)
    made = correctable(diary.ledger, diary.store, walk).corrections.made
    assert [(c.machine_text, c.text) for c in made] == [(WALK[0], "I walked by the river with Prija today.")]
    edit(walk, [corrected(0, WALK[0])], "me")
    assert correctable(diary.ledger, diary.store, walk).corrections.made == (), "the machine was right"


def test_reverting_gives_the_machines_words_back_and_the_note_that_stands_is_good_again(
    diary: Diary, walk: Recording, edit: EditDiary
) -> None:
    edit(walk, [PRIYA, Edit("title", "By the river")], "me")
    made = {c.target: c.id for c in correctable(diary.ledger, diary.store, walk).corrections.made}
    edit(walk, [], "me", [made["title"]])
    note = note_of(diary.ledger, diary.store, walk.key)
    assert note and note.title != "By the river"
    assert "Priya" in text(diary, walk)
    edit(walk, [], "me", ["all"])
    assert text(diary, walk) == " ".join(WALK)
    assert noted(diary, walk) == "committed"
    found = at(diary.ledger, walk, "note")
    assert found and found.made_with != EDITED
    assert state(diary.ledger, walk) == ("done", False)


def test_of_two_who_edit_at_once_neither_loses_anything(diary: Diary, walk: Recording) -> None:
    wanted = [PRIYA, corrected(2, "Then I bought bread at the bakery."), Edit("title", "One"), Edit("item", "Two", 0)]
    wanted += [Edit("note_date", "2026-03-05"), Edit("item", "Three", 1)]
    start = threading.Barrier(len(wanted))
    failed: list[Exception] = []

    def one(asked: Edit) -> None:
        try:
            start.wait()
            EditDiary(diary.ledger, diary.store, offline_notes())(walk, [asked], asked.target)
        except Exception as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=one, args=[asked]) for asked in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    made = correctable(diary.ledger, diary.store, walk).corrections.made
    assert sorted(c.text for c in made) == sorted(e.text for e in wanted)
    with diary.ledger.reading() as conn:
        kept = conn.execute(sa.select(history.c.object_id).where(history.c.kind == "correction")).scalars().all()
        told = conn.execute(sa.select(commits.c.object_id).where(commits.c.kind == "correction")).scalars().all()
    objects = {key.rpartition("/")[0] for key in diary.store.list("catalogue/") if "/correction-" in key}
    assert set(kept) == set(told) == objects, "who had to try again left no object behind"
    assert len(kept) == len(wanted)


def test_an_erased_recording_takes_no_correction_and_no_object_stays(diary: Diary, walk: Recording) -> None:
    before = correctable(diary.ledger, diary.store, walk)
    with diary.ledger.writing() as tx:
        tx.execute(clock.update().values(n=clock.c.n + 1))
        tx.execute(pointers.update().values(object_id=None, version=None, seq=sa.select(clock.c.n).scalar_subquery()))
    objects = sorted(diary.store.list("catalogue/"))
    with pytest.raises(NotFound) as refused:
        commit_corrections(diary.ledger, diary.store, before, before.having(()), "")
    assert refused.value.code == "recording_missing"
    assert sorted(diary.store.list("catalogue/")) == objects
    with pytest.raises(NotFound, match="no transcript"):
        EditDiary(diary.ledger, diary.store, offline_notes())(walk, [PRIYA], "me")


def test_numbers_of_a_note_that_is_gone_mean_nothing(diary: Diary, walk: Recording, edit: EditDiary) -> None:
    seen = correctable(diary.ledger, diary.store, walk).seen
    edit(walk, [PRIYA], "me", seen=seen)
    edit(walk, [corrected(2, "Then I bought bread at the bakery.")], "me", seen=seen)
    noted(diary, walk)
    with pytest.raises(TransientError) as refused:
        edit(walk, [Edit("item", "x", 0)], "me", seen=seen)
    assert refused.value.code == "correction_stale"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (corrected(1, "x"), "segment_missing"),
        (corrected(99, "x"), "segment_missing"),
        (Edit("item", "x", 99), "item_missing"),
        (Edit("item", " ", 0), "correction_empty"),
        (Edit("title", ""), "correction_empty"),
        (Edit("title", "x" * 201), "correction_too_long"),
        (Edit("title", "\0\x1b"), "correction_empty"),  # what no line of text holds counts as space
        (Edit("note_date", "yesterday"), "date_invalid"),
        (Edit("title", "x" * 20_001), "correction_too_long"),
        (None, "correction_missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_corrected_says_so_and_commits_nothing(
    diary: Diary, walk: Recording, edit: EditDiary, asked: Edit | None, code: str
) -> None:
    seq = head(diary.ledger)
    with pytest.raises(DiaryError) as refused:
        edit(walk, [asked] if asked else [], "me", [] if asked else ["000000000000"])
    assert isinstance(refused.value, NotFound | UsageError)
    assert (refused.value.code, head(diary.ledger)) == (code, seq)


def test_a_silent_recording_has_no_note_to_correct(diary: Diary, edit: EditDiary) -> None:
    [silent] = diary.accept("silent.m4a")
    diary.transcribe([silent], ())
    noted(diary, silent)
    with pytest.raises(NotFound) as refused:
        edit(silent, [Edit("title", "Nothing")], "me")
    assert refused.value.code == "note_missing"


def test_a_stand_in_that_tells_what_was_corrected_replaces_a_good_note_that_does_not(
    diary: Diary, walk: Recording, edit: EditDiary
) -> None:
    def stand_in() -> Committed:
        [lease] = diary.claim("note", [walk]).leases
        heard, corrections = at(diary.ledger, walk, "transcript"), at(diary.ledger, walk, "correction")
        change = Change(
            walk.key,
            lease.epoch,
            "degraded",
            "stand-in",
            requires=("transcript", heard.version if heard and heard.version else ""),
            made_with="degraded/offline",
            corrections=corrections.version if corrections else None,
        )
        return record(diary.ledger, kind="note", object_id=catalogue_object_id("note"), size_bytes=1, changes=[change])

    assert stand_in().kept == (walk.key,)
    edit(walk, [Edit("title", "By the river")], "me")
    assert stand_in().kept == (walk.key,), "the good note says the same"
    edit(walk, [PRIYA], "me")
    assert stand_in().committed == (walk.key,)


def test_a_note_whose_rewriting_failed_is_found_stale_later(diary: Diary, walk: Recording, edit: EditDiary) -> None:
    edit(walk, [PRIYA], "me")
    diary.fail("note", [walk], "internal_error")
    assert state(diary.ledger, walk) == ("done", False), "the older note stays what users see"
    [stale] = StaleNotes(diary.ledger, offline_notes(), Owner).counted()
    assert (stale.reason, stale.group.notes) == ("edited", 1)
    current = offline_notes().prompt_versions(Owner())
    assert plan_stale(diary.ledger, lambda _: current, 10, upgrades=False) == 1
    assert noted(diary, walk) == "committed"
