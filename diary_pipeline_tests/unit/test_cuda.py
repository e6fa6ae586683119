"""What the driver is asked, and that a machine without one is told apart."""

import ctypes
import importlib.util
from typing import Any

import ctranslate2
import pytest

from diary_pipeline.transcription.devices.cuda import ask_cuda, cublas_loads, memory_bytes

HAS_GPU = bool(ctranslate2.get_cuda_device_count())


class Driver:
    """The seven calls of libcuda that are used, of which one fails."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.called: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            self.called.append(name)
            if name == "cuMemGetInfo_v2":
                for place, told in zip(arguments, (5 << 30, 8 << 30), strict=True):
                    ctypes.cast(place, ctypes.POINTER(ctypes.c_size_t))[0] = told
            return 2 if name == self.fails else 0

        return call


def test_the_memory_is_what_the_driver_tells_and_its_context_is_given_back() -> None:
    driver = Driver()
    assert memory_bytes(driver) == (5 << 30, 8 << 30)
    assert driver.called == [
        *("cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxPushCurrent_v2"),
        *("cuMemGetInfo_v2", "cuCtxPopCurrent_v2", "cuDevicePrimaryCtxRelease_v2"),
    ]


@pytest.mark.parametrize(
    ("fails", "released"),
    [
        ("cuInit", False),
        ("cuDeviceGet", False),
        ("cuDevicePrimaryCtxRetain", False),
        ("cuCtxPushCurrent_v2", True),
        ("cuMemGetInfo_v2", True),
    ],
)
def test_a_driver_that_fails_tells_nothing_and_loses_nothing(fails: str, released: bool) -> None:
    driver = Driver(fails)
    assert memory_bytes(driver) is None
    assert ("cuDevicePrimaryCtxRelease_v2" in driver.called) == released
    assert ("cuCtxPopCurrent_v2" in driver.called) == ("cuMemGetInfo_v2" in driver.called)


@pytest.mark.skipif(HAS_GPU, reason="there is a GPU")
def test_a_machine_without_a_gpu_says_the_same_each_time_it_is_asked() -> None:
    first = ask_cuda()
    assert first.types == ()
    assert first.missing
    assert [ask_cuda() for _ in range(3)] == [first] * 3


@pytest.mark.skipif(not HAS_GPU, reason="needs a GPU")
def test_a_gpu_tells_its_types_and_its_free_memory() -> None:
    found = ask_cuda()
    assert "float32" in found.types or "cublas" in found.missing
    free, total = memory_bytes() or (0, 0)
    assert 1 << 20 < free <= total


@pytest.mark.skipif(
    not importlib.util.find_spec("nvidia") or not importlib.util.find_spec("nvidia.cublas"),
    reason="the package nvidia-cublas-cu12 of the extra `gpu` is not installed",
)
def test_cublas_of_the_package_is_found_by_its_name_once_it_is_loaded() -> None:
    assert cublas_loads()
    assert ctypes.CDLL("libcublas.so.12")
