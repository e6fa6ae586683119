"""A transcript in the formats that people and programs read: plain text, JSON, SRT, WebVTT, Markdown.

Pure: a recording and its transcript in, the text of a file out, always UTF-8 without a byte order mark. Where the files
lie is files.py's business, how words become cues cues.py's.

What surprises: SRT has no way to escape, so a zero-width space parts what a player would take for markup. All other
characters stay as they were said.
"""

import dataclasses
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from diary_pipeline.core.markdown import escaped
from diary_pipeline.core.recording import Recording
from diary_pipeline.core.transcript import Segment, Transcript
from diary_pipeline.transcription.renderers.cues import cues_of
from diary_pipeline.transcription.renderers.lines import INAUDIBLE, clean, clock, joined

TranscriptFormat = Literal["txt", "json", "srt", "vtt", "md"]
"""Named as their files end."""
PARAGRAPH_S = 2.0
"""A silence this long begins a new paragraph: people pause so between subjects, not between sentences."""
SCHEMA = "diary_pipeline/transcript/1"
"""Of the JSON; fields may be added under the same number, none is renamed or removed."""
# `<b>`, `</i>` and `{\an8}` style a line, and `-->` begins a cue wherever it stands.
_SRT_MARKUP = re.compile(r"<(?=[/A-Za-z])|\{(?=\\)|--(?=>)")
_VTT_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
# YAML refuses these even when quoted.
_NOT_YAML = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def render_txt(_: Recording, transcript: Transcript) -> str:
    """Write what was said in paragraphs, `[inaudible]` where it was not understood; nothing when nothing was said."""
    paragraphs: list[list[str]] = [[]]
    for kind, some in itertools.groupby(transcript.segments, key=lambda s: s.kind):
        segments = list(some)
        if kind == "speech":
            paragraphs[-1] += [clean(s.text) for s in segments]
        elif kind == "inaudible":
            paragraphs[-1].append(INAUDIBLE)
        elif segments[-1].end_s - segments[0].start_s >= PARAGRAPH_S:
            paragraphs.append([])
    text = "\n\n".join(filter(None, map(joined, paragraphs)))
    return f"{text}\n" if text else ""


def render_json(recording: Recording, transcript: Transcript) -> str:
    """Write all that is known: the recording, the engine, each segment with its words. One line a segment.

    Fields stand in this order: schema, recording_key, user_id, file_name, title, tags, content_sha256, recorded_at
    (UTC), time_zone, duration_s, language, language_probability, engine, version, segments. Those of `engine` and
    `segments` are the ones of core/transcript.py. A number that JSON cannot say is null.
    """
    head = {
        "schema": SCHEMA,
        "recording_key": recording.key,
        "user_id": recording.owner,
        "file_name": recording.file_name,
        "title": recording.title,
        "tags": list(recording.tags),
        "content_sha256": recording.content_sha256,
        "recorded_at": recording.recorded_at.at.isoformat(),
        "time_zone": recording.recorded_at.zone,
        "duration_s": transcript.duration_s,
        "language": transcript.language,
        "language_probability": transcript.language_probability,
        "engine": dataclasses.asdict(transcript.engine),
        "version": transcript.version,
    }
    fields = [f'  "{name}": {_json(value)}' for name, value in head.items()]
    segments = ",\n".join(f"    {_json(dataclasses.asdict(s))}" for s in transcript.segments)
    fields.append(f'  "segments": [\n{segments}\n  ]' if segments else '  "segments": []')
    return "{\n" + ",\n".join(fields) + "\n}\n"


def render_srt(_: Recording, transcript: Transcript) -> str:
    """Write SubRip subtitles."""
    return "\n".join(
        f"{number}\n{_stamp(cue.start_ms, ',')} --> {_stamp(cue.end_ms, ',')}\n"
        + "".join(f"{_SRT_MARKUP.sub(_parted, line)}\n" for line in cue.lines)
        for number, cue in enumerate(cues_of(transcript), start=1)
    )


def render_vtt(recording: Recording, transcript: Transcript) -> str:
    """Write WebVTT subtitles; a note at the top names the file."""
    blocks = ["WEBVTT\n", f"NOTE {_vtt(clean(recording.file_name))}\n"]
    blocks += [
        f"{_stamp(cue.start_ms, '.')} --> {_stamp(cue.end_ms, '.')}\n" + "".join(f"{_vtt(one)}\n" for one in cue.lines)
        for cue in cues_of(transcript)
    ]
    return "\n".join(blocks)


def render_md(recording: Recording, transcript: Transcript) -> str:
    """Write Markdown with front matter, as Obsidian reads it; every line begins with its time."""
    title = clean(recording.title or recording.file_name)
    front = {
        "title": _yaml(title),
        "date": recording.recorded_at.day.isoformat(),
        "recording_key": _yaml(recording.key),
        "file_name": _yaml(recording.file_name),
        "duration_s": f"{transcript.duration_s:.3f}",
        "language": _yaml(transcript.language) if transcript.language else "null",
        "model": _yaml(transcript.engine.model),
        # Obsidian's tags hold no spaces.
        "tags": "[" + ", ".join(_yaml("-".join(tag.split())) for tag in recording.tags) + "]",
    }
    head = "".join(f"{name}: {value}\n" for name, value in front.items())
    lines = "\n".join(_md_lines(transcript)) or "*Nothing was said.*"
    return f"---\n{head}---\n\n# {escaped(title)}\n\n{lines}\n"


RENDERERS: Mapping[str, Callable[[Recording, Transcript], str]] = {
    "txt": render_txt,
    "json": render_json,
    "srt": render_srt,
    "vtt": render_vtt,
    "md": render_md,
}


def _md_lines(transcript: Transcript) -> Iterator[str]:
    for kind, some in itertools.groupby(transcript.segments, key=lambda s: s.kind):
        segments: list[Segment] = list(some)
        if kind == "inaudible":
            start, end = clock(segments[0].start_s), clock(segments[-1].end_s)
            yield f"- {start} [inaudible {start}-{end}]"
        elif kind == "speech":
            yield from (f"- {clock(s.start_s)} {escaped(clean(s.text))}" for s in segments if clean(s.text))


def _stamp(at_ms: int, point: str) -> str:
    seconds, ms = divmod(at_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{ms:03}"


def _parted(found: re.Match[str]) -> str:
    return f"{found[0]}\u200b"


def _vtt(text: str) -> str:
    return text.translate(_VTT_ESCAPES)


def _json(value: object) -> str:
    return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, tuple | list) else value


def _yaml(text: str) -> str:
    # A JSON string is a quoted YAML one.
    return json.dumps(_NOT_YAML.sub("", clean(text)), ensure_ascii=False)
