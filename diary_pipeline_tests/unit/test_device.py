"""Device and precision are chosen by name, never left to a default."""

import ctranslate2
import numpy as np
import pytest

from diary_pipeline.core.errors import ServiceMissing, UsageError
from diary_pipeline.transcription.decoding import WindowDecoder
from diary_pipeline.transcription.device import choose, cores, gpu_failure
from diary_pipeline.transcription.spans import Span
from diary_pipeline.transcription.transcriber import Hints
from diary_pipeline.transcription.windows import Window

HAS_GPU = bool(ctranslate2.get_cuda_device_count())


def test_a_cpu_computes_in_int8() -> None:
    assert (choose("cpu").name, choose("cpu").compute_type) == ("cpu", "int8")
    assert choose("cpu", "float32").compute_type == "float32"


@pytest.mark.skipif(HAS_GPU, reason="there is a GPU")
def test_without_a_gpu_auto_takes_the_cpu_and_says_why() -> None:
    chosen = choose()
    assert (chosen.name, chosen.compute_type) == ("cpu", "int8")
    assert chosen.reason


@pytest.mark.skipif(HAS_GPU, reason="there is a GPU")
def test_asking_for_a_gpu_that_is_not_there_names_the_setting() -> None:
    with pytest.raises(ServiceMissing, match="DIARY_DEVICE") as missing:
        choose("cuda")
    assert missing.value.code == "gpu_missing"


@pytest.mark.skipif(not HAS_GPU, reason="needs a GPU")
def test_a_gpu_computes_in_float16() -> None:
    assert (choose().name, choose().compute_type) == ("cuda", "float16")


@pytest.mark.parametrize("wrong", ["float16", "int8_float16", "bfloat16", "default"])
def test_a_precision_that_a_cpu_has_not_is_refused_with_those_it_has(wrong: str) -> None:
    with pytest.raises(UsageError, match="int8_float32") as refused:
        choose("cpu", wrong)
    assert refused.value.code == "compute_type_unsupported"


def test_there_is_at_least_one_core() -> None:
    assert cores() >= 1


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("CUDA failed with error an illegal memory access was encountered", "device_failed"),
        ("Library libcublas.so.12 is not found or cannot be loaded", "device_failed"),
        ("cuDNN failed with status CUDNN_STATUS_EXECUTION_FAILED", "device_failed"),
        ("CUDA failed with error out of memory", "device_failed"),
        ("Unable to open file 'model.bin'", None),
    ],
)
def test_an_error_that_speaks_of_the_gpu_is_no_fault_of_a_recording(said: str, code: str | None) -> None:
    found = gpu_failure(RuntimeError(said))
    assert (found.code if found else None) == code


class BrokenGpu:
    """A loaded model whose device went away."""

    def __init__(self, says: str) -> None:
        self.says = says

    def feature_extractor(self, audio: np.ndarray) -> np.ndarray:
        return np.zeros((80, 3001), np.float32)

    def encode(self, features: np.ndarray) -> None:
        raise RuntimeError(self.says)


@pytest.mark.parametrize(
    ("says", "error"), [("CUDA failed with error out of memory", ServiceMissing), ("bad shape", RuntimeError)]
)
def test_a_gpu_that_fails_while_it_decodes_is_told_from_a_bad_window(says: str, error: type[Exception]) -> None:
    window = Window(np.zeros(16_000, np.float32), (Span(0, 16_000),), 0)
    with pytest.raises(error, match=r"GPU failed|bad shape"):
        WindowDecoder(BrokenGpu(says), Hints(), 1, None).hear([window, window])
