"""A note as people read it: sections as a template orders them, each claim with its time, every spoken word escaped.

Speech must not become markup: somebody who says "open bracket" ends up with a bracket, not with a link. A section
about which nothing was said has one honest line; one of names or quotes is left out. The words around the speaker's own
live in headings.py.
"""

from collections.abc import Iterable, Mapping
from zoneinfo import ZoneInfo

from diary_pipeline.core.markdown import escaped
from diary_pipeline.core.note import ENGLISH_CUES_ONLY, NOT_TRANSLATED, DiaryNote, NoteItem
from diary_pipeline.core.recording import RecordedAt
from diary_pipeline.notes.renderers.headings import Headings, headings
from diary_pipeline.notes.renderers.template import DEFAULT, Part, Section, Template

_NAMED: tuple[Part, ...] = ("person", "place", "topic")
_MAY_BE_ABSENT = frozenset((*_NAMED, "quote"))


def render_note(note: DiaryNote, recorded: RecordedAt, template: Template = DEFAULT) -> str:
    """Write a note as Markdown."""
    words = headings(note.language)
    usual = _usual_headings(words)
    parts = _parts(note, recorded, words)
    ahead = [parts[kind] and f"**{usual[kind]}:** {parts[kind]}" for kind in _NAMED if kind not in template.shown]
    blocks = [
        f"# {escaped(note.title)}",
        "" if "summary" in template.shown else parts["summary"],
        *ahead,
        *(block for section in template.sections for block in _section(section, parts, usual, words)),
    ]
    # Where a model found the events, only takeaways and mood are by cues, and the mood says so itself.
    if ENGLISH_CUES_ONLY in note.limits and note.writer == "offline":
        blocks.append(f"*{words.english_cues_only}*")
    if NOT_TRANSLATED in note.limits:
        blocks.append(f"*{words.not_translated}*")
    return "\n\n".join(block for block in blocks if block) + "\n"


def _section(
    section: Section, parts: Mapping[Part, str], usual: Mapping[Part, str], words: Headings
) -> tuple[str, ...]:
    told = [part for part in section.shows if parts[part]]
    if not told and _MAY_BE_ABSENT.issuperset(section.shows):
        return ()
    heading = escaped(section.heading) if section.heading else usual[section.shows[0]]
    # Names of two kinds under one heading would run together without their labels.
    labelled = len(section.shows) > 1
    texts = (f"**{usual[p]}:** {parts[p]}" if labelled and p in _NAMED else parts[p] for p in told)
    return (f"## {heading}", *(texts if told else (words.nothing,)))


def _parts(note: DiaryNote, recorded: RecordedAt, words: Headings) -> Mapping[Part, str]:
    """What a note holds of each part; empty where it holds nothing."""
    return {
        "when": _when(note, recorded, words),
        "mood": _mood(note, words),
        "summary": escaped(note.summary),
        "event": _list(note.of("event"), words),
        "reflection": _list(note.of("reflection"), words),
        "action": _list(note.of("action"), words),
        "person": _names(note.of("person")),
        "place": _names(note.of("place")),
        "topic": _names(note.of("topic")),
        "quote": "\n>\n".join(f"> {_opened(q.text)} {_clock(q.start_s)}" for q in note.of("quote")),
    }


def _usual_headings(words: Headings) -> Mapping[Part, str]:
    return {
        "when": words.when,
        "mood": words.mood,
        "summary": words.summary,
        "event": words.events,
        "reflection": words.thoughts,
        "action": words.takeaways,
        "person": words.people,
        "place": words.places,
        "topic": words.topics,
        "quote": words.quotes,
    }


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
    return "\n".join(f"- {_opened(i.text)}{_due(i, words)} {_clock(i.start_s)}" for i in items)


def _names(items: Iterable[NoteItem]) -> str:
    return ", ".join(escaped(i.text) for i in items)


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
