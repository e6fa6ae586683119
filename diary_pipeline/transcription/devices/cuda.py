"""What CUDA has to say on this machine: which precisions, whether cuBLAS is here, how much memory there is and is free.

Asks, decides nothing: that is device.py's business.

What surprises: cuBLAS from the package index lies where no loader looks. A library that this process has loaded once
is found again by its name, so loading it by its path here spares people LD_LIBRARY_PATH. cuDNN is not needed.
"""

import ctypes
import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CUBLAS = "libcublas.so.12"
"""What CTranslate2 4.x opens at its first multiplication, by this name."""
DRIVER = "libcuda.so.1"


@dataclass(frozen=True)
class Cuda:
    """What is there; no types where CUDA cannot be used, and `missing` says why."""

    types: tuple[str, ...] = ()
    missing: str = ""
    free: int | None = None
    """Bytes of the GPU's memory; None where the driver does not tell."""
    total: int | None = None
    """All of them, free or not."""


def ask_cuda() -> Cuda:
    """Ask the driver, then look for cuBLAS; nothing is raised, for a machine without a GPU is no failure."""
    import ctranslate2

    if not ctranslate2.get_cuda_device_count():
        return Cuda(missing=_no_device())
    types = tuple(sorted(ctranslate2.get_supported_compute_types("cuda")))
    if not cublas_loads():
        return Cuda(missing=f"{CUBLAS} is missing: install the extra `gpu`, or the package nvidia-cublas-cu12")
    free, total = memory_bytes() or (None, None)
    return Cuda(types, free=free, total=total)


@functools.cache
def _no_device() -> str:
    if not _library(DRIVER):
        return f"there is no NVIDIA driver ({DRIVER} is not found)"
    # Asked once and never believed: from the second call in a thread on, CTranslate2 4.8 answers out of the zeros that
    # the failed first one left in its cache, as if a GPU with float32 were here.
    import ctranslate2

    try:
        ctranslate2.get_supported_compute_types("cuda")
    except (RuntimeError, ValueError) as error:
        return f"the NVIDIA driver is here, but {str(error).splitlines()[0][:120]}"
    return "the NVIDIA driver is here, but no GPU"


def cublas_loads() -> bool:
    """Load cuBLAS from the loader's path, or else from the package that the extra `gpu` installs."""
    found = importlib.util.find_spec("nvidia")
    packaged = [Path(place) / "cublas" / "lib" / CUBLAS for place in (found and found.submodule_search_locations) or ()]
    return any(_library(str(place)) for place in (CUBLAS, *packaged))


def memory_bytes(driver: Any = None) -> tuple[int, int] | None:
    """Ask the driver how much memory of the first visible GPU is free, and how much it has.

    The driver's own library, because a tool lists GPUs in another order and torch may not be there. The context is the
    one that CTranslate2 and torch use too, so it takes no memory that they would not take.
    """
    driver = driver or _library(DRIVER)
    device, context, popped = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    if not driver or driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), 0):
        return None
    if driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device):
        return None
    try:
        if driver.cuCtxPushCurrent_v2(context):
            return None
        failed = driver.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
        driver.cuCtxPopCurrent_v2(ctypes.byref(popped))
        return None if failed else (free.value, total.value)
    finally:
        driver.cuDevicePrimaryCtxRelease_v2(device)


def _library(name: str) -> Any:
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None
