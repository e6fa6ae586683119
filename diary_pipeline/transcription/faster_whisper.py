"""The speech engine: Whisper weights in CTranslate2, through faster-whisper.

Owns the model and the decoding of windows. Finding speech is spans.py's business, cutting segments is segments.py's.

What surprises: faster-whisper's own `transcribe` is not called. It holds the whole recording (0.8 GiB an hour),
spends an encoder pass on the language, and translates a second language into the first. Its inner steps are called
instead, window by window, with timestamp tokens off: with them on, batched decoding loses words in pieces of 5 to 14.
"""

import itertools
import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from diary_pipeline.core.errors import ServiceMissing, UsageError
from diary_pipeline.core.transcript import Engine
from diary_pipeline.observability.logs import log
from diary_pipeline.transcription.device import choose, cores
from diary_pipeline.transcription.models import recorded_sha256, sha256_of
from diary_pipeline.transcription.packaged_models import MODEL_FILE
from diary_pipeline.transcription.segments import HeardWindow, PlacedWord, compression_ratio, segments_of
from diary_pipeline.transcription.spans import Span
from diary_pipeline.transcription.speech_activity import Silero
from diary_pipeline.transcription.transcriber import RATE, Block, Heard, Hints
from diary_pipeline.transcription.windows import Window, WindowCutter, windows

CODE_VERSION = "1"
"""Raise it when the same audio and weights could come out differently; every transcript is then wanted anew."""
SURE = 0.7
"""A later window changes the language only from this probability on; accented speech was taken for another below it."""
LONG_ENOUGH_S = 2.0
"""A shorter window never changes the language: p(en) of half a second of English was 0.48."""
PREPEND, APPEND = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"  # faster-whisper's own defaults

logger = log(__name__)


@dataclass(frozen=True)
class _Language:
    code: str
    probability: float


class FasterWhisperTranscriber:
    """Whisper on a CPU or a GPU. Weights are loaded at the first recording, once, and shared by all threads."""

    def __init__(
        self,
        model_path: Path,
        name: str,
        *,
        device: str = "auto",
        compute_type: str = "auto",
        cpu_threads: int = 0,
        beam_size: int = 5,
        batch_size: int = 8,
    ) -> None:
        self.device = choose(device, compute_type)
        self._path = model_path
        self._threads = cpu_threads or cores()
        self._beam_size = beam_size
        self._batch_size = batch_size
        self._loading = threading.Lock()
        self._loaded: Any = None
        self._engine = Engine(
            name="faster-whisper",
            model=name,
            model_sha256=recorded_sha256(model_path) or sha256_of(model_path / MODEL_FILE),
            parameters={"compute_type": self.device.compute_type, "beam_size": beam_size, "batch_size": batch_size},
            code_version=CODE_VERSION,
        )

    @property
    def engine(self) -> Engine:
        """Say which weights, parameters and code make the transcripts."""
        return self._engine

    def transcribe(self, blocks: Iterable[Block], hints: Hints) -> Heard:
        """Hear one recording; holds one block and one batch of windows, whatever its length."""
        model = self._model()
        recording = _Recording(model, hints, self._beam_size, self._forced(hints))
        cutter = WindowCutter(Silero())
        heard: list[HeardWindow] = []
        for batch in _batches(windows(blocks, cutter), self._batch_size):
            heard += recording.hear(batch)
        said = any(window.words for window in heard) and recording.language
        return Heard(
            samples=cutter.samples,
            language=said.code if said else None,
            language_probability=said.probability if said else 0.0,
            segments=segments_of(heard, cutter.samples),
        )

    def _model(self) -> Any:
        with self._loading:
            if self._loaded is None:
                try:
                    self._loaded = WhisperModel(
                        str(self._path),
                        device=self.device.name,
                        compute_type=self.device.compute_type,
                        cpu_threads=self._threads,
                        local_files_only=True,
                    )
                except (RuntimeError, ValueError, OSError) as error:
                    raise ServiceMissing(
                        "model_damaged",
                        f"Whisper model {self._engine.model} in {self._path} cannot be loaded on {self.device.name}: "
                        f"run `diary models get {self._engine.model}`, which mends it when it is damaged.",
                    ) from error
                logger.info(
                    "model_loaded",
                    model=self._engine.model,
                    device=self.device.name,
                    compute_type=self.device.compute_type,
                    why=self.device.reason,
                    cpu_threads=self._threads,
                )
            return self._loaded

    def _forced(self, hints: Hints) -> _Language | None:
        known = self._model().supported_languages
        wanted = {hints.language} if hints.language else set(hints.languages)
        if wanted and not wanted & set(known):
            raise UsageError(
                "language_not_supported",
                f"Whisper model {self._engine.model} does not understand {', '.join(sorted(wanted))}: "
                f"use a model without `.en` in its name, or another language.",
            )
        only = hints.language or (known[0] if len(known) == 1 else None)
        return _Language(only, 1.0) if only else None


class _Recording:
    # The state of one recording: its language, and where speech last ended, which aligning the next window wants.
    def __init__(self, model: Any, hints: Hints, beam_size: int, forced: _Language | None) -> None:
        self.language = forced
        self._model = model
        self._hints = hints
        self._beam_size = beam_size
        self._forced = forced is not None
        self._last_speech_s = 0.0

    def hear(self, batch: Sequence[Window]) -> list[HeardWindow]:
        try:
            return self._hear(batch)
        except RuntimeError as error:
            if "out of memory" not in str(error) or len(batch) == 1:
                raise
        logger.warning("batch_halved", windows=len(batch))
        half = len(batch) // 2
        return self.hear(batch[:half]) + self.hear(batch[half:])

    def _hear(self, batch: Sequence[Window]) -> list[HeardWindow]:
        features = np.stack([pad_or_trim(self._model.feature_extractor(w.audio)[..., :-1]) for w in batch])
        encoded = self._model.encode(features)
        codes = self._languages(batch, encoded)
        if len(set(codes)) == 1:
            return self._decode(batch, encoded, codes[0])
        # One alignment call takes one language. A change inside a batch is rare, so its windows are encoded again.
        found: dict[int, HeardWindow] = {}
        for code in dict.fromkeys(codes):
            which = [i for i, c in enumerate(codes) if c == code]
            part = self._decode([batch[i] for i in which], self._model.encode(features[which]), code)
            found.update(zip(which, part, strict=True))
        return [found[i] for i in range(len(batch))]

    def _languages(self, batch: Sequence[Window], encoded: Any) -> list[str]:
        if self._forced and self.language:
            return [self.language.code] * len(batch)
        codes = []
        for window, ranked in zip(batch, self._model.model.detect_language(encoded), strict=True):
            best = self._best(ranked)
            if self.language is None:
                self.language = best
            sure = best.probability >= SURE and window.length >= LONG_ENOUGH_S * RATE
            codes.append(best.code if sure else self.language.code)
        return codes

    def _best(self, ranked: Sequence[tuple[str, float]]) -> _Language:
        among = [_Language(token[2:-2], float(p)) for token, p in ranked]
        return next((one for one in among if not self._hints.languages or one.code in self._hints.languages), among[0])

    def _decode(self, batch: Sequence[Window], encoded: Any, code: str) -> list[HeardWindow]:
        model = self._model
        tokenizer = Tokenizer(model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=code)
        hotwords = ", ".join(self._hints.vocabulary) or None
        prompt = model.get_prompt(tokenizer, [], without_timestamps=True, hotwords=hotwords)
        results = model.model.generate(
            encoded,
            [list(prompt) for _ in batch],
            beam_size=self._beam_size,
            patience=1,
            length_penalty=1,
            suppress_blank=True,
            sampling_temperature=0.0,
            max_length=model.max_length,
            suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
            return_scores=True,
            return_no_speech_prob=True,
        )
        tokens = [[t for t in r.sequences_ids[0] if t < tokenizer.eot] for r in results]
        timed = self._timed(batch, encoded, tokenizer, tokens)
        heard = []
        for window, result, said, words in zip(batch, results, tokens, timed, strict=True):
            length = len(result.sequences_ids[0])
            text = tokenizer.decode(said).strip()
            heard.append(
                HeardWindow(
                    spans=window.spans,
                    words=_placed(window, words),
                    language=code,
                    # The score is a mean over the tokens; Whisper's own measure counts the end token too.
                    avg_logprob=float(result.scores[0]) * length / (length + 1),
                    no_speech_prob=float(result.no_speech_prob),
                    compression_ratio=compression_ratio(text) if text else None,
                )
            )
        return heard

    def _timed(self, batch: Sequence[Window], encoded: Any, tokenizer: Any, tokens: list[list[int]]) -> list[list[Any]]:
        fps = self._model.frames_per_second
        lines: list[list[dict[str, Any]]] = [
            [
                {
                    "tokens": said,
                    "start": window.offset / RATE,
                    "end": (window.offset + window.length) / RATE,
                    "seek": int(window.offset / RATE * fps),
                }
            ]
            for window, said in zip(batch, tokens, strict=True)
        ]
        sizes = [int(math.ceil(window.length / RATE) * fps) for window in batch]
        self._last_speech_s = self._model.add_word_timestamps(
            lines, tokenizer, encoded, sizes, PREPEND, APPEND, self._last_speech_s
        )
        return [
            [
                (w["word"], w["start"] - line["seek"] / fps, w["end"] - line["seek"] / fps, w["probability"])
                for w in line["words"]
            ]
            for (line,) in lines
        ]


def _placed(window: Window, words: Iterable[tuple[str, float, float, float]]) -> tuple[PlacedWord, ...]:
    # numpy floats become Python's here: they are not JSON.
    placed: list[PlacedWord] = []
    before = 0
    for text, start_s, end_s, probability in words:
        if text.strip():
            at = window.place(round(float(start_s) * RATE), round(float(end_s) * RATE))
            start = max(at.start, before)
            before = max(start, at.end)
            placed.append(PlacedWord(text, Span(start, before), float(probability)))
    return tuple(placed)


def _batches(found: Iterator[Window], size: int) -> Iterator[list[Window]]:
    while batch := list(itertools.islice(found, size)):
        yield batch
