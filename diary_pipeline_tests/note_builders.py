"""Notes that tests are made of: every claim stands word for word in the transcript it is built from."""

import dataclasses
import hashlib
from typing import Any

from diary_pipeline.core.note import DiaryNote, NoteItem
from diary_pipeline.core.owner import Owner
from diary_pipeline.core.transcript import Transcript
from diary_pipeline.notes.offline.notes import OfflineNotes
from diary_pipeline.notes.offline.writer import OfflineWriter
from diary_pipeline.notes.renderers.template import Templates
from diary_pipeline_tests.builders import make_recording


def make_note(transcript: Transcript, **changes: Any) -> DiaryNote:
    """Return a note with one event for each speech segment of the transcript."""
    items = tuple(
        NoteItem(i, "event", s.text, s.id, s.start_s, s.end_s, s.text) for i, s in enumerate(transcript.speech)
    )
    prompt = str(changes.get("prompt_version", "offline-3"))
    note = DiaryNote(
        recording_key=transcript.recording_key,
        note_date=make_recording().recorded_at.day,
        title=transcript.speech[0].text[:40] if transcript.speech else "Nothing",
        summary=transcript.text,
        mood="neutral",
        items=items,
        language=transcript.language or "en",
        writer="offline",
        degraded=False,
        prompt_version=prompt,
        transcript_version=transcript.version,
        version=hashlib.sha256(f"{transcript.version}/{prompt}".encode()).hexdigest()[:16],
    )
    return dataclasses.replace(note, **changes)


def offline_notes(writer: OfflineWriter | None = None) -> OfflineNotes:
    """Return the offline writer as the configured one, for owners without wishes."""
    return OfflineNotes(Owner, lambda _: Templates(), writer)
