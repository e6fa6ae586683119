"""Notes by routes, for tests: real SDKs over loopback, real ledger and store; only what a model writes is scripted."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from diary_pipeline.catalogue.commit import FinishedTranscript, commit_transcripts
from diary_pipeline.catalogue.read import note_of
from diary_pipeline.core.batch import StageReport
from diary_pipeline.core.llm_call import Attempt
from diary_pipeline.core.note import DiaryNote
from diary_pipeline.core.owner import Owner
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger import llm_calls, recordings
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.notes.batch import WriteNotes
from diary_pipeline.notes.renderers.template import Templates
from diary_pipeline.notes.routed.notes import RoutedNotes, Wishes
from diary_pipeline.notes.routing.choosing import Policy
from diary_pipeline.notes.routing.ledger_memory import LedgerMemory, LedgerPurse, StoredAnswers
from diary_pipeline.notes.routing.route import Price, ProviderName, Route
from diary_pipeline.notes.routing.router import Router
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.builders import make_transcript
from diary_pipeline_tests.diaries import Diary
from diary_pipeline_tests.drafting import honest
from diary_pipeline_tests.provider_servers import ProviderDouble, Reply, provider_server

SAID = (
    "I walked along the river with Priya this morning.",
    "We talked about her new job at the harbour.",
    "Then I bought bread and two lemons on the way home.",
    "In the afternoon I read on the balcony until it rained.",
    "I need to repair the bicycle by Friday.",
)
PROVIDERS: tuple[ProviderName, ...] = ("openai", "anthropic", "mistral")
PRICE = Price(1.0, 2.0, "2026-11-22")


def wandering() -> Iterator[str]:
    """Sentences that tell something else each time."""
    whom = "my neighbour, the baker, a cyclist, the postman, an old teacher, two children, the dentist".split(", ")
    what = "the harvest, broken windows, a lost dog, the new bridge, football, train tickets, her garden".split(", ")
    where = "outside the library, under the chestnut tree, at the tram stop, beside the fountain, near school".split(
        ", "
    )
    for place, person, matter in product(where, whom, what):
        yield f"I met {person} {place} and we talked about {matter}."


@pytest.fixture(name="diary")
def a_diary(tmp_path: Path) -> Iterator[Diary]:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger' / 'ledger.db'}")
    yield Diary(ledger, FolderStore(tmp_path / "objects"))
    ledger.close()


@pytest.fixture(name="model")
def a_model(request: pytest.FixtureRequest) -> Iterator[ProviderDouble]:
    with provider_server(getattr(request, "param", "openai")) as double:
        double.otherwise = Reply(honest)
        yield double


def route(double: ProviderDouble, **changes: object) -> Route:
    usual = Route("first", double.provider, "model-1", double.url, "key", price=PRICE, timeout_s=20.0)
    return replace(usual, **changes)  # type: ignore[arg-type]


def writer(
    diary: Diary,
    *routes: Route,
    owner: Callable[[str], Owner] = Owner,
    templates: Templates | None = None,
    run_usd: float | None = None,
    **wishes: object,
) -> RoutedNotes:
    def opened(run: str) -> Router:
        purse = LedgerPurse(diary.ledger, run, run_usd=run_usd)
        return Router(routes, LedgerMemory(diary.ledger), StoredAnswers(diary.store).of, purse, Policy(deadline_s=30.0))

    return RoutedNotes(routes, opened, owner, lambda _: templates or Templates(), Wishes(**wishes))  # type: ignore[arg-type]


def spoken(diary: Diary, said: Sequence[str] = SAID, name: str = "walk.m4a", language: str = "en") -> Recording:
    (recording,) = diary.accept(name)
    [lease] = diary.claim("transcript", [recording]).leases
    transcript = make_transcript(said, recording_key=recording.key, language=language)
    commit_transcripts(diary.ledger, diary.store, [FinishedTranscript(recording, lease, transcript, ())])
    return recording


def written(diary: Diary, notes: RoutedNotes, *some: Recording) -> StageReport:
    return WriteNotes(diary.ledger, diary.store, notes, usd_per_audio_hour=10.0)(diary.claim("note", some))


def stored(diary: Diary, recording: Recording) -> DiaryNote:
    note = note_of(diary.ledger, diary.store, recording.key)
    assert note is not None
    return note


def status(diary: Diary, recording: Recording) -> str:
    with diary.ledger.reading() as conn:
        (row,) = recordings.rows(conn, [recording.key])
    return row.status


def calls(diary: Diary, recording: Recording) -> list[Attempt]:
    with diary.ledger.reading() as conn:
        return list(llm_calls.attempts_of(conn, [recording.key]).get(recording.key, ()))
