"""What stands on the pages of a vault: a note, its transcript, a person, place or topic, a day.

Pure: facts in, Markdown out. A note is the text that people know from `diary show`; its times become links to the
second in the transcript, or to `diary://KEY#t=SECONDS` where transcripts are not wanted.
"""

import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from diary_pipeline.catalogue.snapshot import NoteFacts
from diary_pipeline.core.markdown import escaped
from diary_pipeline.upkeep.vault.blocks import Page
from diary_pipeline.upkeep.vault.names import safe

NOTES, TRANSCRIPTS, DAYS = "Notes", "Transcripts", "Days"
HUBS: Mapping[str, str] = {"person": "People", "place": "Places", "topic": "Topics"}
"""Folder of what a claim of that kind names."""
FOLDERS = (NOTES, TRANSCRIPTS, DAYS, *HUBS.values())
# A time that a renderer wrote; one that was spoken has its bracket escaped.
_CLOCK = re.compile(r"(?<!\\)\[((?:\d+:)?\d{2}:\d{2})\]")


@dataclass(frozen=True)
class Listed:
    """A note as other pages list it."""

    page: str
    day: str
    clock: str
    """HH:MM where it was spoken; empty where nobody knows."""
    title: str

    @property
    def link(self) -> str:
        """Give the link to its page."""
        return linked(self.page, f"{self.day} {self.title}".strip())


def linked(page: str, label: str, anchor: str = "") -> str:
    """Write a link to a page, and to a block of it."""
    return f"[[{page.removesuffix('.md')}{anchor}|{' '.join(safe(label).split())}]]"


def listed(note: NoteFacts, page: str) -> Listed:
    """Say how other pages list a note."""
    local = _local(note)
    return Listed(page, str(note.day), f"{local:%H:%M}" if local and note.clock_known else "", safe(note.title))


def note_page(note: NoteFacts, hubs: Mapping[str, Sequence[str]], day: str, transcript: str | None) -> Page:
    """Write the page of a note; `hubs` are the pages it names by folder, `day` its day's page."""
    return Page(note.key, f"{_timed(note, transcript)}\n\n{linked(day, str(note.day))}", _front_matter(note, hubs))


def transcript_page(note: NoteFacts, page: str) -> Page:
    """Write what was said, each segment with its second and a mark to link to."""
    lines = [f"# {escaped(note.title)}", linked(page, f"{note.day} {note.title}")]
    for segment in note.said:
        text = "*\\[inaudible\\]*" if segment.text is None else escaped(segment.text)
        lines.append(f"\\[{_clock(segment.start_s)}\\] {text} ^s{segment.segment_id}")
    return Page(f"words/{note.key}", "\n\n".join(lines))


def hub_page(key: str, name: str, notes: Iterable[Listed]) -> Page:
    """Write the page of a person, place or topic: the notes that name it, the newest first."""
    ordered = sorted(notes, key=lambda n: (n.day, n.clock, n.page), reverse=True)
    return Page(key, "\n".join([f"# {escaped(name)}", "", *(f"- {n.link}" for n in ordered)]))


def day_page(key: str, day: str, notes: Iterable[Listed]) -> Page:
    """Write the page of a day: its notes in the order in which they were spoken."""
    ordered = sorted(notes, key=lambda n: (n.clock, n.page))
    lines = (f"- {n.clock} {linked(n.page, n.title)}" if n.clock else f"- {linked(n.page, n.title)}" for n in ordered)
    return Page(key, "\n".join([f"# {day}", "", *lines]))


def _timed(note: NoteFacts, transcript: str | None) -> str:
    """Make each time of the note a link to where that was said."""
    segments = {_clock(c.start_s): (c.segment_id, c.start_s) for c in reversed(note.claims)}

    def link(found: re.Match[str]) -> str:
        clock = found[1]
        if clock not in segments:
            return found[0]
        segment, start_s = segments[clock]
        if transcript is None:
            return f"[{clock}](diary://{note.key}#t={start_s:g})"
        return f"[[{transcript.removesuffix('.md')}#^s{segment}|{clock}]]"

    return _CLOCK.sub(link, note.markdown).rstrip()


def _front_matter(note: NoteFacts, hubs: Mapping[str, Sequence[str]]) -> str:
    told: dict[str, object] = {
        "title": note.title,
        "date": note.day,
        "recorded_at": f"{note.recorded_at:%Y-%m-%dT%H:%M:%SZ}" if note.recorded_at and note.clock_known else None,
        "mood": note.mood,
        **{folder.lower(): [linked(page, page[len(folder) + 1 : -3]) for page in hubs[folder]] for folder in hubs},
        "tags": [tag for tag in map(_tag, note.tags) if tag],
        "language": note.language,
        "writer": note.writer,
        "duration_s": round(note.duration_s, 1) if note.duration_s is not None else None,
        "source": note.file_name,
        "recording_key": note.key,
    }
    # JSON's strings and lists are YAML's too, whatever somebody calls a file.
    return "\n".join(f"{name}: {_yaml(value)}" for name, value in told.items() if value not in (None, []))


def _yaml(value: object) -> str:
    if isinstance(value, dt.date | int | float):
        return str(value)
    # YAML takes more characters for the end of a line than JSON does, and refuses others.
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in json.dumps(value, ensure_ascii=False))


def _tag(tag: str) -> str:
    """Make a tag that Obsidian takes: no spaces, not a number alone."""
    flat = re.sub(r"[^\w/-]+", "-", tag).strip("-/")
    return f"{flat}_" if flat.isdigit() else flat


def _local(note: NoteFacts) -> dt.datetime | None:
    if note.recorded_at is None:
        return None
    return note.recorded_at.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(note.time_zone or "UTC"))


def _clock(seconds: float) -> str:
    """As the renderers of notes write it."""
    minutes, s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{s:02}" if hours else f"{minutes:02}:{s:02}"
