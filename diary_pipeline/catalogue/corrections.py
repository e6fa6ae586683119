"""Committing what an owner puts right: one object holds everything that is put right in one recording now.

How corrections are laid over a transcript or note is overlay.py's business; what a person asks for, and how the note
looks with it, is notes/editing.py's.

What surprises: who corrects commits against what they saw. When transcript, note or corrections have moved since,
nothing is written and the caller looks again, so of two who edit at once neither loses anything.
"""

from dataclasses import dataclass, replace

from diary_pipeline.catalogue.log_object import write_object
from diary_pipeline.catalogue.overlay import corrected_note, corrected_transcript, on_items, on_segments, whole
from diary_pipeline.catalogue.read import corrections_of, heard_of, written_of
from diary_pipeline.catalogue.rows import arrow_tables, correction_rows
from diary_pipeline.core.correction import Correction, Corrections, corrections_version
from diary_pipeline.core.errors import NotFound
from diary_pipeline.core.note import DiaryNote
from diary_pipeline.core.recording import Recording
from diary_pipeline.core.transcript import Transcript
from diary_pipeline.ledger.commits import Correcting, Seen, record_corrections, seen_now
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.storage.keys import catalogue_object_id
from diary_pipeline.storage.store import ObjectStore


@dataclass(frozen=True)
class Correctable:
    """A recording as the machine made it, with what is put right in it."""

    recording: Recording
    seen: Seen
    heard: Transcript
    written: DiaryNote | None
    """None: nothing was said, or no note is made yet."""
    corrections: Corrections

    @property
    def transcript(self) -> Transcript:
        """What was said, as its owner says."""
        return corrected_transcript(self.heard, self.corrections.made)

    @property
    def note(self) -> DiaryNote | None:
        """The note as its owner wants it."""
        return corrected_note(self.written, self.corrections.made) if self.written else None

    @property
    def placed(self) -> frozenset[str]:
        """Ids of the corrections that are in what is shown; the others fall on nothing that is there now."""
        made = self.corrections.made
        fell = [p.correction for p in on_segments(self.heard.segments, made)]
        if self.written:
            fell += [p.correction for p in on_items(self.written.items, made)]
            fell += whole(made).values()
        return frozenset(c.id for c in fell)

    def having(self, made: tuple[Correction, ...]) -> "Correctable":
        """Give the same with other corrections."""
        return replace(self, corrections=Corrections(made, corrections_version(made)))


def correctable(ledger: Ledger, store: ObjectStore, recording: Recording) -> Correctable:
    """Return what can be corrected of a recording; NotFound when it has no transcript."""
    with ledger.reading() as conn:  # before the objects are read: should one move meanwhile, the commit finds out
        seen = seen_now(conn, recording.key)
    keys = [recording.key]
    heard = heard_of(ledger, store, keys).get(recording.key)
    if heard is None:
        raise NotFound("transcript_missing", f"{recording.key} has no transcript yet, so there is nothing to correct.")
    written = written_of(ledger, store, keys).get(recording.key)
    put_right = corrections_of(ledger, store, keys).get(recording.key, Corrections())
    return Correctable(recording, seen, heard, written, put_right)


def commit_corrections(
    ledger: Ledger, store: ObjectStore, before: Correctable, after: Correctable, markdown: str
) -> int:
    """Commit the corrections of `after` and return the seq; 0: something has moved since `before` was read.

    `markdown` is the note of `after` as people read it. NotFound when the recording was erased meanwhile.
    """
    object_id = catalogue_object_id("correction")
    rows = correction_rows(after.recording, after.corrections, after.written, markdown)
    size = write_object(store, object_id, arrow_tables([rows]))
    is_said_anew = after.transcript.version != before.transcript.version
    wanted = Correcting(after.recording.key, after.corrections.version or "", before.seen, is_said_anew)
    try:
        seq = record_corrections(ledger, object_id=object_id, size_bytes=size, wanted=wanted)
    except NotFound:
        store.delete(object_id)
        raise
    if not seq:
        store.delete(object_id)
    return seq
