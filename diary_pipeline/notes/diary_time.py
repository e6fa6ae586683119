"""What lets a later entry settle what an earlier one left open: read into a note, whoever wrote it.

Each action gets the task that is asked for, the note gets what its recording says is done or dropped. No other
recording is read here: the two meet in the catalogue's view `action_items`, so a late file costs nothing and the order
in which recordings arrive changes nothing.
"""

from dataclasses import replace

from diary_pipeline.core.note import DiaryNote, NoteItem
from diary_pipeline.core.transcript import Transcript
from diary_pipeline.notes.language.completions import completions
from diary_pipeline.notes.language.sentences import sentences
from diary_pipeline.notes.language.spoken import reads_english
from diary_pipeline.notes.language.todos import task_of


def with_diary_time(note: DiaryNote, transcript: Transcript) -> DiaryNote:
    """Return the note with the tasks of its actions, and with what its speaker says is done."""
    english = [s for s in sentences(transcript) if reads_english(s, transcript)]
    spoken = {piece.segment.id for s in english for piece in s.pieces}
    return replace(
        note,
        items=tuple(_with_task(item, note) if item.segment_id in spoken else item for item in note.items),
        completions=completions(english, note.note_date),
    )


def _with_task(item: NoteItem, note: DiaryNote) -> NoteItem:
    if item.kind != "action":
        return item
    return replace(item, task=task_of(item.text, note.note_date) or task_of(item.quote, note.note_date))
