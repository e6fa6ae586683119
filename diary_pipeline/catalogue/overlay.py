"""Corrections laid over what the machine made: which segment or item each one falls on now, and how that reads then.

Pure. Where corrections are kept is corrections.py's business, changing published rows fold_corrections.py's.

What surprises: nothing is forced. A transcript made anew may be cut elsewhere, a new note may say something else; a
correction falls on the segment that it overlaps most, or on an item of its kind from the same seconds, but only where
words stand that resemble the machine's own at the time, or what they were corrected to. Otherwise it is kept, and
placed nowhere.
"""

import datetime as dt
import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from diary_pipeline.core.correction import Correction
from diary_pipeline.core.note import DiaryNote, NoteItem
from diary_pipeline.core.transcript import Segment, Transcript, Word

ALIKE = 0.8
"""Of the characters: one name heard otherwise in a sentence leaves more, another sentence of a diary leaves half."""
NEAR_S = 1.0
"""Another model cuts pauses otherwise, and a new note may take its evidence from the words beside."""


@dataclass(frozen=True)
class Placed:
    """A correction, the segment or item that it falls on, and how that reads with all that fell on it before."""

    correction: Correction
    number: int
    text: str


def on_segments(segments: Sequence[Segment], made: Iterable[Correction]) -> list[Placed]:
    """Say which segments are corrected and how they read; of two on one segment the last one tells."""
    spoken = [s for s in segments if s.kind != "silence"]
    texts: dict[int, str] = {}
    placed: list[Placed] = []
    for correction in sorted((c for c in made if c.target == "segment"), key=lambda c: (c.start_s or 0.0, c.id)):
        there = max(spoken, key=lambda s: _overlap_s(correction, s.start_s, s.end_s), default=None)
        if there is None or _overlap_s(correction, there.start_s, there.end_s) <= 0:
            continue
        text = _put_right(texts.get(there.id, there.text), there, correction)
        if text is not None:
            texts[there.id] = text
            placed.append(Placed(correction, there.id, text))
    return placed


def on_items(items: Sequence[NoteItem], made: Iterable[Correction]) -> list[Placed]:
    """Say which items are corrected or removed and how they read; an item takes one correction, the nearest."""
    free = list(items)
    placed: list[Placed] = []
    for correction in sorted((c for c in made if c.target in ("item", "removed_item")), key=lambda c: c.id):
        there = min(
            (i for i in free if i.kind == correction.kind and _is_meant(i, correction)),
            key=lambda i: (i.text != correction.machine_text, abs(i.start_s - (correction.start_s or 0.0)), i.id),
            default=None,
        )
        if there is not None:
            free.remove(there)
            placed.append(Placed(correction, there.id, correction.text))
    return placed


def whole(made: Iterable[Correction]) -> Mapping[str, Correction]:
    """Give the corrections of title and date, which fall on whatever note there is."""
    return {c.target: c for c in made if c.target in ("title", "note_date")}


def corrected_transcript(transcript: Transcript, made: Sequence[Correction]) -> Transcript:
    """Give the transcript as its owner says it was spoken; its version tells so."""
    texts = {p.number: p.text for p in on_segments(transcript.segments, made)}
    if not texts:
        return transcript
    said = json.dumps(sorted(texts.items()))
    return replace(
        transcript,
        segments=tuple(
            _corrected(s, texts[s.id], transcript.language) if s.id in texts else s for s in transcript.segments
        ),
        version=f"{transcript.version}+{hashlib.sha256(said.encode()).hexdigest()[:8]}",
    )


def corrected_note(note: DiaryNote, made: Sequence[Correction]) -> DiaryNote:
    """Give the note as its owner wants it."""
    placed = {p.number: p for p in on_items(note.items, made)}
    if not placed and not whole(made):
        return note
    items = (
        replace(i, text=placed[i.id].text) if i.id in placed else i
        for i in note.items
        if i.id not in placed or placed[i.id].correction.target == "item"
    )
    put_right = whole(made)
    return replace(
        note,
        title=put_right["title"].text if "title" in put_right else note.title,
        note_date=dt.date.fromisoformat(put_right["note_date"].text) if "note_date" in put_right else note.note_date,
        items=tuple(items),
    )


def alike(one: str, other: str) -> bool:
    """Tell whether two texts are the same words but for a few; case and punctuation aside."""
    a, b = _plain(one), _plain(other)
    if min(len(a), len(b)) < ALIKE * max(len(a), len(b), 1):
        return False
    return difflib.SequenceMatcher(None, a, b, autojunk=False).ratio() >= ALIKE


def _put_right(text: str, there: Segment, correction: Correction) -> str | None:
    """Give a segment's text with the correction in it; None: other words stand there now."""
    machine, wanted = correction.machine_text, correction.text
    if _plain(text) == _plain(machine):
        return wanted
    has_machine, has_wanted = _within(machine, text), _within(wanted, text)
    if has_wanted and (not has_machine or _within(machine, wanted)):
        return text  # it was heard right, and joined with its neighbours
    if has_machine:
        return " ".join(f"{text[: has_machine.start()]}{wanted}{text[has_machine.end() :]}".split())
    # Words of a neighbour would be lost where a longer stretch is taken for the same.
    is_longer = there.start_s < (correction.start_s or 0.0) - NEAR_S or there.end_s > (correction.end_s or 0.0) + NEAR_S
    return wanted if not is_longer and (alike(text, machine) or alike(text, wanted)) else None


def _within(words: str, text: str) -> re.Match[str] | None:
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text) if words else None


def _is_meant(item: NoteItem, correction: Correction) -> bool:
    if not _overlap_s(correction, item.start_s - NEAR_S, item.end_s + NEAR_S) > 0:
        return item.text == correction.machine_text and item.kind in ("person", "place", "topic")
    return alike(item.text, correction.machine_text) or bool(correction.text and alike(item.text, correction.text))


def _overlap_s(correction: Correction, start_s: float, end_s: float) -> float:
    return min(correction.end_s or 0.0, end_s) - max(correction.start_s or 0.0, start_s)


def _corrected(segment: Segment, text: str, language: str | None) -> Segment:
    words = tuple(_retimed(segment, text.split())) if segment.words else ()
    kind = "speech" if segment.kind == "inaudible" and text else segment.kind
    return replace(segment, text=text, kind=kind, language=segment.language or language, words=words)


def _retimed(segment: Segment, texts: Sequence[str]) -> Iterator[Word]:
    """Give the words of a corrected text their times: those that were heard keep theirs, others share what they
    replaced, and an added one shares with its neighbour."""
    heard = segment.words
    diff = difflib.SequenceMatcher(None, [_plain(w.text) for w in heard], [_plain(t) for t in texts], autojunk=False)
    for tag, a, b, c, d in diff.get_opcodes():
        if tag == "equal":
            yield from (replace(w, text=t) for w, t in zip(heard[a:b], texts[c:d], strict=True))
        elif tag == "insert":
            near = heard[max(0, a - 1)] if heard else None
            start, end = (near.start_s, near.end_s) if near else (segment.start_s, segment.end_s)
            yield from _shared(texts[c:d], start, end)
        elif tag == "replace":
            yield from _shared(texts[c:d], heard[a].start_s, heard[b - 1].end_s)


def _shared(texts: Sequence[str], start_s: float, end_s: float) -> Iterator[Word]:
    step = (end_s - start_s) / len(texts)
    for n, text in enumerate(texts):
        yield Word(text, round(start_s + n * step, 2), round(start_s + (n + 1) * step, 2), None)


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s]", "", text.casefold()).split())
