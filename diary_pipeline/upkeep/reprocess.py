"""Doing chosen recordings again: which of them are not current, how much that is, and planning them.

Which version is current is the stages' to say, planning the ledger's. The surprise: a stage does nothing for a
recording that turns out to be current after all, so a selection that is too large costs little.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from diary_pipeline.catalogue.query import query
from diary_pipeline.core.batch import Stage
from diary_pipeline.core.errors import ServiceMissing, UsageError
from diary_pipeline.core.note import DEGRADED
from diary_pipeline.core.owner import Owner
from diary_pipeline.core.recording import Recording
from diary_pipeline.intake.submit import check_model
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.again import idle, want_again
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.pointers import Pointer, pointers_of
from diary_pipeline.ledger.versions import went_back
from diary_pipeline.notes.asked import asked_again
from diary_pipeline.notes.routed.forecast import Forecast, Sum
from diary_pipeline.notes.writer import NoteWriter, ToWrite
from diary_pipeline.storage.store import ObjectStore

STAGES: tuple[Stage, ...] = ("transcript", "note")
READ_AT_MOST = 200
"""Transcripts, of the newest recordings; the rest is taken to be like them."""


def checked_model(said: str, allowed: Collection[str]) -> str | None:
    """Give the model that is asked for; None: none is. UsageError `model_unknown` when it may not be used."""
    if said:
        check_model(said, allowed)
    return said or None


@dataclass(frozen=True)
class Selection:
    """What doing some recordings again would mean."""

    transcripts: Mapping[str, float]
    """Seconds of audio of those to be transcribed again; their notes follow."""
    notes: Mapping[str, float]
    """Seconds of audio of those whose note alone is to be written again."""
    current: int
    """Left out, because what is there is what would be made today, or what somebody went back to by hand."""
    without_audio: int
    """Left out, because their audio was removed as its owner wants, so that they cannot be heard again."""
    busy: int
    """Left out, because somebody works on them or they wait anyway."""
    unknown: tuple[str, ...]
    """Keys that the ledger does not have."""
    model: str | None = None
    """To transcribe with from now on; None: the one that each recording has."""
    judged: bool = True
    """False: no model is at hand here, so every transcript is taken to be an old one; its stage will look again."""

    @property
    def audio_hours(self) -> float:
        """Hours to be transcribed."""
        return sum(self.transcripts.values()) / 3600


@dataclass(frozen=True)
class Reprocess:
    """Looks recordings over and plans those that are not current."""

    ledger: Ledger
    store: ObjectStore
    live: Path
    """The published file, which a condition is asked of."""
    version_of: Callable[[Recording], str]
    """The version that a transcript made today would have."""
    writer: NoteWriter
    owners: Callable[[str], Owner]
    forecast: Callable[[Sequence[ToWrite]], Forecast]
    allowed_models: Collection[str]

    def keys(self, keys: Sequence[str], where: str) -> list[str]:
        """Return the given keys and those of `recordings` that meet an SQL condition; UsageError `sql_invalid`."""
        if not keys and not where:
            raise UsageError(
                "nothing_chosen", "Say which recordings: keys, or a condition over `recordings` such as true."
            )
        found = list(keys)
        if where:
            said = f"SELECT recording_key FROM recordings WHERE recording_key IS NOT NULL AND ({where}\n)"  # noqa: S608 - one read-only statement, whatever is said
            found += [str(row[0]) for row in query(self.live, said).rows]
        return list(dict.fromkeys(found))

    def look(self, keys: Sequence[str], stages: Sequence[Stage] = STAGES, model: str | None = None) -> Selection:
        """Tell what would be done again, with another model than each recording has now where one is named."""
        with self.ledger.reading() as conn:
            known = {row.recording.key: row.recording for row in recordings.rows(conn, keys)}
        if model is not None:
            known = {key: replace(recording, whisper_model=model) for key, recording in known.items()}
        with self.ledger.reading() as conn:
            transcripts, notes = (pointers_of(conn, list(known), stage) for stage in STAGES)
            free = {stage: idle(conn, stage, list(known)) for stage in STAGES}
            chosen_by_hand = went_back(conn, list(known))
        to_hear = {k: r for k, r in known.items() if k not in chosen_by_hand} if "transcript" in stages else {}
        old, judged = self._old_transcripts(to_hear, transcripts)
        silent = [key for key in old if known[key].audio_removed]
        old = [key for key in old if not known[key].audio_removed]
        rest = [key for key in known if key not in old] if "note" in stages else []
        wrong = [key for key in rest if self._is_old_note(known[key], transcripts.get(key), notes.get(key))]
        chosen: dict[Stage, list[str]] = {"transcript": old, "note": wrong}
        found = {stage: {k: free[stage][k] for k in some if k in free[stage]} for stage, some in chosen.items()}
        return Selection(
            found["transcript"],
            found["note"],
            current=len(known) - len(old) - len(wrong) - len(set(silent) - set(wrong)),
            without_audio=len(silent),
            busy=len(old) + len(wrong) - sum(map(len, found.values())),
            unknown=tuple(key for key in keys if key not in known),
            judged=judged,
            model=model,
        )

    def cost(self, selection: Selection) -> Sum:
        """Tell what language models would take for the notes, judged by the newest; those of new transcripts count."""
        keys = sorted((*selection.transcripts, *selection.notes), reverse=True)
        asked = asked_again(self.ledger, self.store, keys[:READ_AT_MOST])
        return self.forecast(asked).total.scaled(len(keys) / len(asked)) if asked else Sum()

    def plan(self, selection: Selection) -> int:
        """Have the selected recordings done again and return how many that are; sensors plan their batches."""
        again = want_again(self.ledger, "transcript", list(selection.transcripts), selection.model)
        return len(again) + len(want_again(self.ledger, "note", list(selection.notes)))

    def _old_transcripts(self, known: Mapping[str, Recording], there: Mapping[str, Pointer]) -> tuple[list[str], bool]:
        old, judged = [], True
        for key, recording in known.items():
            pointer = there.get(key)
            if pointer is not None and pointer.object_id and judged:
                try:
                    if pointer.version == self.version_of(recording):
                        continue
                except ServiceMissing:
                    judged = False
            old.append(key)
        return old, judged

    def _is_old_note(self, recording: Recording, transcript: Pointer | None, note: Pointer | None) -> bool:
        if transcript is None or transcript.object_id is None:
            return False
        if note is None or note.object_id is None or note.seq < transcript.seq:
            return True
        if note.made_with is None:  # nothing was said, or somebody went back to it
            return False
        if note.made_with.startswith(DEGRADED):
            return self.writer.writer == "llm"
        return note.made_with not in self.writer.prompt_versions(self.owners(recording.owner))
