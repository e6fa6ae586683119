"""Listening again on a device without room: the model that failed is thrown away, and no recording pays for it."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.repair.ladder import Repair
from diary_pipeline.transcription.span import RATE, Span
from diary_pipeline.transcription.speech.windows import Window
from diary_pipeline.transcription.transcriber import Hints
from diary_pipeline.transcription.whisper.sequential import SequentialEars

WINDOW = Window(np.zeros(5 * RATE, np.float32), (Span(0, 5 * RATE),), 0)
FIRST = HeardWindow(WINDOW.spans, (), "en", 0.9, avg_logprob=-0.9, no_speech_prob=0.1)
SHORT = "CUDA failed with error out of memory"
DEAD = "parallel_for failed: cudaErrorInvalidDevice: invalid device ordinal"
LOST = "CUDA failed with error an illegal memory access was encountered"


class Info(NamedTuple):
    language: str = "en"
    language_probability: float = 0.9


class Model:
    """Says nothing; out of memory it is dead until it is loaded anew, as on an H100."""

    supported_languages = ("en",)

    def __init__(self, device: "Device") -> None:
        self._device = device
        self._dead = False

    def transcribe(self, audio: Any, **_: Any) -> tuple[list[Any], Info]:
        if self._dead:
            raise RuntimeError(DEAD)
        if self._device.error is not None:
            raise self._device.error
        if self._device.short:
            self._device.short -= 1
            self._dead = True
            raise RuntimeError(SHORT)
        return [], Info()


class Device:
    """Holds one loaded model."""

    def __init__(self, short: int = 0, *, error: Exception | None = None, refused: Exception | None = None) -> None:
        self.short = short
        self.error = error
        self.refused = refused
        self.loads = 0
        self._loaded: Model | None = None

    def model(self) -> Model:
        if self._loaded is None:
            self.loads += 1
            if self.refused is not None:
                raise self.refused
            self._loaded = Model(self)
        return self._loaded

    def discard(self) -> None:
        self._loaded = None

    def ears(self, name: str = "a", *, spare: bool = False) -> SequentialEars:
        return SequentialEars(self.model, name * 64, discard=self.discard, spare=spare)


def refusal(code: str, cause: str) -> ServiceMissing:
    error = ServiceMissing(code, "The model cannot be loaded.")
    error.__cause__ = RuntimeError(cause)
    return error


def test_a_second_hearing_that_ran_out_of_memory_is_tried_again_over_a_new_model() -> None:
    device = Device(short=1)
    assert device.ears().listen(WINDOW, language="en") is not None
    assert device.loads == 2


def test_a_second_hearing_that_never_fits_leaves_the_first_one_and_a_model_that_works() -> None:
    own, other = Device(), Device(short=2)
    (kept,) = Repair(own.ears(), other.ears("b"))(WINDOW, FIRST, Hints(), "en")
    assert kept.spans == WINDOW.spans
    assert other.short == 0
    assert other.ears("b").listen(WINDOW, language="en") is not None, "the dead model was left in place"


def test_a_device_lost_while_listening_again_ends_the_run() -> None:
    with pytest.raises(ServiceMissing, match="GPU failed") as told:
        Device(error=RuntimeError(LOST)).ears().listen(WINDOW, language="en")
    assert str(told.value.__cause__) == LOST


@pytest.mark.parametrize("code", ["model_damaged", "device_failed"])
def test_a_repair_model_that_cannot_be_loaded_is_passed_over_and_asked_for_once(
    code: str, caplog: pytest.LogCaptureFixture
) -> None:
    device = Device(refused=refusal(code, SHORT))
    ears = device.ears(spare=True)
    assert [ears.listen(WINDOW, language="en") for _ in range(3)] == [None] * 3
    assert device.loads == 1
    assert [r.getMessage().split()[0] for r in caplog.records] == ["repair_model_missing"]


def test_a_gpu_that_is_lost_while_the_repair_model_is_loaded_is_everybodys() -> None:
    with pytest.raises(ServiceMissing):
        Device(refused=refusal("device_failed", LOST)).ears(spare=True).listen(WINDOW, language="en")


def test_weights_that_recordings_need_are_demanded() -> None:
    with pytest.raises(ServiceMissing):
        Device(refused=refusal("model_damaged", "bad file")).ears().listen(WINDOW, language="en")
