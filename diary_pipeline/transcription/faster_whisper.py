"""The speech engine: Whisper weights in CTranslate2, through faster-whisper.

Owns the loaded model. What happens to a window inside it is decoding.py's business, finding speech is spans.py's,
cutting segments is segments.py's.

What surprises: faster-whisper's own `transcribe` is not called. It holds the whole recording (0.8 GiB an hour),
spends an encoder pass on the language, and translates a second language into the first.
"""

import itertools
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from faster_whisper import WhisperModel

from diary_pipeline.core.errors import ServiceMissing, TransientError, UsageError
from diary_pipeline.core.transcript import Engine
from diary_pipeline.observability.logs import log
from diary_pipeline.transcription.decoding import Language, WindowDecoder
from diary_pipeline.transcription.device import choose, cores, gpu_failure
from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.models import recorded_sha256, sha256_of
from diary_pipeline.transcription.packaged_models import MODEL_FILE
from diary_pipeline.transcription.segments import segments_of
from diary_pipeline.transcription.speech_activity import Silero
from diary_pipeline.transcription.transcriber import Block, Heard, Hints, ToHear
from diary_pipeline.transcription.windows import Window, WindowCutter, windows

CODE_VERSION = "1"
"""Raise it when the same audio and weights could come out differently; every transcript is then wanted anew."""

logger = log(__name__)


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
        self.device = choose(device, compute_type, batch_size=batch_size, beam_size=beam_size, model=model_path)
        self._path = model_path
        self._threads = cpu_threads or cores()
        self._beam_size = beam_size
        self._batch_size = self.device.batch_size
        self._loading = threading.Lock()
        self._loaded: Any = None
        self._engine = Engine(
            name="faster-whisper",
            model=name,
            model_sha256=recorded_sha256(model_path) or sha256_of(model_path / MODEL_FILE),
            parameters={"compute_type": self.device.compute_type, "beam_size": beam_size},
            code_version=CODE_VERSION,
        )

    @property
    def engine(self) -> Engine:
        """Say which weights, parameters and code make the transcripts."""
        return self._engine

    def transcribe(self, recordings: Iterable[ToHear]) -> Iterator[tuple[str, Heard | Exception]]:
        """Hear one recording after the other; holds one block and one batch of windows, whatever their length."""
        for recording in recordings:
            try:
                heard: Heard | Exception = self._hear(recording.blocks(), recording.hints)
            except TransientError:
                raise
            except Exception as error:  # noqa: BLE001 - the caller's to judge, and the others go on
                heard = error
            yield recording.key, heard

    def _hear(self, blocks: Iterable[Block], hints: Hints) -> Heard:
        model = self._model()
        recording = WindowDecoder(model, hints, self._beam_size, self._forced(hints))
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
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> Any:
        name, device = self._engine.model, self.device
        damaged = ServiceMissing(
            "model_damaged",
            f"Whisper model {name} in {self._path} cannot be loaded on {device.name}: run `diary models get {name}`, "
            "which mends it when it is damaged.",
        )
        if not (self._path / "tokenizer.json").is_file():
            raise damaged  # faster-whisper would go and look for one on the hub
        try:
            model = WhisperModel(
                str(self._path),
                device=device.name,
                compute_type=device.compute_type,
                cpu_threads=self._threads,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise gpu_failure(error) or damaged from error
        logger.info("model_loaded", model=name, device=device.name, compute_type=device.compute_type, why=device.reason)
        return model

    def _forced(self, hints: Hints) -> Language | None:
        known = self._model().supported_languages
        wanted = {hints.language} if hints.language else set(hints.languages)
        if wanted and not wanted & set(known):
            raise UsageError(
                "language_not_supported",
                f"Whisper model {self._engine.model} does not understand {', '.join(sorted(wanted))}: "
                f"use a model without `.en` in its name, or another language.",
            )
        only = hints.language or (known[0] if len(known) == 1 else None)
        return Language(only, 1.0) if only else None


def _batches(found: Iterator[Window], size: int) -> Iterator[list[Window]]:
    while batch := list(itertools.islice(found, size)):
        yield batch


_LOADED: dict[tuple[object, ...], FasterWhisperTranscriber] = {}
_LOADING = threading.Lock()


def load_transcriber(
    model_path: Path,
    name: str,
    *,
    device: str = "auto",
    compute_type: str = "auto",
    cpu_threads: int = 0,
    beam_size: int = 5,
    batch_size: int = 8,
) -> FasterWhisperTranscriber:
    """Return this process's one engine for a model and its parameters; weights are loaded at the first recording."""
    asked = (model_path.resolve(), name, device, compute_type, cpu_threads, beam_size, batch_size)
    with _LOADING:  # two threads that ask at once must not load the weights twice
        if asked not in _LOADED:
            _LOADED[asked] = FasterWhisperTranscriber(
                model_path,
                name,
                device=device,
                compute_type=compute_type,
                cpu_threads=cpu_threads,
                beam_size=beam_size,
                batch_size=batch_size,
            )
        return _LOADED[asked]
