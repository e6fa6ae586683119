"""Domain objects as rows, and back.

Which rows go into one object, and when, is commit.py's business; where they lie is read.py's. A Transcript and a
DiaryNote come back equal, words and all: `transcripts` and a few columns of `notes` are there only for that.

What surprises: a failed recording is a row too (`outcome_row`), because users ask the catalogue why there is no note.
"""

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import pyarrow as pa

from diary_pipeline.catalogue.schema import TABLES
from diary_pipeline.core.batch import Check, Stage, Status
from diary_pipeline.core.llm_call import Attempt
from diary_pipeline.core.note import Completion, DiaryNote, NoteItem, Task
from diary_pipeline.core.recording import Recording
from diary_pipeline.core.transcript import Engine, Segment, Transcript, Word
from diary_pipeline.ledger.submissions import Submission

Row = dict[str, Any]
Rows = Mapping[str, Sequence[Row]]
"""Rows by table name."""


def transcript_rows(recording: Recording, transcript: Transcript, checks: Iterable[Check]) -> Rows:
    """Return what a committed transcript adds."""
    engine, head = transcript.engine, _head(recording)
    whole = {
        **head,
        "duration_s": transcript.duration_s,
        "language": transcript.language,
        "language_probability": transcript.language_probability,
        "engine": engine.name,
        "model": engine.model,
        "model_sha256": engine.model_sha256 or None,
        "parameters": json.dumps(dict(engine.parameters)),
        "code_version": engine.code_version,
        "version": transcript.version,
    }
    segments = [
        {
            **head,
            "segment_id": s.id,
            **dict(zip(_OF_SEGMENT, _told(s), strict=True)),
            "risks": list(s.risks),
            # A word's own dictionary: making another took half of the processor time of a commit.
            "words": list(map(vars, s.words)),
        }
        for s in transcript.segments
    ]
    return {"transcripts": [whole], "segments": segments, "checks": _check_rows(head, "transcript", checks)}


def note_rows(recording: Recording, note: DiaryNote | None, markdown: str, checks: Iterable[Check]) -> Rows:
    """Return what a committed note adds; without a note (nothing was said) only its checks."""
    head = _head(recording)
    rows: dict[str, Sequence[Row]] = {"checks": _check_rows(head, "note", checks)}
    if note is not None:
        own = {name: getattr(note, name) for name in _NOTE}
        rows["notes"] = [{**head, **own, "limits": list(note.limits), "markdown": markdown}]
        rows["note_items"] = [
            {**head, "item_id": i.id, **{name: getattr(i, name) for name in _ITEM}, **_task_row(i.task)}
            for i in note.items
        ]
        rows["completions"] = [
            {
                **head,
                "completion_id": n,
                "done_date": c.day,
                **{name: getattr(c, name) for name in _COMPLETION},
                **{name: list(getattr(c, name)) for name in _COMPLETED},
            }
            for n, c in enumerate(note.completions)
        ]
    return rows


def call_rows(recording: Recording, attempts: Iterable[Attempt]) -> Rows:
    """Return the attempts of language models at a recording's note."""
    head = _head(recording)
    return {
        "llm_calls": [
            {
                **head,
                "at": utc(a.at),
                **{name: getattr(a, name) for name in _CALL},
                "input_tokens": a.usage.input,
                "cached_tokens": a.usage.cached,
                "output_tokens": a.usage.output,
            }
            for a in attempts
        ]
    }


def outcome_row(
    recording: Recording,
    transcript: Transcript | None,
    status: Status,
    *,
    failed_stage: Stage | None = None,
    reason_code: str | None = None,
    message: str = "",
    at: dt.datetime,
) -> Row:
    """Return the one row of a recording that has ended."""
    when = recording.recorded_at
    row: Row = {
        **_head(recording),
        "submission_id": recording.submission_id,
        "file_name": recording.file_name,
        "content_sha256": recording.content_sha256,
        "recorded_at": utc(when.at),
        "recorded_at_source": when.source,
        "recorded_at_confidence": when.confidence,
        "recorded_at_note": when.note or None,
        "recorded_day": when.day,
        "time_zone": when.zone,
        "title": recording.title,
        "tags": list(recording.tags),
        "vocabulary": list(recording.vocabulary),
        "language": recording.language,
        "status": status,
        "failed_stage": failed_stage,
        "reason_code": reason_code,
        "message": message or None,
        "whisper_model": recording.whisper_model,
        "processed_at": utc(at),
    }
    if transcript is not None:
        row |= {
            "duration_s": transcript.duration_s,
            "language": transcript.language,
            "language_probability": transcript.language_probability,
            "whisper_model": transcript.engine.model,
            "model_sha256": transcript.engine.model_sha256 or None,
            "transcript_version": transcript.version,
        }
    return row


def refusal_row(submission: Submission) -> Row:
    """Return the row of a submission that never became a recording."""
    return {
        "submission_id": submission.id,
        "user_id": submission.owner,
        "file_name": submission.file_name,
        "status": "refused",
        "reason_code": submission.reason_code,
        "message": submission.message,
        "processed_at": utc(dt.datetime.fromtimestamp(submission.ended_at or submission.created_at, dt.UTC)),
    }


def arrow_tables(many: Iterable[Rows]) -> dict[str, pa.Table]:
    """Gather the rows of many recordings into one Arrow table for each catalogue table that has any."""
    gathered: dict[str, list[Row]] = {}
    for rows in many:
        for name, some in rows.items():
            gathered.setdefault(name, []).extend(some)
    schemas = {t.name: t.arrow for t in TABLES}
    return {name: pa.Table.from_pylist(rows, schema=schemas[name]) for name, rows in gathered.items() if rows}


def transcript_from(whole: Row, segments: Iterable[Row]) -> Transcript:
    """Return the transcript whose rows these are."""
    return Transcript(
        recording_key=whole["recording_key"],
        duration_s=whole["duration_s"],
        language=whole["language"],
        language_probability=whole["language_probability"],
        segments=tuple(segment_from(s) for s in sorted(segments, key=lambda s: int(s["segment_id"]))),
        engine=Engine(
            name=whole["engine"],
            model=whole["model"],
            model_sha256=whole["model_sha256"] or "",
            parameters=json.loads(whole["parameters"]),
            code_version=whole["code_version"],
        ),
        version=whole["version"],
    )


def segment_from(row: Row) -> Segment:
    """Return the segment whose row this is; a row of the published file has no words."""
    told: Row = {**{name: row[name] for name in _SEGMENT}, **{name: row.get(name) for name in _LATER}}
    return Segment(
        id=row["segment_id"],
        **told,
        risks=tuple(row.get("risks") or ()),
        words=tuple(Word(**w) for w in row.get("words") or ()),
    )


def note_from(note: Row, items: Iterable[Row], done: Iterable[Row] = ()) -> DiaryNote:
    """Return the note whose rows these are."""
    return DiaryNote(
        recording_key=note["recording_key"],
        items=tuple(NoteItem(id=i["item_id"], **{name: i[name] for name in _ITEM}, task=_task_from(i)) for i in items),
        limits=tuple(note["limits"]),
        completions=tuple(map(_completion_from, sorted(done, key=lambda c: int(c["completion_id"])))),
        **{name: note[name] for name in _NOTE},
    )


def utc(at: dt.datetime) -> dt.datetime:
    """Return an aware instant as the catalogue keeps it: UTC, without a zone."""
    return at.astimezone(dt.UTC).replace(tzinfo=None)


_SEGMENT = (
    "start_s", "end_s", "kind", "text", "language", "avg_logprob", "no_speech_prob", "compression_ratio",
)  # fmt: skip
# Objects of schema versions 1 and 2 lack these, and `risks`: a committed transcript stays readable.
_LATER = ("raw_text", "reason", "rung", "model_sha256", "language_probability")
_OF_SEGMENT = (*_SEGMENT, *_LATER)
_told = attrgetter(*_OF_SEGMENT)
_CALL = ("route", "model", "outcome", "seconds", "cost_usd")
_ITEM = ("kind", "text", "segment_id", "start_s", "end_s", "quote", "due_date")
_NOTE = (
    "note_date", "title", "summary", "mood", "writer", "degraded", "language", "prompt_version", "transcript_version",
    "cost_usd", "version",
)  # fmt: skip


_COMPLETION = ("text", "outcome", "segment_id", "start_s", "end_s", "quote")
_COMPLETED = ("verbs", "object", "about")


def _task_row(task: Task | None) -> Row:
    if task is None:
        return {}
    return {"task_verb": task.verb, "task_object": list(task.object), "task_about": list(task.about)}


def _task_from(item: Row) -> Task | None:
    """Objects of schema versions up to 3 know no tasks."""
    if item.get("task_verb") is None:
        return None
    return Task(item["task_verb"], tuple(item["task_object"]), tuple(item["task_about"]))


def _completion_from(row: Row) -> Completion:
    told: Row = {**{name: row[name] for name in _COMPLETION}, **{name: tuple(row[name]) for name in _COMPLETED}}
    return Completion(day=row["done_date"], **told)


def _head(recording: Recording) -> Row:
    return {"recording_key": recording.key, "user_id": recording.owner}


def _check_rows(head: Row, stage: Stage, checks: Iterable[Check]) -> list[Row]:
    return [
        {**head, "check_name": c.name, "passed": c.passed, "severity": c.severity, "detail": c.detail, "stage": stage}
        for c in checks
    ]
