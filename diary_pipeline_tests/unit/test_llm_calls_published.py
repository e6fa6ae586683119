"""What language models were asked is published with the recording it was for, whatever became of the note."""

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.catalogue.query import query
from diary_pipeline.core.llm_call import ACCEPTED, Attempt, Usage, cost_of
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger import llm_calls
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.diaries import Diary, transcript_for
from diary_pipeline_tests.house.tree import ROOT

AT = dt.datetime(2026, 3, 7, 6, 45, tzinfo=dt.UTC)
OUTCOMES = 'SELECT outcome FROM llm_calls ORDER BY "at"'
COSTS = "SELECT attempts, unpriced_attempts, cost_usd, usd_per_audio_hour FROM recording_costs"


@pytest.fixture
def diary(tmp_path: Path) -> Iterator[Diary]:
    """A diary nobody has begun yet."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield Diary(ledger, FolderStore(tmp_path / "objects"))
    ledger.close()


@pytest.fixture
def publisher(diary: Diary, tmp_path: Path) -> Publisher:
    """Its publisher."""
    return Publisher(diary.ledger, diary.store, tmp_path / "home" / "catalogue.duckdb")


@pytest.fixture
def walk(diary: Diary) -> Recording:
    """A recording whose transcript is there."""
    [recording] = diary.accept("walk.m4a")
    diary.transcribe([recording])
    return recording


def published(publisher: Publisher, sql: str) -> list[tuple[Any, ...]]:
    """Publish, and ask the file as a user of another catalogue would: attached."""
    publisher.publish()
    with duckdb.connect() as db:
        db.execute(f"ATTACH '{publisher.live}' AS diary (READ_ONLY); USE diary")
        return db.execute(sql).fetchall()


def ask(diary: Diary, recording: Recording, outcome: str, cost_usd: float | None = 0.01, minute: int = 0) -> None:
    """Record an attempt at the note of a recording, made so many minutes after the first."""
    at = AT + dt.timedelta(minutes=minute)
    usage = Usage(1000, 0, 300)
    llm_calls.record(diary.ledger, Attempt(recording.key, at, "luna", "gpt-6-luna", outcome, 2.0, usage, cost_usd))


def test_every_attempt_at_a_note_is_published_with_it(diary: Diary, publisher: Publisher, walk: Recording) -> None:
    ask(diary, walk, ACCEPTED, minute=1)
    ask(diary, walk, "ungrounded")
    assert published(publisher, OUTCOMES) == [], "nothing is told before the recording has ended"
    diary.write([walk], writer="llm")
    assert published(publisher, OUTCOMES) == [("ungrounded",), (ACCEPTED,)]
    told = (
        'SELECT recording_key, user_id, "at", route, model, seconds, input_tokens, cost_usd FROM llm_calls ORDER BY 3'
    )
    assert published(publisher, told)[0] == (
        walk.key, "me", AT.replace(tzinfo=None), "luna", "gpt-6-luna", 2.0, 1000, 0.01,
    )  # fmt: skip


def test_the_attempts_behind_a_degraded_note_stay_when_it_is_upgraded(
    diary: Diary, publisher: Publisher, walk: Recording
) -> None:
    ask(diary, walk, "overloaded")
    diary.write([walk], degraded=True)
    assert published(publisher, OUTCOMES) == [("overloaded",)]
    ask(diary, walk, ACCEPTED, minute=60)
    diary.write([walk], writer="llm", prompt_version="note-1")
    assert published(publisher, OUTCOMES) == [("overloaded",), (ACCEPTED,)]


def test_the_attempts_at_a_note_that_failed_are_told(diary: Diary, publisher: Publisher, walk: Recording) -> None:
    ask(diary, walk, "ungrounded")
    diary.fail("note", [walk], "note_unsupported")
    assert published(publisher, OUTCOMES) == [("ungrounded",)]
    assert published(publisher, "SELECT count(*) FROM notes") == [(0,)]


def test_a_new_transcript_forgets_no_attempt(diary: Diary, publisher: Publisher, walk: Recording) -> None:
    ask(diary, walk, ACCEPTED)
    diary.write([walk])
    diary.transcribe([walk], said=("Something else was heard.",))
    assert published(publisher, OUTCOMES) == [(ACCEPTED,)]
    diary.write([walk], said=("Something else was heard.",))
    assert published(publisher, OUTCOMES) == [(ACCEPTED,)]


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ((), (0, 0, 0.0, 0.0)),
        ((0.01, 0.02), (2, 0, 0.03, 0.03)),
        ((0.01, None), (2, 1, 0.01, None)),
        ((0.0,), (1, 0, 0.0, 0.0)),
    ],
    ids=["no model", "two attempts", "one without a price", "a free one"],
)
def test_the_cost_of_a_recording_and_of_its_audio_hour_can_be_asked(
    diary: Diary, publisher: Publisher, walk: Recording, costs: tuple[float | None, ...], expected: tuple[Any, ...]
) -> None:
    for minute, cost in enumerate(costs):
        ask(diary, walk, ACCEPTED, cost, minute)
    diary.write([walk])
    hours = transcript_for(walk).duration_s / 3600
    attempts, unpriced, usd, an_hour = expected
    [found] = published(publisher, COSTS)
    assert found == (attempts, unpriced, pytest.approx(usd), None if an_hour is None else pytest.approx(usd / hours))


def test_the_questions_that_the_documents_ask_about_costs_have_answers(
    diary: Diary, publisher: Publisher, walk: Recording
) -> None:
    ask(diary, walk, ACCEPTED)
    diary.write([walk])
    publisher.publish()
    questions = re.findall(r'\$ diary sql "([^"]+)"', (ROOT / "docs/costs.md").read_text(encoding="utf-8"))
    assert len(questions) == 3
    for question in questions:
        assert len(query(publisher.live, question).rows) == 1, question


@pytest.mark.parametrize(("costs", "expected"), [((), 0.0), ((0.25, 0.5), 0.75), ((0.25, None), None), ((None,), None)])
def test_a_sum_with_an_unknown_part_is_unknown(costs: tuple[float | None, ...], expected: float | None) -> None:
    attempts = [Attempt("2026-03-07-walk-1", AT, "luna", "gpt-6-luna", ACCEPTED, cost_usd=cost) for cost in costs]
    assert cost_of(attempts) == expected
