"""The speech engine: Whisper weights in CTranslate2, through faster-whisper.

Owns the loaded model. What happens to a window inside it is decoding.py's business, finding speech is spans.py's,
cutting segments is segments.py's.

What surprises: faster-whisper's own `transcribe` is not called. It holds the whole recording (0.8 GiB an hour),
spends an encoder pass on the language, and translates a second language into the first.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel

from diary_pipeline.core.errors import ServiceMissing, TransientError
from diary_pipeline.core.transcript import Engine
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.packaged_files import sha256_of
from diary_pipeline.transcription.devices.device import Device, choose, cores, gpu_failure, lose_gpu, trouble
from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.made_with import ENGINE, versions
from diary_pipeline.transcription.repair.ladder import Repair
from diary_pipeline.transcription.repair.rungs import LADDER, in_order
from diary_pipeline.transcription.speech.windows import Window
from diary_pipeline.transcription.spoken import may_come
from diary_pipeline.transcription.transcriber import Block, Heard, Hints, ToHear
from diary_pipeline.transcription.weights.models import recorded_sha256
from diary_pipeline.transcription.weights.packaged_models import MODEL_FILE
from diary_pipeline.transcription.whisper.cross_file import CrossFile
from diary_pipeline.transcription.whisper.decoding import BatchDecoder, Language
from diary_pipeline.transcription.whisper.listening import Listening
from diary_pipeline.transcription.whisper.log_mel import LogMel, made_by
from diary_pipeline.transcription.whisper.sequential import SequentialEars

CODE_VERSION = "3"
"""Raise it when the same audio and weights could come out differently; every transcript is then wanted anew."""

logger = log(__name__)


@dataclass(frozen=True)
class Tuning:
    """How a model is run; 0 and `auto` are chosen for the machine."""

    device: str = "auto"
    compute_type: str = "auto"
    cpu_threads: int = 0
    beam_size: int = 5
    batch_size: int = 0
    """Windows in one model call."""
    ladder: Collection[str] = LADDER
    """The rungs of repair, in whatever order."""


DEFAULT_TUNING = Tuning()


class FasterWhisperTranscriber:
    """Whisper on a CPU or a GPU. Weights are loaded at the first recording, once, and shared by all threads."""

    def __init__(
        self,
        model_path: Path,
        name: str,
        tuning: Tuning = DEFAULT_TUNING,
        *,
        other: "FasterWhisperTranscriber | None" = None,
        load: Callable[[Path, Device, int], Any] | None = None,
    ) -> None:
        """`other` holds a model of another size, which may hear a suspicious passage again.

        `load` gives the model of a folder, on a device, with so many threads; by default faster-whisper's.
        """
        self.device = choose(
            tuning.device,
            tuning.compute_type,
            batch_size=tuning.batch_size,
            beam_size=tuning.beam_size,
            model=model_path,
            beside=other.path if other else None,
        )
        self.lost: TransientError | None = None
        """Why the device answers nothing any more."""
        self.path: Path = model_path
        """The folder of the weights."""
        self._threads = tuning.cpu_threads or cores()
        self._beam_size = tuning.beam_size
        self._batch_size = self.device.batch_size
        self._load_model = load or _faster_whisper
        self._loading = threading.Lock()
        self._loaded: Any = None
        self._figures: dict[str, float] = {}
        self._engine = Engine(
            name="faster-whisper",
            model=name,
            model_sha256=recorded_sha256(model_path) or sha256_of(model_path / MODEL_FILE),
            parameters={
                **versions(ENGINE),
                "device": self.device.name,
                "compute_type": self.device.compute_type,
                "log_mel": made_by(self.device.name),
                "beam_size": tuning.beam_size,
                "repair": ",".join(in_order(tuning.ladder)),
                "repair_model_sha256": other.engine.model_sha256 if other else "",
            },
            code_version=CODE_VERSION,
        )
        self._repair = Repair(self.ears, other.spare_ears if other else None, ladder=tuning.ladder)

    @property
    def engine(self) -> Engine:
        """Say which weights, parameters and code make the transcripts."""
        return self._engine

    def transcribe(self, recordings: Iterable[ToHear]) -> Iterator[tuple[str, Heard | Exception]]:
        """Hear recordings side by side, so that short ones fill the model's batches together."""
        run = CrossFile(
            BatchDecoder(self._model, self._beam_size, self._figures, self.device.name),
            self._opened,
            self._log_mel if made_by(self.device.name) == "numpy" else None,
            self._judged,
            self._discard,
            figures=self._figures,
            batch_size=self._batch_size,
            threads=min(4, self._threads),
        )
        try:
            for key, found in run.run(recordings):
                yield key, found if isinstance(found, Exception) else _result(found)
        finally:
            # What did not fit once is not tried again by this process, whichever of several calls found it out.
            self._batch_size = min(self._batch_size, run.batch_size)

    @property
    def ears(self) -> SequentialEars:
        """This model as one that listens again."""
        return self._ears(spare=False)

    @property
    def spare_ears(self) -> SequentialEars:
        """This model as one that listens again for another engine, which can do without it."""
        return self._ears(spare=True)

    def figures(self) -> Mapping[str, float]:
        """Say what was done since the start: `windows`, `batches`, `room` in them, and seconds of each stage.

        `front_end_s` holds `decode_s`, `mel_s` and voice activity, CPU seconds of threads beside the model's; where a
        GPU makes the features, `mel_s` is seconds by the clock and no part of it. `encode_s`, `generate_s`, `align_s`
        and `repair_s` are seconds by the clock. `fill` is 1.0 when every batch was full.
        """
        room = self._figures.get("room", 0.0)
        return {**self._figures, "fill": self._figures.get("windows", 0.0) / room if room else 0.0}

    def _ears(self, *, spare: bool) -> SequentialEars:
        sha256 = self._engine.model_sha256
        return SequentialEars(self._model, sha256, self._beam_size, discard=lambda: self._discard(None), spare=spare)

    def _opened(self, asked: ToHear) -> Listening:
        return Listening(asked, self._forced(asked.hints), self._engine.model_sha256)

    def _log_mel(self, audio: Block) -> npt.NDArray[np.float32]:
        features: npt.NDArray[np.float32] = LogMel(self._model().feature_extractor, "cpu").features([audio])[0]
        return features

    def _judged(
        self, window: Window, heard: HeardWindow, hints: Hints, language: str | None
    ) -> tuple[HeardWindow, ...]:
        began = time.perf_counter()
        try:
            believed = self._repair(window, heard, hints, language)
        except ServiceMissing as error:  # of whichever model: they share the device
            self._discard(error.__cause__)
            raise
        self._figures["repair_s"] = self._figures.get("repair_s", 0.0) + time.perf_counter() - began
        return believed

    def _discard(self, error: BaseException | None) -> None:
        with self._loading:
            self._loaded = None
        if error is not None and self.device.name == "cuda" and trouble(error) == "device_lost":
            self.lost = gpu_failure(error)  # a broken CUDA context answers nothing any more
            lose_gpu(error)

    def _model(self) -> Any:
        with self._loading:
            if self.lost is not None:
                raise self.lost
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> Any:
        name, device = self._engine.model, self.device
        damaged = ServiceMissing(
            "model_damaged",
            f"Whisper model {name} in {self.path} cannot be loaded on {device.name}: run `diary models get {name}`, "
            "which mends it when it is damaged.",
        )
        if not (self.path / "tokenizer.json").is_file():
            raise damaged  # faster-whisper would go and look for one on the hub
        try:
            model = self._load_model(self.path, device, self._threads)
        except (RuntimeError, ValueError, OSError) as error:
            raise gpu_failure(error) or damaged from error
        logger.info("model_loaded", model=name, device=device.name, compute_type=device.compute_type, why=device.reason)
        return model

    def _forced(self, hints: Hints) -> Language | None:
        known = self._model().supported_languages
        may = may_come(hints, known, self._engine.model)
        # An owner's single language is looked for all the same: what is not in it should be doubted.
        return Language(may[0], 1.0) if hints.language or len(known) == 1 else None


def _result(found: Listening) -> Heard | Exception:
    try:
        return found.result()
    except Exception as error:  # noqa: BLE001 - this recording's, and the others go on
        return error


def _faster_whisper(path: Path, device: Device, threads: int) -> Any:
    return WhisperModel(
        str(path), device=device.name, compute_type=device.compute_type, cpu_threads=threads, local_files_only=True
    )


_LOADED: dict[tuple[object, ...], FasterWhisperTranscriber] = {}
_LOADING = threading.Lock()


def load_transcriber(
    model_path: Path, name: str, tuning: Tuning = DEFAULT_TUNING, other: FasterWhisperTranscriber | None = None
) -> FasterWhisperTranscriber:
    """Return this process's one engine for a model and its tuning; weights are loaded at the first recording.

    One whose GPU was lost is not handed out again.
    """
    asked = (model_path.resolve(), name, tuning, other)
    with _LOADING:  # two threads that ask at once must not load the weights twice
        if asked not in _LOADED or _LOADED[asked].lost is not None:
            _LOADED[asked] = FasterWhisperTranscriber(model_path, name, tuning, other=other)
        return _LOADED[asked]
