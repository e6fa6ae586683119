"""Two diaries as they were spoken on a Wednesday in March, the offline note of one, and what must hold of it."""

import datetime as dt
from collections.abc import Sequence

from diary_pipeline.core.note import DiaryNote
from diary_pipeline.core.recording import RecordedAt
from diary_pipeline.core.transcript import Transcript
from diary_pipeline.notes.offline.writer import OfflineWriter
from diary_pipeline_tests.builders import make_transcript

DAY = dt.date(2026, 3, 4)
RECORDED = RecordedAt(dt.datetime(2026, 3, 4, 20, 14, tzinfo=dt.UTC), "Europe/Berlin", "file_name", 0.9, DAY)

LUNCH = (
    "Okay so, um, today I met Priya for lunch at the little cafe near the station.",
    "She told me that she is moving to Lisbon in June.",
    "I felt happy for her, but also a bit sad.",
    "I promised her I would send the photos from Porto by Friday.",
    "I had to wait forty minutes for the bus, and it was raining.",
    "Don't forget to book the dentist, maybe next week.",
)
GERMAN = (
    "Heute war ich mit meiner Schwester im Zoo.",
    "Wir haben die Elefanten gesehen und Eis gegessen.",
    "Ich muss morgen den Arzt anrufen.",
    "Danach sind wir mit dem Bus nach Hause gefahren.",
)


def note_of(said: Sequence[str], title: str | None = None, **changes: str) -> DiaryNote:
    """Write the note of what was said on a Wednesday in March."""
    return OfflineWriter().write(make_transcript(said, **changes), RECORDED, title)


def assert_lifted(note: DiaryNote, transcript: Transcript) -> None:
    """Every quote stands in its segment, every text in the transcript, every time inside."""
    segments = {s.id: s for s in transcript.segments}
    for item in note.items:
        segment = segments[item.segment_id]
        assert item.quote in segment.text
        assert item.text in transcript.text
        assert segment.start_s <= item.start_s < item.end_s <= segment.end_s
