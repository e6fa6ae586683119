"""After an out-of-memory the engine is loaded anew and the next recording is fine. Real weights; the shortage is told.

No device here runs out of memory to order, so the loaded model says that it did, in CTranslate2's words.
"""

import weakref
from pathlib import Path
from typing import Any

import pytest
from faster_whisper import WhisperModel

from diary_pipeline.audio.decode import decode
from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.transcription.devices.device import Device
from diary_pipeline.transcription.transcriber import Heard, Hints, ToHear
from diary_pipeline.transcription.whisper.faster_whisper import FasterWhisperTranscriber, Tuning
from diary_pipeline_tests.recordings.faulty import DEMO
from diary_pipeline_tests.weights import real_transcriber, weights

pytestmark = pytest.mark.speech
FILES = sorted(path for path in DEMO.iterdir() if path.suffix == ".mp3")


class Short:
    """Models that have room for `room` windows in a call, and after `calls` calls for none, until loaded anew."""

    def __init__(self, room: int, calls: int) -> None:
        self.room = room
        self.calls = calls
        self.loaded = 0
        self.largest = 0
        self.failed = 0
        self.last: weakref.ref[ShortModel] | None = None

    def load(self, path: Path, device: Device, threads: int) -> "ShortModel":
        if self.last is not None and self.last() is not None:
            raise RuntimeError("CUDA failed with error out of memory")  # there is no room for two
        self.loaded += 1
        model = WhisperModel(str(path), device=device.name, compute_type=device.compute_type, cpu_threads=threads)
        short = ShortModel(model, self)
        self.last = weakref.ref(short)
        return short


class ShortModel:
    def __init__(self, model: WhisperModel, memory: Short) -> None:
        self._model = model
        self._memory = memory
        self._calls = 0
        self._dead = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode(self, features: Any) -> Any:
        self._calls += 1
        if self._dead:
            raise RuntimeError("parallel_for failed: cudaErrorInvalidDevice: invalid device ordinal")
        if len(features) > self._memory.room or self._calls > self._memory.calls:
            self._memory.failed += 1
            self._dead = True
            raise RuntimeError("CUDA failed with error out of memory")
        self._memory.largest = max(self._memory.largest, len(features))
        return self._model.encode(features)


def heard(memory: Short) -> dict[str, Heard | Exception]:
    engine = FasterWhisperTranscriber(weights("tiny.en"), "tiny.en", Tuning("cpu", cpu_threads=1), load=memory.load)
    return dict(engine.transcribe(ToHear(path.name, lambda path=path: decode(path), Hints()) for path in FILES))


def words(found: dict[str, Heard | Exception]) -> dict[str, list[str]]:
    # Times may move by a step of 20 ms with other neighbours in the batch.
    return {
        key: [w.text for s in one.segments for w in s.words] for key, one in found.items() if isinstance(one, Heard)
    }


@pytest.fixture(scope="module")
def expected() -> dict[str, Heard | Exception]:
    transcriber = real_transcriber("tiny.en")
    return dict(transcriber.transcribe(ToHear(p.name, lambda p=p: decode(p), Hints()) for p in FILES))


@pytest.mark.slow
def test_a_batch_that_does_not_fit_is_halved_over_a_new_engine_and_nothing_differs(
    expected: dict[str, Heard | Exception],
) -> None:
    memory = Short(room=1, calls=100)
    assert words(heard(memory)) == words(expected)
    assert memory.largest == 1
    assert memory.loaded == memory.failed + 1


def test_a_model_with_no_room_left_is_loaded_anew_and_the_next_recording_is_fine(
    expected: dict[str, Heard | Exception],
) -> None:
    memory = Short(room=1, calls=4)
    assert words(heard(memory)) == words(expected)
    assert memory.loaded > 1


def test_without_any_room_the_run_ends_and_no_recording_fails() -> None:
    with pytest.raises(ServiceMissing) as told:
        heard(Short(room=0, calls=100))
    assert told.value.code == "device_failed"
