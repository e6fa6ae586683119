"""What an owner puts right in one recording: from what they ask for to a commit, and the note as it reads then.

How a correction is kept and laid over what the machine makes is the catalogue's business. Nothing is heard or written
anew here: where what was said reads otherwise, the commit plans the note.

What surprises: numbers mean the segments and items of the moment somebody looks. They become seconds and words at
once, so that somebody else's edit in between costs nothing; a transcript or note made anew in between ends the edit.
"""

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from diary_pipeline.catalogue.corrections import Correctable, commit_corrections, correctable
from diary_pipeline.catalogue.overlay import on_items, on_segments
from diary_pipeline.core.correction import Correction, Target
from diary_pipeline.core.errors import NotFound, TransientError, UsageError
from diary_pipeline.core.note import DiaryNote, NoteItem
from diary_pipeline.core.recording import Recording
from diary_pipeline.core.transcript import Segment
from diary_pipeline.ledger.commits import Seen
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.notes.renderers.files import write_note_file
from diary_pipeline.notes.renderers.markdown import render_note
from diary_pipeline.notes.writer import NoteWriter, ToWrite
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.store import ObjectStore

TRIES = 20
"""People do not edit one recording twenty times a moment."""
LONGEST = 20_000
"""Characters of one correction: a segment is seconds of speech."""
ALL = "all"
logger = log(__name__)


@dataclass(frozen=True)
class Edit:
    """What somebody asks for."""

    target: Target
    text: str = ""
    number: int | None = None
    """Of the segment or item, as they are counted now."""


@dataclass(frozen=True)
class Edited:
    """What came of it."""

    seq: int
    """Of the commit; 0: everything reads so already, nothing was written."""
    is_said_anew: bool
    """The note is planned to be written again."""
    after: Correctable


class EditDiary:
    """Corrects recordings."""

    def __init__(self, ledger: Ledger, store: ObjectStore, writer: NoteWriter, note_dir: Path | None = None) -> None:
        self.ledger = ledger
        self.store = store
        self.writer = writer
        self.note_dir = note_dir

    def __call__(
        self,
        recording: Recording,
        edits: Sequence[Edit],
        by: str,
        revert: Collection[str] = (),
        seen: Seen | None = None,
    ) -> Edited:
        """Correct one recording and take corrections back: those with the ids in `revert`, or `all`.

        `seen`: versions of the transcript and note from which the numbers were read. NotFound and UsageError say which
        place or word is wrong; `correction_stale`: what it was corrected from is there no more.
        """
        before = correctable(self.ledger, self.store, recording)
        if seen is not None and _is_made_anew(seen, before.seen):
            raise _stale(recording)
        wanted = [_placed(before, edit, by) for edit in edits]
        reverted = _known(before, revert)
        for _ in range(TRIES):
            after = before.having(_merged(before, wanted, reverted))
            if {c.id: c.text for c in after.corrections.made} == {c.id: c.text for c in before.corrections.made}:
                return Edited(0, False, before)
            markdown = self._rendered(after)
            seq = commit_corrections(self.ledger, self.store, before, after, markdown)
            if seq:
                self._file(after, markdown)
                logger.info("corrected", corrections=len(after.corrections.made), seq=seq)
                return Edited(seq, after.transcript.version != before.transcript.version, after)
            now = correctable(self.ledger, self.store, recording)
            if _is_made_anew(before.seen, now.seen):
                raise _stale(recording)
            before = now
        raise TransientError("correction_crowded", f"{recording.key} is being corrected by many; try again.")

    def _rendered(self, after: Correctable) -> str:
        if after.note is None:
            return ""
        template, _ = self.writer.form(ToWrite(after.recording, after.transcript))
        return render_note(after.note, after.recording.recorded_at, template)

    def _file(self, after: Correctable, markdown: str) -> None:
        if self.note_dir is None or not markdown:
            return
        try:
            write_note_file(self.note_dir, after.recording.recorded_at.day, after.recording.key, markdown)
        except OSError as error:  # a full disk costs the file, never the correction
            logger.warning("note_file_not_written", key=after.recording.key, error=type(error).__name__)


def _placed(there: Correctable, edit: Edit, by: str) -> Correction:
    """Name the place of an edit by what will be found again."""
    text, now = " ".join(edit.text.split()), dt.datetime.now(dt.UTC)
    if len(text) > LONGEST:
        raise UsageError("correction_too_long", f"A correction has at most {LONGEST} characters; this one {len(text)}.")
    match edit.target:
        case "segment":
            segment = _segment(there, edit.number)
            return Correction("segment", text, segment.text, now, by, segment.start_s, segment.end_s)
        case "item" | "removed_item":
            item = _item(there, edit.number)
            said = _demand(text, "An item cannot be empty; --remove-item strikes it.") if edit.target == "item" else ""
            return Correction(edit.target, said, item.text, now, by, item.start_s, item.end_s, item.kind)
        case "title":
            return Correction("title", _demand(text, "A title cannot be empty."), _note(there).title, now, by)
        case "note_date":
            return Correction("note_date", _day(text), _note(there).note_date.isoformat(), now, by)


def _segment(there: Correctable, number: int | None) -> Segment:
    segment = next((s for s in there.heard.segments if s.id == number), None)
    if segment is None or segment.kind == "silence":
        key = there.recording.key
        raise NotFound("segment_missing", f"{key} has no segment {number} with speech; see `diary edit {key}`.")
    return segment


def _item(there: Correctable, number: int | None) -> NoteItem:
    item = next((i for i in _note(there).items if i.id == number), None)
    if item is None:
        key = there.recording.key
        raise NotFound("item_missing", f"The note of {key} has no item {number}; see `diary edit {key}`.")
    return item


def _note(there: Correctable) -> DiaryNote:
    if there.written is None:
        raise NotFound("note_missing", f"{there.recording.key} has no note, so there is nothing of it to correct.")
    return there.written


def _merged(there: Correctable, wanted: Sequence[Correction], reverted: Collection[str]) -> tuple[Correction, ...]:
    """Give the corrections that hold then: one for each place, and none that says what the machine says."""
    made = {c.id: c for c in there.corrections.made if c.id not in reverted}
    falls = _falls_on(there)
    for correction in wanted:
        where = falls(correction)
        for other in [c for c in made.values() if where is not None and falls(c) == where]:
            del made[other.id]  # it was anchored in an older transcript or note, and stands in the same place
        if correction.target == "removed_item" or correction.text != correction.machine_text:
            made[correction.id] = correction
        else:
            made.pop(correction.id, None)
    return tuple(made[i] for i in sorted(made))


def _falls_on(there: Correctable) -> Callable[[Correction], tuple[str, int] | None]:
    def falls(correction: Correction) -> tuple[str, int] | None:
        if placed := on_segments(there.heard.segments, [correction]):
            return "segment", placed[0].number
        if there.written and (placed := on_items(there.written.items, [correction])):
            return "item", placed[0].number
        return None

    return falls


def _known(there: Correctable, revert: Collection[str]) -> Collection[str]:
    ids = {c.id for c in there.corrections.made}
    if ALL in revert:
        return ids
    if unknown := sorted(set(revert) - ids):
        key = there.recording.key
        raise NotFound("correction_missing", f"{key} has no correction {unknown[0]}; `diary edit {key} --list`.")
    return set(revert)


def _day(text: str) -> str:
    try:
        return dt.date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise UsageError("date_invalid", f"{text[:40]!r} is no day; write it as YYYY-MM-DD.") from error


def _demand(text: str, otherwise: str) -> str:
    if not text:
        raise UsageError("correction_empty", otherwise)
    return text


def _is_made_anew(seen: Seen, now: Seen) -> bool:
    return (seen["transcript"], seen["note"]) != (now["transcript"], now["note"])


def _stale(recording: Recording) -> TransientError:
    return TransientError(
        "correction_stale",
        f"{recording.key} was heard or written anew meanwhile; look at it again with `diary edit {recording.key}`.",
    )
