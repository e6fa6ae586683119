"""Settings of batches and of trying again: how much one run carries, and when work comes back; part of settings.py's
one class."""

from pydantic import BaseModel, ConfigDict

from diary_pipeline.settings_kinds import Waits, setting


class BatchSettings(BaseModel):
    """How work is cut, and how often it is tried."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    transcript_batch_recordings: int = setting(
        "Batches", 200, "Most recordings in one transcription run; a run costs about 10 s to start.", ge=1, le=5000
    )
    transcript_batch_audio_minutes: float = setting(
        "Batches", 120.0, "Most minutes of audio in one transcription run, so that it ends within a coffee break.", gt=0
    )
    transcript_batches_open: int = setting(
        "Batches", 2, "Transcription batches planned and not ended; later arrivals join a later batch.", ge=1, le=1000
    )
    note_batch_recordings: int = setting("Batches", 500, "Most recordings in one run that writes notes.", ge=1, le=5000)
    note_batch_audio_minutes: float = setting(
        "Batches", 6000.0, "Most minutes of transcribed audio in one run that writes notes.", gt=0
    )
    note_batches_open: int = setting("Batches", 2, "Note batches planned and not ended.", ge=1, le=1000)
    lease_s: float = setting(
        "Batches",
        60.0,
        "Seconds after which a silent worker's recordings may be taken over; it reports thrice in it.",
        ge=3,
    )
    rollback_days: float = setting(
        "Batches",
        30.0,
        "Days for which every version of a transcript or note is kept; after that the current and the previous one.",
        ge=0,
    )
    max_attempts: int = setting(
        "Batches", 3, "Runs that may try one batch before it is halved or, of one recording, failed.", ge=1, le=100
    )
    retry_s: float = setting(
        "Batches",
        5.0,
        "Seconds until a whole batch, whose run raised, runs again; doubled with each attempt of the batch.",
        ge=0,
    )
    retry_after_s: Waits = setting(
        "Batches",
        (60.0, 300.0, 1800.0),
        "Seconds after which a recording that failed is tried again by itself, each pause once, unless its failure can "
        "not go away; then it has failed. 0: never.",
    )
    priority_step_minutes: float = setting(
        "Batches",
        60.0,
        "Minutes of waiting that lift a recording's priority by one step, up to high; 24 of them make it urgent.",
        gt=0,
    )

    @property
    def retries(self) -> tuple[float, ...]:
        """Give the pauses after failures of a stage; none when they are switched off."""
        return tuple(pause_s for pause_s in self.retry_after_s if pause_s)
