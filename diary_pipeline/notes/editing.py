"""Correcting one recording: read what is there, lay the edits over it, commit, and show the note as it reads then.

Which places edits mean is edits.py's business, how corrections are kept and laid over what the machine makes the
catalogue's. Nothing is heard or written anew here: where what was said reads otherwise, the commit plans the note.

What surprises: somebody else's edit in between costs nothing, the commit is tried again on top of it; a transcript or
note made anew in between ends the edit, because its numbers meant another one.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from diary_pipeline.catalogue.corrections import Correctable, commit_corrections, correctable
from diary_pipeline.core.errors import TransientError
from diary_pipeline.core.recording import Recording
from diary_pipeline.core.transcript import Transcript
from diary_pipeline.ledger.commits import Seen
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.notes.edits import Edit, demand_each_once, merged, placed, taken_back
from diary_pipeline.notes.renderers.files import write_note_file
from diary_pipeline.notes.renderers.markdown import render_note
from diary_pipeline.notes.writer import NoteWriter, ToWrite
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.store import ObjectStore

TRIES = 20
"""People do not edit one recording twenty times a moment."""
logger = log(__name__)


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

    def __init__(
        self,
        ledger: Ledger,
        store: ObjectStore,
        writer: NoteWriter,
        note_dir: Path | None = None,
        on_said_anew: Callable[[Recording, Transcript], object] = lambda _recording, _transcript: None,
    ) -> None:
        """`on_said_anew` hears of each transcript that reads otherwise now, after the commit."""
        self.ledger = ledger
        self.store = store
        self.writer = writer
        self.note_dir = note_dir
        self.on_said_anew = on_said_anew

    def __call__(
        self,
        recording: Recording,
        edits: Sequence[Edit],
        by: str,
        revert: Collection[str] = (),
        seen: Seen | None = None,
        *,
        alone: bool = False,
    ) -> Edited:
        """Correct one recording and take corrections back: those with the ids in `revert`, or `all`.

        `seen`: versions of the transcript and note from which the numbers were read. NotFound and UsageError say which
        place or word is wrong; `correction_stale`: what it was corrected from is there no more, or with `alone`,
        somebody else has corrected it since.
        """
        before = correctable(self.ledger, self.store, recording)
        if seen is not None and (_is_made_anew(seen, before.seen) or (alone and seen != before.seen)):
            raise _stale(recording)
        demand_each_once(edits)
        wanted = [placed(before, edit, by) for edit in edits]
        reverted = taken_back(before, revert)
        for _ in range(TRIES):
            after = before.having(merged(before, wanted, reverted))
            if {c.id: c.text for c in after.corrections.made} == {c.id: c.text for c in before.corrections.made}:
                return Edited(0, False, before)
            markdown = self._rendered(after)
            seq = commit_corrections(self.ledger, self.store, before, after, markdown)
            if seq:
                logger.info("corrected", corrections=len(after.corrections.made), seq=seq)
                self._file(after, markdown)
                is_said_anew = after.transcript.version != before.transcript.version
                if is_said_anew:
                    self.on_said_anew(recording, after.transcript)
                return Edited(seq, is_said_anew, after)
            now = correctable(self.ledger, self.store, recording)
            if alone or _is_made_anew(before.seen, now.seen):
                raise _stale(recording)
            before = now
        raise TransientError("correction_crowded", f"{recording.key} is being corrected by many; try again.")

    def show_again(self, recording: Recording) -> int:
        """Have another note of a recording, to which its pointer was moved back, read with the corrections; return the
        seq, 0 when nothing ever was corrected. TransientError when it moved meanwhile.
        """
        there = correctable(self.ledger, self.store, recording)
        if there.corrections.version is None:
            return 0
        markdown = self._rendered(there)
        seq = commit_corrections(self.ledger, self.store, there, there, markdown)
        if not seq:
            raise _stale(recording)
        self._file(there, markdown)
        return seq

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


def _is_made_anew(seen: Seen, now: Seen) -> bool:
    return (seen["transcript"], seen["note"]) != (now["transcript"], now["note"])


def _stale(recording: Recording) -> TransientError:
    return TransientError(
        "correction_stale",
        f"{recording.key} was heard or written anew meanwhile; read it again before you correct it.",
    )
