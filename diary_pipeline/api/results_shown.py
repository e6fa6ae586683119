"""A transcript and a note as they go over the wire. Reading them is results.py's business."""

import datetime as dt
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from diary_pipeline.api.models import JOB
from diary_pipeline.core.note import DiaryNote
from diary_pipeline.core.transcript import Segment, Transcript
from diary_pipeline.ledger.jobs import Job

KEY = "2026-05-01-2026-05-01-3f2a9c0d1e7b"


class SpokenWord(BaseModel):
    """A word; seconds from the start of the recording."""

    text: str
    start_s: float
    end_s: float


class SpokenSegment(BaseModel):
    """A timed piece: every second of the recording is in exactly one."""

    id: int
    start_s: float
    end_s: float
    kind: Literal["speech", "inaudible", "silence"]
    text: str
    language: str | None
    words: list[SpokenWord] | None = Field(None, description="Where they were asked for.")


class Transcription(BaseModel):
    """What was said."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "job_id": JOB,
                "recording_key": KEY,
                "version": "5d0e8f1c2b3a4958",
                "language": "en",
                "duration_s": 12.5,
                "text": "I walked by the river.",
                "whisper_model": "base",
                "model_sha256": "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794",
                "segments": [
                    {
                        "id": 0,
                        "start_s": 0.0,
                        "end_s": 2.1,
                        "kind": "speech",
                        "text": "I walked by the river.",
                        "language": "en",
                    }
                ],
            }
        }
    )

    job_id: str
    recording_key: str
    version: str = Field(description="Changes whenever the text does.")
    language: str | None = Field(description="Of most of the speech.")
    duration_s: float = Field(description="Measured by decoding.")
    text: str = Field(description="Everything said, with what its owner has put right.")
    whisper_model: str
    model_sha256: str = Field(description="Weights that heard it; empty where a server holds them.")
    segments: list[SpokenSegment]


class NoteItem(BaseModel):
    """A claim, with the words it was taken from."""

    id: int
    kind: Literal["event", "reflection", "action", "person", "place", "topic", "quote"]
    text: str
    segment_id: int
    start_s: float
    end_s: float
    quote: str = Field(description="Word for word.")
    due_date: dt.date | None


class Note(BaseModel):
    """A diary note."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "job_id": JOB,
                "recording_key": KEY,
                "version": "8c7d6e5f4a3b2c1d",
                "note_date": "2026-05-01",
                "title": "By the river",
                "summary": "I walked by the river.",
                "mood": "positive",
                "language": "en",
                "writer": "offline",
                "degraded": False,
                "items": [
                    {
                        "id": 0,
                        "kind": "event",
                        "text": "I walked by the river.",
                        "segment_id": 0,
                        "start_s": 0.0,
                        "end_s": 2.1,
                        "quote": "I walked by the river.",
                        "due_date": None,
                    }
                ],
                "markdown": "# By the river\n\nI walked by the river.\n",
            }
        }
    )

    job_id: str
    recording_key: str
    version: str
    note_date: dt.date
    title: str
    summary: str
    mood: Literal["very_negative", "negative", "neutral", "mixed", "positive", "very_positive"]
    language: str
    writer: Literal["llm", "offline"]
    degraded: bool = Field(description="The offline writer stood in for a language model.")
    items: list[NoteItem]
    markdown: str


def shown_transcript(job: Job, transcript: Transcript, *, with_words: bool) -> Transcription:
    """Give a transcript as it goes over the wire."""
    return Transcription(
        job_id=job.id,
        recording_key=transcript.recording_key,
        version=transcript.version,
        language=transcript.language,
        duration_s=transcript.duration_s,
        text=transcript.text,
        whisper_model=transcript.engine.model,
        model_sha256=transcript.engine.model_sha256,
        segments=[_segment(s, with_words) for s in transcript.segments],
    )


def shown_note(job: Job, note: DiaryNote, markdown: str) -> Note:
    """Give a note as it goes over the wire."""
    return Note(
        job_id=job.id,
        recording_key=note.recording_key,
        version=note.version,
        note_date=note.note_date,
        title=note.title,
        summary=note.summary,
        mood=note.mood,
        language=note.language,
        writer=note.writer,
        degraded=note.degraded,
        items=[
            NoteItem(
                id=i.id,
                kind=i.kind,
                text=i.text,
                segment_id=i.segment_id,
                start_s=i.start_s,
                end_s=i.end_s,
                quote=i.quote,
                due_date=i.due_date,
            )
            for i in note.items
        ],
        markdown=markdown,
    )


def _segment(segment: Segment, with_words: bool) -> SpokenSegment:
    return SpokenSegment(
        id=segment.id,
        start_s=segment.start_s,
        end_s=segment.end_s,
        kind=segment.kind,
        text=segment.text,
        language=segment.language,
        words=[SpokenWord(text=w.text, start_s=w.start_s, end_s=w.end_s) for w in segment.words]
        if with_words
        else None,
    )
