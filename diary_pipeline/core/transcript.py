"""What was said, with times. Every sample of a recording lies in exactly one segment."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

SegmentKind = Literal["speech", "inaudible", "silence"]


@dataclass(frozen=True)
class Word:
    """One spoken word; seconds from the start of the recording."""

    text: str
    start_s: float
    end_s: float
    probability: float | None
    """None: the engine does not say."""


@dataclass(frozen=True)
class Segment:
    """A timed piece of transcript. `id` counts from 0 in order of time, over all kinds."""

    id: int
    start_s: float
    end_s: float
    kind: SegmentKind
    text: str = ""
    language: str | None = None
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    compression_ratio: float | None = None
    words: tuple[Word, ...] = ()
    language_probability: float | None = None
    raw_text: str | None = None
    """What the model heard, where a replacement changed `text`; None: `text` is what was heard."""
    reason: str | None = None
    """Why it is inaudible: `nothing_heard`, or the signal for which the text was refused."""
    risks: tuple[str, ...] = ()
    """Signals that were raised about what is kept; empty: trusted."""
    rung: str | None = None
    """How it was heard: `batched`, `server`, or the rung of the repair ladder that heard it."""
    model_sha256: str | None = None
    """The weights that heard it; None: unknown."""


@dataclass(frozen=True)
class Engine:
    """Which weights, parameters and code made a transcript."""

    name: str
    model: str
    model_sha256: str
    """Empty: unknown, because a server holds the weights; `parameters` say then which server and model."""
    parameters: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    code_version: str = "1"

    @property
    def key(self) -> str:
        """16 hex that change whenever the same audio could come out differently."""
        said = json.dumps(
            [self.name, self.model_sha256, dict(sorted(self.parameters.items())), self.code_version], sort_keys=True
        )
        return hashlib.sha256(said.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Transcript:
    """The whole of one recording."""

    recording_key: str
    duration_s: float
    """Measured by decoding, not declared."""
    language: str | None
    """Of most of the speech; None when nothing was said, or the engine does not say."""
    language_probability: float | None
    """None: the engine does not say."""
    segments: tuple[Segment, ...]
    engine: Engine
    version: str
    """16 hex; where its owner corrected what was said, `+` and 8 hex of that follow."""

    @property
    def heard_version(self) -> str:
        """The version without what its owner corrected: that of the pointer in the ledger."""
        return self.version.partition("+")[0]

    @property
    def speech(self) -> tuple[Segment, ...]:
        """The segments that hold words."""
        return tuple(s for s in self.segments if s.kind == "speech" and s.text)

    @property
    def text(self) -> str:
        """Everything said, segments joined by spaces."""
        return " ".join(s.text for s in self.speech)


def transcript_version(
    content_sha256: str,
    engine_key: str,
    *,
    language: str | None = None,
    languages: tuple[str, ...] = (),
    vocabulary: tuple[str, ...] = (),
    replacements: tuple[tuple[str, str], ...] = (),
) -> str:
    """The key under which a transcript is computed once: 16 hex of audio, engine, hints and replacements."""
    said = json.dumps([content_sha256, engine_key, language, languages, vocabulary, replacements])
    return hashlib.sha256(said.encode()).hexdigest()[:16]
