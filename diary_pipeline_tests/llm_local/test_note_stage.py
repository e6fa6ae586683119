"""The whole note stage on the smallest real model, which answers badly: nothing bad is published, nothing is lost."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from diary_pipeline.catalogue.read import note_of
from diary_pipeline.core.note import DiaryNote
from diary_pipeline.core.owner import Owner
from diary_pipeline.ledger import llm_calls
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.notes.batch import WriteNotes
from diary_pipeline.notes.evidence.checks import check_note
from diary_pipeline.notes.evidence.faults import item_faults
from diary_pipeline.notes.evidence.grounding import Said
from diary_pipeline.notes.local_model.server import Plan, serving
from diary_pipeline.notes.local_model.weights import SMALLEST
from diary_pipeline.notes.offline.notes import OfflineNotes
from diary_pipeline.notes.renderers.template import Templates
from diary_pipeline.notes.routed.notes import RoutedNotes
from diary_pipeline.notes.routing.choosing import Policy
from diary_pipeline.notes.routing.ledger_memory import LedgerMemory, LedgerPurse, StoredAnswers
from diary_pipeline.notes.routing.route import Route
from diary_pipeline.notes.routing.router import Router
from diary_pipeline.notes.writer import ToWrite
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.diaries import Diary, transcript_for
from diary_pipeline_tests.llm_local.conftest import KEY, Lent, weights
from diary_pipeline_tests.recordings.script import ENTRIES

pytestmark = pytest.mark.llm_local

SPOKEN = ENTRIES[:3]
CONTEXT_TOKENS = 8192
"""Room for a whole `NoteDraft`: with less it would not even be asked for."""


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lent]:
    log_file = tmp_path_factory.mktemp("llm") / "private" / "server.log"
    with serving(Plan(weights(), SMALLEST, context_tokens=CONTEXT_TOKENS, threads=1), KEY, log_file) as server:
        yield Lent(server, log_file)


@pytest.fixture
def diary(tmp_path: Path) -> Iterator[Diary]:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger' / 'ledger.db'}")
    yield Diary(ledger, FolderStore(tmp_path / "objects"))
    ledger.close()


def writer(diary: Diary, route: Route) -> RoutedNotes:
    def opened(run: str) -> Router:
        purse = LedgerPurse(diary.ledger, run)
        policy = Policy(tries=1)
        return Router([route], LedgerMemory(diary.ledger), StoredAnswers(diary.store).of, purse, policy)

    return RoutedNotes([route], opened, Owner, lambda _: Templates())


def errors_of(note: DiaryNote, asked: ToWrite) -> list[str]:
    """What a stored note would be refused for."""
    checks = check_note(note, asked.transcript, asked.recording.recorded_at.day)
    return [check.name for check in checks if not check.passed and check.severity == "ERROR"]


@pytest.mark.parametrize("prose", [False, True])
def test_notes_pass_every_check_or_are_the_offline_writers_and_none_is_lost(
    prose: bool, roomy: Lent, diary: Diary, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    recordings = diary.accept(*(entry.file_name for entry in SPOKEN))
    for recording, entry in zip(recordings, SPOKEN, strict=True):
        diary.transcribe([recording], entry.sentences)
    notes = writer(diary, roomy.route(prose=prose))
    report = WriteNotes(diary.ledger, diary.store, notes)(diary.claim("note", recordings))

    assert [result.outcome for result in report.results] == ["committed"] * len(SPOKEN)
    with diary.ledger.reading() as conn:
        attempts = llm_calls.attempts_of(conn, [r.key for r in recordings])
    for recording, entry in zip(recordings, SPOKEN, strict=True):
        note = note_of(diary.ledger, diary.store, recording.key)
        asked = ToWrite(recording, transcript_for(recording, entry.sentences))
        assert note is not None
        assert attempts[recording.key], "the model was asked"
        assert errors_of(note, asked) == []
        offline = OfflineNotes(Owner, lambda _: Templates()).note_of(asked)
        if note.degraded:
            assert [replace(i, id=0) for i in note.items] == [replace(i, id=0) for i in offline.items]
            assert note.summary == offline.summary
        elif prose:
            said = Said(asked.transcript)
            assert not any(item_faults(item, said, note.note_date) for item in note.items)
        else:
            told = " ".join(entry.sentences)
            assert all(item.quote in told for item in note.items)
            assert (note.title, note.summary) == (offline.title, offline.summary)
    logged = caplog.text + roomy.log_file.read_text(errors="replace")
    for entry in SPOKEN:
        assert not any(sentence[:25] in logged for sentence in entry.sentences)
