"""A transcriber without a model: it finds what is loud and lays a given text over it.

For fast tests and dry runs. Held to the same contract as the real engine; what it cannot do is understand.

What surprises: it is deterministic. The same samples get the same text again, whatever was heard in between, because
reruns must find the transcript they made before.
"""

import hashlib
import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from diary_pipeline.core.errors import TransientError, UsageError
from diary_pipeline.core.transcript import Engine
from diary_pipeline.transcription.checkpoints import kept_parts
from diary_pipeline.transcription.heard import HeardWindow, PlacedWord
from diary_pipeline.transcription.placing import laid, placed
from diary_pipeline.transcription.segments import segments_of
from diary_pipeline.transcription.span import RATE, Span
from diary_pipeline.transcription.speech.windows import Window
from diary_pipeline.transcription.transcriber import Block, Heard, Hints, ToHear

FRAME = RATE // 50
LOUD = 10 ** (-45 / 20)
"""RMS of a frame of 20 ms that counts as loud; room noise of a phone lies below -50 dBFS."""
PAUSE_FRAMES = 25
"""Loud stretches closer than half a second are one."""
DEFAULT_SCRIPT = (
    "I went for a walk by the river this morning. The water was very high. I have to call the plumber tomorrow.",
    "Work was slow today. Daniel and I finished the report. I feel tired but content.",
)


class ScriptedTranscriber:
    """Says what a script says: texts by `content_hash` of the samples, or handed out in order of first hearing."""

    def __init__(
        self,
        script: Mapping[str, str] | Sequence[str] = DEFAULT_SCRIPT,
        *,
        languages: tuple[str, ...] = (),
        name: str = "scripted",
    ) -> None:
        """`languages` it understands; empty: all."""
        self._by_hash = dict(script) if isinstance(script, Mapping) else {}
        self._in_order = () if isinstance(script, Mapping) else tuple(script)
        self._languages = languages
        self._lock = threading.Lock()
        said = json.dumps([self._by_hash, self._in_order, languages], sort_keys=True)
        self._engine = Engine("scripted", name, hashlib.sha256(said.encode()).hexdigest())

    @property
    def engine(self) -> Engine:
        """Say which script speaks."""
        return self._engine

    def transcribe(self, recordings: Iterable[ToHear]) -> Iterator[tuple[str, Heard | Exception]]:
        """Lay the text over the loud stretches, one recording after the other; one without any is silence."""
        for recording in recordings:
            try:
                heard: Heard | Exception = self._hear(recording)
            except TransientError:
                raise
            except Exception as error:  # noqa: BLE001 - the caller's to judge, and the others go on
                heard = error
            yield recording.key, heard

    def _hear(self, recording: ToHear) -> Heard:
        language = self._language(recording.hints)
        listened = _Listened()
        for block in recording.blocks():
            listened.push(block)
        spans = listened.loud()
        parts = self._parts(recording, spans, listened.digest, language) if spans else ()
        said = any(part.words for part in parts)
        return Heard(
            samples=listened.samples,
            language=language if said else None,
            language_probability=1.0 if said else 0.0,
            segments=segments_of(parts, listened.samples),
        )

    def _parts(self, recording: ToHear, spans: tuple[Span, ...], digest: str, language: str) -> Sequence[HeardWindow]:
        # All that is loud is one window, kept and told of as any other.
        window = Window(np.zeros(sum(span.length for span in spans), np.float32), spans, 0)
        checkpoints = recording.checkpoints
        parts = kept_parts(checkpoints.finished(), 0, window, recording.key) if checkpoints else None
        if parts is None:
            words = _laid(self._text(digest), window)
            parts = (HeardWindow(spans, words, language=language, language_probability=1.0, rung="scripted"),)
            if checkpoints:
                checkpoints.finish(0, parts)
        recording.progress(spans[-1].end / RATE)
        return parts

    def _language(self, hints: Hints) -> str:
        wanted = (hints.language,) if hints.language else hints.languages or self._languages or ("en",)
        for language in wanted:
            if not self._languages or language in self._languages:
                return language
        raise UsageError(
            "language_not_supported",
            f"This script speaks {', '.join(self._languages)} only, not {', '.join(wanted)}; use another language.",
        )

    def _text(self, digest: str) -> str:
        with self._lock:
            if digest not in self._by_hash and self._in_order:
                self._by_hash[digest] = self._in_order[len(self._by_hash) % len(self._in_order)]
            return self._by_hash.get(digest, "")


def content_hash(blocks: Iterable[Block]) -> str:
    """Name samples, whatever the sizes of their blocks; the keys of a script."""
    listened = _Listened()
    for block in blocks:
        listened.push(block)
    return listened.digest


class _Listened:
    # Loudness frame by frame: 0.7 MB for an hour.
    def __init__(self) -> None:
        self.samples = 0
        self._hash = hashlib.sha256()
        self._rest = np.zeros(0, np.float32)
        self._loud: list[int] = []

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def push(self, block: Block) -> None:
        self._hash.update(np.ascontiguousarray(block, dtype="<f4").tobytes())
        waiting = np.concatenate([self._rest, block])
        whole = len(waiting) // FRAME * FRAME
        rms = np.sqrt(np.mean(np.square(waiting[:whole].reshape(-1, FRAME)), axis=1))
        first = self.samples // FRAME
        self._loud += [first + int(i) for i in np.flatnonzero(rms > LOUD)]
        self._rest = waiting[whole:].copy()
        self.samples += len(block)

    def loud(self) -> tuple[Span, ...]:
        spans: list[list[int]] = []
        for frame in self._loud:
            if spans and frame - spans[-1][1] <= PAUSE_FRAMES:
                spans[-1][1] = frame + 1
            else:
                spans.append([frame, frame + 1])
        return tuple(Span(first * FRAME, end * FRAME) for first, end in spans)


def _laid(text: str, window: Window) -> tuple[PlacedWord, ...]:
    # Every word gets its share of the loud time by its letters, and lies in one stretch.
    return placed(window, laid(text, 0, window.length, probability=1.0))
