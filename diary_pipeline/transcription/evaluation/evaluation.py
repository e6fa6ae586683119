"""Runs a speech engine over recordings whose words are known, and says how well and how fast it heard them.

Counting errors is word_errors.py's business, reading the set reference_set.py's; no ledger and no catalogue is touched.

What surprises: speed is the whole set's, never one recording's. Short recordings share model batches, so that no time
is one recording's own.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from diary_pipeline.audio.decode import RATE, decode
from diary_pipeline.core.errors import DiaryError
from diary_pipeline.core.transcript import Engine, Segment
from diary_pipeline.transcription.evaluation.reference_set import Failed, Reference
from diary_pipeline.transcription.evaluation.word_errors import Errors, count_errors, normaliser
from diary_pipeline.transcription.transcriber import Heard, Hints, ToHear, Transcriber, hear


@dataclass(frozen=True)
class Scored:
    """How one recording came out."""

    row: int
    name: str
    language: str | None
    duration_s: float
    speech_s: float
    """Seconds that were understood."""
    inaudible_s: float
    """Seconds in which somebody spoke and that were not understood, or not believed."""
    errors: Errors
    risks: Mapping[str, int]
    """Segments of what is kept, by the signal that was raised about them."""
    refused: Mapping[str, int]
    """Segments that became inaudible, by the reason."""

    @property
    def inaudible_share(self) -> float:
        """Inaudible seconds by all seconds in which somebody spoke."""
        return _share(self.inaudible_s, self.speech_s)


@dataclass(frozen=True)
class Evaluation:
    """How a set came out, in order of its rows."""

    engine: Engine
    scored: tuple[Scored, ...]
    failed: tuple[Failed, ...]
    wall_s: float
    cpu_s: float
    """Of all threads of this process; both without the loading of the weights, and with decoding the audio."""

    @property
    def total(self) -> Scored:
        """All recordings as one: counts added up, so that long ones weigh more. Row 0; no language."""
        return Scored(
            row=0,
            name="total",
            language=None,
            duration_s=sum(s.duration_s for s in self.scored),
            speech_s=sum(s.speech_s for s in self.scored),
            inaudible_s=sum(s.inaudible_s for s in self.scored),
            errors=sum((s.errors for s in self.scored), Errors()),
            risks=_sum(s.risks for s in self.scored),
            refused=_sum(s.refused for s in self.scored),
        )

    @property
    def real_time_factor(self) -> float:
        """Wall seconds by seconds of audio: 0.1 is ten times faster than listening. NaN when nothing was heard."""
        return self.wall_s / self.total.duration_s if self.scored else float("nan")

    @property
    def audio_s_per_cpu_s(self) -> float:
        """Seconds of audio that one second of one core transcribes. NaN when nothing was heard."""
        return self.total.duration_s / self.cpu_s if self.scored and self.cpu_s else float("nan")


def evaluate(
    transcriber: Transcriber,
    references: Sequence[Reference],
    *,
    language: str | None = None,
    failed: Sequence[Failed] = (),
    on_done: Callable[[Reference], None] = lambda _: None,
) -> Evaluation:
    """Hear all recordings of a set in one call and compare; `failed` are rows that were not fit to be heard.

    A recording that cannot be heard is named among the failed and the others go on. Raise UsageError when the model
    does not understand `language`, ServiceMissing without the extra `eval`.
    """
    normaliser(language)
    hints = Hints(language=language)
    rows = {str(reference.row): reference for reference in references}
    heard: dict[str, Heard] = {}
    lost = list(failed)
    # A second of silence first: loading the weights is none of the recordings' time, and a wrong language is told now.
    hear(transcriber, [np.zeros(RATE, np.float32)], hints)
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    for key, found in transcriber.transcribe(ToHear(key, partial(decode, r.audio), hints) for key, r in rows.items()):
        if isinstance(found, Heard):
            heard[key] = found
        else:
            lost.append(_failed(rows[key], found))
        on_done(rows[key])
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    return Evaluation(
        engine=transcriber.engine,
        scored=tuple(_scored(r, heard[key], language) for key, r in rows.items() if key in heard),
        failed=tuple(sorted(lost, key=lambda f: f.row)),
        wall_s=wall_s,
        cpu_s=cpu_s,
    )


def _failed(reference: Reference, error: Exception) -> Failed:
    if isinstance(error, DiaryError):
        return Failed(reference.row, reference.name, error.code, f"Row {reference.row}: {error.message}")
    message = f"Row {reference.row}: {reference.name} could not be transcribed ({type(error).__name__}: {error})."
    return Failed(reference.row, reference.name, "engine_failed", message)


def _scored(reference: Reference, heard: Heard, language: str | None) -> Scored:
    written = " ".join(s.text for s in heard.segments if s.kind == "speech" and s.text)
    inaudible = [s for s in heard.segments if s.kind == "inaudible"]
    return Scored(
        row=reference.row,
        name=reference.name,
        language=heard.language,
        duration_s=heard.samples / RATE,
        speech_s=_seconds(s for s in heard.segments if s.kind == "speech"),
        inaudible_s=_seconds(inaudible),
        errors=count_errors(reference.text, written, language or heard.language),
        risks=Counter(risk for s in heard.segments if s.kind == "speech" for risk in s.risks),
        refused=Counter(s.reason or "unknown" for s in inaudible),
    )


def _seconds(segments: Iterable[Segment]) -> float:
    return sum(s.end_s - s.start_s for s in segments)


def _share(inaudible_s: float, speech_s: float) -> float:
    spoken_s = inaudible_s + speech_s
    return inaudible_s / spoken_s if spoken_s else 0.0


def _sum(counts: Iterable[Mapping[str, int]]) -> Mapping[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return total
