"""What people are shown of a transcript: figures for a table, and its lines with times.

Pure. The figures hold no diary text, because they are logged and stored by Dagster; the lines do, and are not logged.
What surprises: a stretch that was not understood has a line too, with the reason, so that nobody takes the words before
it and after it for neighbours.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from diary_pipeline.audio.soundness import Measured
from diary_pipeline.core.recording import Recording
from diary_pipeline.core.transcript import Segment, Transcript
from diary_pipeline.transcription.renderers.lines import INAUDIBLE, clock

LINES = 12
Figures = Mapping[str, str | int | float | bool]


def figures(recording: Recording, transcript: Transcript) -> Figures:
    """Name what is known about a transcript, whenever it was made."""
    engine, sure = transcript.engine, transcript.language_probability
    return {
        "file_name": recording.file_name,
        "container": recording.container,
        "size_bytes": recording.size_bytes,
        "recorded_at": recording.recorded_at.at.isoformat(),
        "duration_s": round(transcript.duration_s, 3),
        "speech_s": round(sum(s.end_s - s.start_s for s in transcript.speech), 3),
        "inaudible_s": round(sum(s.end_s - s.start_s for s in transcript.segments if s.kind == "inaudible"), 3),
        "words": sum(len(s.words) for s in transcript.speech),
        "language": transcript.language or "none",
        "language_probability": "unknown" if sure is None else round(sure, 3),
        "model": engine.model,
        "model_sha256": engine.model_sha256 or "unknown",
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
    shown = [f"- {line}" for line in lines(transcript.segments)]
    if not shown:
        return "Nothing was said."
    more = f"\n\n{len(shown) - LINES} more lines" if len(shown) > LINES else ""
    return "\n".join(shown[:LINES]) + more


def lines(segments: Sequence[Segment]) -> list[str]:
    """Render speech and what was not understood, a line each: the time it begins, the words, and any doubt about them.

    A line in another language than most of the others names it, with its probability.
    """
    spoken = Counter(s.language for s in segments if s.text)
    usual = max(spoken, key=spoken.__getitem__, default=None)
    told = (s for s in segments if s.text or s.kind == "inaudible")
    return [f"`{clock(s.start_s)}` {' '.join(_told(s, usual))}" for s in told]


def _told(segment: Segment, usual: str | None) -> Iterator[str]:
    if segment.kind == "inaudible":
        yield f"{INAUDIBLE} ({segment.reason or 'unknown'}, {segment.end_s - segment.start_s:.1f} s)"
        return
    yield segment.text
    if segment.language not in (None, usual):
        sure = "" if segment.language_probability is None else f" {segment.language_probability:.2f}"
        yield f"({segment.language}{sure})"
    if segment.risks:
        yield f"(doubtful: {', '.join(segment.risks)})"
