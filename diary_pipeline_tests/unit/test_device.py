"""Device and precision are chosen by name, never left to a default."""

import ctranslate2
import pytest

from diary_pipeline.core.errors import ServiceMissing, UsageError
from diary_pipeline.transcription.device import choose, cores

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
