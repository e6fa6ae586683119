"""A note as people read it: five sections, each claim with its time, every spoken word escaped.

Speech must not become markup: somebody who says "open bracket" ends up with a bracket, not with a link. A section
about which nothing was said has one honest line. Words around the speaker's own live in headings.py.
"""

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from diary_pipeline.core.markdown import escaped
from diary_pipeline.core.note import ENGLISH_CUES_ONLY, DiaryNote, NoteItem
from diary_pipeline.core.recording import RecordedAt
from diary_pipeline.notes.renderers.headings import Headings, headings


def render_note(note: DiaryNote, recorded: RecordedAt) -> str:
    """Write a note as Markdown."""
    words = headings(note.language)
    named = (
        (words.people, note.of("person")),
        (words.places, note.of("place")),
        (words.topics, note.of("topic")),
    )
    blocks = [
        f"# {escaped(note.title)}",
        escaped(note.summary),
        *(f"**{label}:** {', '.join(escaped(i.text) for i in items)}" for label, items in named if items),
        f"## {words.when}",
        _when(note, recorded, words),
        f"## {words.mood}",
        _mood(note, words),
        f"## {words.events}",
        _list(note.of("event"), words),
        f"## {words.thoughts}",
        _list(note.of("reflection"), words),
        f"## {words.takeaways}",
        _list(note.of("action"), words),
    ]
    if quotes := note.of("quote"):
        blocks += [f"## {words.quotes}", "\n>\n".join(f"> {_opened(q.text)} {_clock(q.start_s)}" for q in quotes)]
    if ENGLISH_CUES_ONLY in note.limits:
        blocks.append(f"*{words.english_cues_only}*")
    return "\n\n".join(block for block in blocks if block) + "\n"


def _when(note: DiaryNote, recorded: RecordedAt, words: Headings) -> str:
    local = recorded.at.astimezone(ZoneInfo(recorded.zone))
    clock = "" if recorded.source == "file_name_day" else f"{local:, %H:%M} ({recorded.zone})"
    guess = f", {words.by_file_time}" if recorded.source == "file_time" else ""
    spoken = f"{words.weekdays[local.weekday()]} {local:%Y-%m-%d}{clock}{guess}"
    if note.note_date == local.date():
        return spoken
    return f"{words.weekdays[note.note_date.weekday()]} {note.note_date} ({words.recorded}: {spoken})"


def _mood(note: DiaryNote, words: Headings) -> str:
    if ENGLISH_CUES_ONLY in note.limits:
        return words.mood_unknown
    order = ("very_negative", "negative", "neutral", "mixed", "positive", "very_positive")
    named = words.moods[order.index(note.mood)]
    return named[0].upper() + named[1:]


def _list(items: Iterable[NoteItem], words: Headings) -> str:
    lines = [f"- {_opened(i.text)}{_due(i, words)} {_clock(i.start_s)}" for i in items]
    return "\n".join(lines) or words.nothing


def _due(item: NoteItem, words: Headings) -> str:
    day = item.due_date
    return f" **({words.due} {words.weekdays[day.weekday()]} {day})**" if day else ""


def _opened(text: str) -> str:
    inert = escaped(text)
    return inert[:1].upper() + inert[1:]


def _clock(seconds: float) -> str:
    minutes, s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"[{hours}:{minutes:02}:{s:02}]" if hours else f"[{minutes:02}:{s:02}]"
