"""The questions that a model is asked: rules first, the diary next, and last what is to be done with it.

The words of the rules are files in notes/prompts/; they come first because servers keep the beginning of a prompt. What
was spoken stands only inside the fence (fence.py). The version of a prompt is the hash of a sample question, so that
whatever shapes a question changes it: a word of a file, a template, this code. The layout of a template counts too,
because a note is stored as it looks; nobody is asked again for that, since answers are kept.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.resources import files

from pydantic import BaseModel

from diary_pipeline.core.languages import CODES
from diary_pipeline.core.recording import RecordedAt
from diary_pipeline.core.transcript import Engine, Segment, Transcript
from diary_pipeline.notes.drafts.assignment import Assignment
from diary_pipeline.notes.drafts.claims import Claims
from diary_pipeline.notes.drafts.fence import fenced, inert
from diary_pipeline.notes.drafts.schema import Claim, FoundDraft, HeadDraft, NoteDraft, strict_schema
from diary_pipeline.notes.offline.writer import OfflineWriter
from diary_pipeline.notes.providers.exchange import Prompt
from diary_pipeline.notes.renderers.template import DEFAULT, Template

Hide = Callable[[str], str]
OUTPUT_TOKENS = {"note": 4000, "found": 400, "head": 1500}
"""Small models that loop are stopped early; the others have room for a full draft."""
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_LANGUAGES = {code: name.title() for name, code in reversed(CODES.items())}


def shown(text: str) -> str:
    """Hide nothing: for servers of one's own."""
    return text


def note_prompt(
    assignment: Assignment,
    segments: Sequence[Segment] | None = None,
    *,
    part: tuple[int, int] = (1, 1),
    hide: Hide = shown,
) -> Prompt:
    """Ask for a draft of a recording, or of some segments of it: `part` (2, 5) is the second of five."""
    return _prompt("note", NoteDraft, assignment, _diary(assignment, segments, hide), part)


def found_prompt(
    assignment: Assignment,
    segments: Sequence[Segment] | None = None,
    *,
    part: tuple[int, int] = (1, 1),
    hide: Hide = shown,
) -> Prompt:
    """Ask a small model for what matters in a recording, or in some segments of it."""
    return _prompt("found", FoundDraft, assignment, _diary(assignment, segments, hide), part)


def head_prompt(assignment: Assignment, claims: Claims, *, hide: Hide = shown, most_bytes: int | None = None) -> Prompt:
    """Ask what the claims of a long recording amount to; of more than `most_bytes` only every second, third ... one."""
    told = sorted((*claims.events, *claims.reflections, *claims.actions), key=lambda claim: claim.segment)
    lines = [hide(inert(f"[{claim.segment}] {claim.text}")) for claim in told]
    every = 1
    while most_bytes is not None and every < len(lines) and _size(lines[::every]) > most_bytes:
        every += 1
    return _prompt("head", HeadDraft, assignment, fenced("diary", lines[::every]), (1, 1))


def line_of(segment: Segment, hide: Hide = shown) -> str:
    """Write a segment as a model sees it; this form costs the fewest tokens of those that name each line."""
    return f"[{segment.id}] {hide(inert(segment.text))}"


@lru_cache(maxsize=256)
def prompt_version(
    template: Template = DEFAULT, note_language: str | None = None, *, prose: bool = True, long: bool = False
) -> str:
    """Name what shapes a note's questions: `note-` or `found-` and 12 hex; `long` ones are also asked for a head."""
    sample = _sample(template, note_language)
    prompts = [note_prompt(sample) if prose else found_prompt(sample)]
    if long and prose:
        prompts.append(head_prompt(sample, Claims(events=(Claim(text="I slept.", quote="I slept", segment=0),))))
    # What is only found is told in the offline writer's words, title and summary.
    beside = [template.layout] if prose else [template.layout, OfflineWriter.version]
    said = json.dumps([[p.system, p.user, p.schema, p.max_output_tokens] for p in prompts] + beside)
    return f"{'note' if prose else 'found'}-{hashlib.sha256(said.encode()).hexdigest()[:12]}"


def _prompt(name: str, shape: type[BaseModel], assignment: Assignment, diary: str, part: tuple[int, int]) -> Prompt:
    schema = strict_schema(shape)
    hashed = hashlib.sha256(json.dumps(schema).encode()).hexdigest()[:8]
    wishes = _wishes(assignment.template) if name != "found" else ()
    day = assignment.recorded.day
    spoken = _LANGUAGES.get(assignment.spoken, assignment.spoken)
    known = [f"Recorded on {_DAYS[day.weekday()]}, {day}.", f"Spoken in {spoken}."]
    if part[1] > 1:
        known.append(f"This is part {part[0]} of {part[1]} of one diary.")
    return Prompt(
        system="\n\n".join((_rules(name), *wishes)),
        user="\n\n".join((" ".join(known), diary, _task(name, assignment))),
        schema=schema,
        shape=f"{name}-{hashed}",
        max_output_tokens=OUTPUT_TOKENS[name],
    )


def _wishes(template: Template) -> tuple[str, ...]:
    """What the owner asks of every note; theirs, and so outside the fence."""
    tone = (f"The tone that the owner wishes for: {template.tone}",) if template.tone else ()
    more = (f"What the owner asks besides, as far as it was said:\n{template.instructions}",)
    return (*tone, *(more if template.instructions else ()))


def _task(name: str, assignment: Assignment) -> str:
    if name == "found":
        return "Now find what matters in this diary."
    language = _LANGUAGES.get(assignment.language, assignment.language)
    if assignment.language == assignment.spoken:
        return f"Now write the draft, in {language}."
    copied = "; quotes, names and topics stay as they were said" if name == "note" else ""
    return f"Now write the draft. Its texts, summary and title are in {language}{copied}."


def _diary(assignment: Assignment, segments: Sequence[Segment] | None, hide: Hide) -> str:
    chosen = assignment.transcript.speech if segments is None else segments
    return fenced("diary", (line_of(segment, hide) for segment in chosen))


@lru_cache(maxsize=8)
def _rules(name: str) -> str:
    return files("diary_pipeline.notes").joinpath("prompts", f"{name}.md").read_text("utf-8").strip()


def _size(lines: Sequence[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)


def _sample(template: Template, note_language: str | None) -> Assignment:
    said = Segment(0, 0.0, 1.0, "speech", "I slept.", "en")
    transcript = Transcript("sample", 1.0, "en", 1.0, (said,), Engine("sample", "sample", ""), "sample")
    recorded = RecordedAt(dt.datetime(2026, 3, 4, tzinfo=dt.UTC), "UTC", "explicit", 1.0, dt.date(2026, 3, 4))
    return Assignment(transcript, recorded, "", "", note_language=note_language, template=template)
