"""Rows keep everything: what comes back out of Parquet equals what went in."""

import datetime as dt
import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from diary_pipeline.catalogue.rows import (
    Row,
    arrow_tables,
    call_rows,
    note_from,
    note_rows,
    outcome_row,
    transcript_from,
)
from diary_pipeline.catalogue.rows import transcript_rows as rows_of
from diary_pipeline.catalogue.schema import LLM_CALLS, NOTES, RECORDINGS, SEGMENTS, TABLES
from diary_pipeline.core.batch import Check
from diary_pipeline.core.llm_call import Attempt, Usage
from diary_pipeline.core.note import Completion, DiaryNote, NoteItem, Task
from diary_pipeline.core.transcript import Engine, Segment, Transcript, Word
from diary_pipeline_tests.builders import make_recording, make_transcript
from diary_pipeline_tests.note_builders import make_note

RECORDING = make_recording()

number = st.floats(allow_nan=False, allow_infinity=False)
maybe = st.none() | number
text = st.text(max_size=20)
words = st.builds(Word, text=text, start_s=number, end_s=number, probability=maybe)
segments = st.builds(
    Segment,
    id=st.just(0),
    start_s=number,
    end_s=number,
    kind=st.sampled_from(("speech", "inaudible", "silence")),
    text=text,
    language=st.none() | text,
    avg_logprob=maybe,
    no_speech_prob=maybe,
    compression_ratio=maybe,
    words=st.lists(words, max_size=3).map(tuple),
    language_probability=maybe,
    raw_text=st.none() | text,
    reason=st.none() | text,
    risks=st.lists(text, max_size=2).map(tuple),
    rung=st.none() | text,
    model_sha256=st.none() | text,
)
engines = st.builds(
    Engine,
    name=text,
    model=text,
    model_sha256=text,
    parameters=st.dictionaries(text, text | st.booleans() | number | st.integers(), max_size=4),
    code_version=text,
)
transcripts = st.builds(
    Transcript,
    recording_key=st.just(RECORDING.key),
    duration_s=number,
    language=st.none() | text,
    language_probability=maybe,
    segments=st.lists(segments, max_size=4).map(
        lambda some: tuple(Segment(**{**vars(s), "id": i}) for i, s in enumerate(some))
    ),
    engine=engines,
    version=text,
)
days = st.dates(min_value=dt.date(1970, 1, 1))
stems = st.lists(text, max_size=3).map(tuple)
items = st.builds(
    NoteItem,
    id=st.integers(0, 1000),
    kind=st.sampled_from(("event", "action", "quote")),
    text=text,
    segment_id=st.integers(0, 1000),
    start_s=number,
    end_s=number,
    quote=text,
    due_date=st.none() | days,
    task=st.none() | st.builds(Task, verb=text, object=stems, about=stems),
)
completions = st.builds(
    Completion,
    text=text,
    segment_id=st.integers(0, 1000),
    start_s=number,
    end_s=number,
    quote=text,
    outcome=st.sampled_from(("done", "dropped")),
    day=days,
    verbs=stems,
    object=stems,
    about=stems,
)
notes = st.builds(
    DiaryNote,
    recording_key=st.just(RECORDING.key),
    note_date=days,
    title=text,
    summary=text,
    mood=st.sampled_from(("neutral", "mixed")),
    items=st.lists(items, max_size=3).map(tuple),
    language=text,
    writer=st.sampled_from(("llm", "offline")),
    degraded=st.booleans(),
    prompt_version=text,
    transcript_version=text,
    version=text,
    cost_usd=maybe,
    limits=st.lists(text, max_size=2).map(tuple),
    completions=st.lists(completions, max_size=3).map(tuple),
)


def through_parquet(rows: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Return the rows as a reader of the object finds them."""
    return {name: parquet(table) for name, table in arrow_tables([rows]).items()}


def parquet(table: pa.Table) -> list[Row]:
    """Write a table and read it again."""
    file = io.BytesIO()
    pq.write_table(table, file)
    read: list[Row] = pq.read_table(pa.BufferReader(file.getvalue())).to_pylist()
    return read


@settings(deadline=None)  # Arrow's first table takes half a second on a busy machine
@given(transcripts)
def test_a_transcript_comes_back_equal_with_its_words_and_parameters(transcript: Transcript) -> None:
    found = through_parquet(rows_of(RECORDING, transcript, ()))
    assert transcript_from(found["transcripts"][0], found.get("segments", [])) == transcript


SINCE_3 = ("raw_text", "reason", "risks", "rung", "model_sha256", "language_probability")


@settings(deadline=None)
@given(transcripts)
def test_a_transcript_committed_by_an_older_program_is_read_without_what_it_did_not_know(
    transcript: Transcript,
) -> None:
    tables = arrow_tables([rows_of(RECORDING, transcript, ())])
    if "segments" in tables:
        tables["segments"] = tables["segments"].drop_columns(SINCE_3)
    found = {name: parquet(table) for name, table in tables.items()}
    silent = {name: () if name == "risks" else None for name in SINCE_3}
    known = tuple(replace(s, **silent) for s in transcript.segments)
    assert transcript_from(found["transcripts"][0], found.get("segments", [])) == replace(transcript, segments=known)


@settings(deadline=None)
@given(notes)
def test_a_note_comes_back_equal(note: DiaryNote) -> None:
    found = through_parquet(note_rows(RECORDING, note, "# Note", ()))
    assert note_from(found["notes"][0], found.get("note_items", []), found.get("completions", [])) == note
    assert found["notes"][0]["markdown"] == "# Note"


@settings(deadline=None)
@given(notes)
def test_a_note_committed_by_an_older_program_is_read_without_tasks(note: DiaryNote) -> None:
    tables = arrow_tables([note_rows(RECORDING, note, "", ())])
    if "note_items" in tables:
        tables["note_items"] = tables["note_items"].drop_columns(["task_verb", "task_object", "task_about"])
    found = {name: parquet(table) for name, table in tables.items()}
    unread = replace(note, items=tuple(replace(i, task=None) for i in note.items), completions=())
    assert note_from(found["notes"][0], found.get("note_items", [])) == unread


def test_checks_say_which_stage_they_belong_to() -> None:
    transcript = make_transcript(["I walked by the river."])
    check = Check("transcript_covers_audio", True, "ERROR", "gap_s=0")
    row = {"check_name": check.name, "passed": True, "severity": "ERROR", "detail": "gap_s=0"}
    head = {"recording_key": RECORDING.key, "user_id": "me"}
    assert rows_of(RECORDING, transcript, [check])["checks"] == [{**head, **row, "stage": "transcript"}]
    assert note_rows(RECORDING, None, "", [check]) == {"checks": [{**head, **row, "stage": "note"}]}


def test_the_outcome_tells_the_model_that_was_used_and_only_without_one_the_model_asked_for() -> None:
    at = dt.datetime(2026, 3, 7, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    transcript = make_transcript(["Tea."], engine=Engine("faster-whisper", "small", "ab" * 32))
    failed = outcome_row(RECORDING, None, "failed", failed_stage="transcript", reason_code="audio_truncated", at=at)
    ended = outcome_row(RECORDING, transcript, "completed", at=at)
    assert (failed["whisper_model"], failed.get("model_sha256")) == ("tiny.en", None)
    assert (ended["whisper_model"], ended["model_sha256"]) == ("small", "ab" * 32)
    assert ended["processed_at"] == dt.datetime(2026, 3, 7, 10), "UTC, without a zone"


ATTEMPT = Attempt(
    RECORDING.key,
    dt.datetime(2026, 3, 7, 12, tzinfo=dt.timezone(dt.timedelta(hours=2))),
    "luna",
    "gpt-6-luna",
    "ungrounded",
    2.5,
    Usage(1000, 200, 300),
    None,
    request_id="req_1",
)


def test_an_attempt_is_told_in_tokens_seconds_and_dollars_and_without_a_price_the_dollars_are_unknown() -> None:
    [row] = through_parquet(call_rows(RECORDING, [ATTEMPT]))["llm_calls"]
    assert row == {
        "recording_key": RECORDING.key,
        "user_id": "me",
        "at": dt.datetime(2026, 3, 7, 10),
        "route": "luna",
        "model": "gpt-6-luna",
        "outcome": "ungrounded",
        "seconds": 2.5,
        "input_tokens": 1000,
        "cached_tokens": 200,
        "output_tokens": 300,
        "cost_usd": None,
    }


def test_rows_name_no_column_that_the_schema_does_not_have() -> None:
    transcript = make_transcript(["I bought bread."])
    produced = {
        **rows_of(RECORDING, transcript, [Check("c", True)]),
        **note_rows(RECORDING, make_note(transcript), "", [Check("c", True)]),
        **call_rows(RECORDING, [ATTEMPT]),
        "recordings": [outcome_row(RECORDING, transcript, "completed", at=dt.datetime.now(dt.UTC))],
    }
    columns = {t.name: {c.name for c in t.columns} for t in TABLES}
    for name, rows in produced.items():
        assert all(set(row) <= columns[name] for row in rows), name


def test_the_columns_users_rely_on_are_published() -> None:
    promised = {
        RECORDINGS: "recording_key submission_id user_id file_name content_sha256 duration_s recorded_at "
        "recorded_at_source recorded_at_confidence language status reason_code whisper_model model_sha256 processed_at",
        SEGMENTS: "recording_key segment_id start_s end_s kind text language avg_logprob no_speech_prob "
        "raw_text reason risks rung model_sha256 language_probability",
        NOTES: "recording_key note_date title summary mood writer degraded language markdown prompt_version "
        "transcript_version cost_usd",
        LLM_CALLS: "recording_key at route model outcome seconds input_tokens cached_tokens output_tokens cost_usd",
    }
    for table, names in promised.items():
        assert set(names.split()) <= {c.name for c in table.visible}, table.name
    for table in TABLES:
        assert {"user_id", "commit_seq"} <= {c.name for c in table.visible}, table.name
        assert all(c.meaning for c in table.columns)
    assert "words" not in {c.name for c in SEGMENTS.visible}
