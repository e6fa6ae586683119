"""Settings of what comes in: how files are taken, fetched and announced; part of settings.py's one class."""

from pydantic import BaseModel, ConfigDict

from diary_pipeline.settings_kinds import setting


class SourceSettings(BaseModel):
    """How recordings get here."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    settle_s: float = setting(
        "Intake", 2.0, "Seconds for which a file must not have changed: one still being written is not taken.", ge=0
    )
    intake_budget_s: float = setting(
        "Intake", 20.0, "Seconds of hashing and probing in one tick; Dagster ends a tick after 60.", gt=0, le=50
    )
    intake_max_files: int = setting("Intake", 500, "Most files taken in by one tick.", ge=1)
    priority_step_minutes: float = setting(
        "Batches",
        60.0,
        "Minutes of waiting that lift a recording's priority by one step, up to high; 24 of them make it urgent.",
        gt=0,
    )
    max_file_size_mb: int = setting("Intake", 500, "Largest audio file, in millions of bytes.", ge=1)
    min_audio_s: float = setting("Intake", 0.3, "Shortest recording; below it there is no word to hear.", gt=0)
    max_audio_s: float = setting("Intake", 86_400.0, "Longest recording: a day.", gt=0)
    upload_kept_hours: float = setting(
        "Intake",
        24.0,
        "Hours after its last part for which an upload in parts is waited for; then its job fails.",
        gt=0,
    )
