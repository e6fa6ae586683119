"""What people are shown of a transcript: figures for a table, and its first lines with times.

Pure. The figures hold no diary text, because they are logged and stored by Dagster; the preview does, and is not
logged.
"""

from collections.abc import Mapping

from diary_pipeline.audio.soundness import Measured
from diary_pipeline.core.recording import Recording
from diary_pipeline.core.transcript import Transcript

LINES = 12
Figures = Mapping[str, str | int | float | bool]


def figures(recording: Recording, transcript: Transcript) -> Figures:
    """Name what is known about a transcript, whenever it was made."""
    engine = transcript.engine
    return {
        "file_name": recording.file_name,
        "container": recording.container,
        "size_bytes": recording.size_bytes,
        "recorded_at": recording.recorded_at.at.isoformat(),
        "duration_s": round(transcript.duration_s, 3),
        "speech_s": round(sum(s.end_s - s.start_s for s in transcript.speech), 3),
        "words": sum(len(s.words) for s in transcript.speech),
        "language": transcript.language or "none",
        "language_probability": round(transcript.language_probability, 3),
        "model": engine.model,
        "model_sha256": engine.model_sha256,
        "transcript_version": transcript.version,
    }


def effort(measured: Measured) -> Figures:
    """Name what is known only when a recording was decoded just now."""
    return {
        "peak_dbfs": round(measured.peak_dbfs, 1),
        "rms_dbfs": round(measured.rms_dbfs, 1),
    }


def preview(transcript: Transcript) -> str:
    """Render the first lines as Markdown, each with the time it begins."""
    lines = [f"- `{_clock(s.start_s)}` {s.text}" for s in transcript.speech]
    if not lines:
        return "Nothing was said."
    more = f"\n\n{len(lines) - LINES} more lines" if len(lines) > LINES else ""
    return "\n".join(lines[:LINES]) + more


def _clock(at_s: float) -> str:
    minutes, seconds = divmod(int(at_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
