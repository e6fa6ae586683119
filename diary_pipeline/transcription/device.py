"""Where a model runs and in which precision.

Decides once, out of what was asked for and what the machine has. Loading models is the engines' business.

What surprises: the precision is always named. CTranslate2's own "default" turns float16 weights into float32 on a
CPU, which needs four times the memory of int8 and says so in a warning only.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path

from diary_pipeline.core.errors import ServiceMissing, UsageError

CPU_TYPES = ("int8", "int8_float32", "float32")
CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class Device:
    """A choice and why it was made."""

    name: str
    """`cpu` or `cuda`."""
    compute_type: str
    reason: str


def choose(device: str = "auto", compute_type: str = "auto") -> Device:
    """Choose CUDA with float16 when a GPU answers, else the CPU with int8; a name asked for is kept or refused."""
    types, why_not = ((), "") if device == "cpu" else _cuda()
    if device == "cuda" and not types:
        raise ServiceMissing(
            "gpu_missing",
            f"DIARY_DEVICE asks for CUDA, but {why_not}: install the driver and cuBLAS 12, or set it to `auto`.",
        )
    if types:
        for wanted in ("float16", "int8_float16", "float32") if compute_type == "auto" else (compute_type,):
            if wanted in types:
                return Device("cuda", wanted, "a GPU answers")
        raise _unsupported(compute_type, "this GPU", types)
    if compute_type != "auto" and compute_type not in CPU_TYPES:
        raise _unsupported(compute_type, "a CPU", CPU_TYPES)
    reason = "asked for" if device == "cpu" else why_not
    return Device("cpu", "int8" if compute_type == "auto" else compute_type, reason)


def gpu_failure(error: BaseException) -> ServiceMissing | None:
    """Return what to raise when a library's error speaks of the GPU: it says nothing about the recording."""
    if not any(word in str(error).lower() for word in ("cuda", "cublas", "cudnn")):
        return None
    return ServiceMissing(
        "device_failed",
        f"The GPU failed ({str(error).splitlines()[0][:120]}): look at `nvidia-smi` and the driver's log, or set "
        "DIARY_DEVICE to `cpu`.",
    )


def cores() -> int:
    """Count the cores that this process may use: its affinity and its container's quota, not the host's number."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CGROUP_QUOTA.read_text().split()
        limit = math.ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no cgroup, or `max`
        limit = allowed
    return max(1, min(allowed, limit))


def _cuda() -> tuple[tuple[str, ...], str]:
    import ctranslate2

    try:
        if not ctranslate2.get_cuda_device_count():
            return (), "no CUDA device was found"
        return tuple(sorted(ctranslate2.get_supported_compute_types("cuda"))), ""
    except (RuntimeError, ValueError) as error:  # no driver, or one too old for this CUDA
        return (), f"CUDA does not answer ({str(error).splitlines()[0][:120]})"


def _unsupported(compute_type: str, where: str, types: tuple[str, ...]) -> UsageError:
    return UsageError(
        "compute_type_unsupported",
        f"DIARY_COMPUTE_TYPE {compute_type} does not run on {where}; use `auto` or one of {', '.join(types)}.",
    )
