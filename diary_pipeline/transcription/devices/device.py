"""Where a model runs, in which precision and how many windows at once; and what an error says about the device.

Decides once, out of what was asked for and what the machine has. Loading models is the engines' business.

What surprises: the precision is always named. CTranslate2's own "default" turns float16 weights into float32 on a
CPU, which needs four times the memory of int8 and says so in a warning only.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from diary_pipeline.core.errors import ServiceMissing, UsageError
from diary_pipeline.transcription.devices.cuda import Cuda, ask_cuda
from diary_pipeline.transcription.devices.footprint import Shape, shape_of, weights_bytes, window_bytes
from diary_pipeline.transcription.devices.memory import free_memory
from diary_pipeline.transcription.weights.packaged_models import MODEL_FILE

CPU_TYPES = ("int8", "int8_float32", "float32")
GPU_TYPES = ("float16", "int8_float16")
OLD_GPU_TYPES = ("float32", "int8_float32")
"""What `auto` tries: the full precision, then the one that halves the weights. Old is a GPU that cannot float16."""
MOST = {"cpu": 8, "cuda": 64}
"""Windows a call. On a CPU (base, int8) 8 take 60 % of the decoder's time of one by one and 16 take 51 %, for 0.8 GiB
more; the encoder gains nothing. 64 on a GPU is not measured: CTranslate2 numbers the elements of a GPU tensor in 32
bits, which the attention scores of 96 windows of the largest model overflow."""
UNKNOWN = {"cpu": 1, "cuda": 8}
"""Windows where a size is not known. Too many kill a process on a CPU; on a GPU they raise, and are halved."""
SHARE = {"cpu": 0.5, "cuda": 0.8}
"""Of what is free. Half of main memory is left to the run that may start beside this one."""
CUDA_BYTES = 512 << 20
"""Allowance for a CUDA context and cuBLAS's workspace; not measured."""
CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")

Trouble = Literal["out_of_memory", "device_lost", "other"]
NO_MEMORY = (
    "out of memory",
    "cublas_status_alloc_failed",
    "failed to allocate memory",  # CTranslate2's own allocators on a CPU
    "could not create a memory object",  # oneDNN, on a CPU
)
_lost: list[str] = []


@dataclass(frozen=True)
class Device:
    """A choice and why it was made."""

    name: str
    """`cpu` or `cuda`."""
    compute_type: str
    batch_size: int
    """Windows that one model call takes."""
    reason: str


@dataclass(frozen=True)
class Asked:
    """What the settings say; `auto` and 0 leave the choice to us."""

    device: str = "auto"
    compute_type: str = "auto"
    batch_size: int = 0
    beam_size: int = 5


@dataclass(frozen=True)
class Machine:
    """What this machine has."""

    cuda: Cuda
    free: int | None
    """Bytes of main memory."""


def choose(
    device: str = "auto",
    compute_type: str = "auto",
    *,
    batch_size: int = 0,
    beam_size: int = 5,
    model: Path | None = None,
) -> Device:
    """Look at this machine and decide for the model in a folder; ServiceMissing when this process lost its GPU."""
    if device != "cpu" and _lost:
        raise ServiceMissing(
            "device_failed",
            f"This process lost its GPU ({_lost[0]}) and cannot get it back: what is tried again must be tried in a "
            "new process.",
        )
    cuda = Cuda(missing="asked for") if device == "cpu" else ask_cuda()
    shape = shape_of(model / MODEL_FILE) if model else None
    return decide(Asked(device, compute_type, batch_size, beam_size), shape, Machine(cuda, free_memory()))


def decide(asked: Asked, shape: Shape | None, machine: Machine) -> Device:
    """Choose CUDA with float16 when a GPU answers, else the CPU with int8; what was asked for is kept or refused.

    `auto` gives up float16 for int8_float16, and that for the CPU, when not even one window would fit beside the
    weights. A batch size of 0 is chosen from what is free.
    """
    why_cpu = machine.cuda.missing
    if machine.cuda.types:
        on_gpu, fits = _gpu(asked, shape, machine.cuda)
        if fits or asked.device == "cuda" or asked.compute_type not in ("auto", *CPU_TYPES):
            return on_gpu
        why_cpu = f"the GPU is too small or too full, for {on_gpu.reason}"
    elif asked.device == "cuda":
        raise ServiceMissing(
            "gpu_missing", f"DIARY_DEVICE asks for CUDA, but {why_cpu}; mend that, or set it to `auto`."
        )
    precision = "int8" if asked.compute_type == "auto" else asked.compute_type
    if precision not in CPU_TYPES:
        raise _unsupported(precision, "a CPU", CPU_TYPES)
    windows, _, why = _room("cpu", precision, asked, shape, machine.free)
    return Device("cpu", precision, windows, f"{why_cpu}; {why}")


def _gpu(asked: Asked, shape: Shape | None, cuda: Cuda) -> tuple[Device, bool]:
    by_itself = GPU_TYPES if "float16" in cuda.types else OLD_GPU_TYPES
    wanted = by_itself if asked.compute_type == "auto" else (asked.compute_type,)
    candidates = [precision for precision in wanted if precision in cuda.types]
    if not candidates:
        raise _unsupported(asked.compute_type, "this GPU", cuda.types)
    for precision in candidates:
        windows, fits, why = _room("cuda", precision, asked, shape, cuda.free)
        if fits:
            break
    return Device("cuda", precision, windows, f"a GPU answers; {why}"), fits


def _room(name: str, compute_type: str, asked: Asked, shape: Shape | None, free: int | None) -> tuple[int, bool, str]:
    # How many windows, whether one fits at all, and why.
    as_asked = ", as asked" if asked.batch_size else ""
    if shape is None or free is None:
        windows = asked.batch_size or UNKNOWN[name]
        unknown = "the model's shape" if shape is None else "free memory"
        return windows, True, f"{_counted(windows)} a call{as_asked or f', because {unknown} is unknown'}"
    fixed = weights_bytes(shape, compute_type) + (CUDA_BYTES if name == "cuda" else 0)
    each = window_bytes(shape, compute_type, asked.beam_size)
    fit = math.floor((free * SHARE[name] - fixed) / each)
    windows = asked.batch_size or max(1, min(MOST[name], fit))
    sums = f"{each >> 20} MiB each and {fixed >> 20} MiB for the model, of {free >> 20} MiB free"
    short = "" if windows <= fit else ", which may not be enough"
    return windows, fit >= 1, f"{_counted(windows)} a call{as_asked}: {sums}{short}"


def _counted(windows: int) -> str:
    return f"{windows} window{'' if windows == 1 else 's'}"


def trouble(error: BaseException) -> Trouble:
    """Judge an error of a model call.

    After `out_of_memory` a smaller batch may do, and the loaded model stays good. After `device_lost` nothing may be
    computed on this device by this process: a call that wrote where it should not poisons its CUDA context, and each
    later call answers with the same error. `other` is the windows' own.
    """
    said = str(error).lower()
    if isinstance(error, MemoryError) or any(sign in said for sign in NO_MEMORY):
        return "out_of_memory"
    return "device_lost" if any(word in said for word in ("cuda", "cublas", "cudnn")) else "other"


def gpu_failure(error: BaseException) -> ServiceMissing | None:
    """Return what to raise when an error speaks of the device and not of the recording; None when it does not."""
    match trouble(error):
        case "out_of_memory":
            told = (
                f"Memory is too small even for one window ({_first_line(error)}): stop what else uses it, or choose a "
            )
            return ServiceMissing("device_failed", told + "smaller model with DIARY_WHISPER_MODEL.")
        case "device_lost":
            told = f"The GPU failed ({_first_line(error)}): look at `nvidia-smi` and the driver's log, or set "
            return ServiceMissing("device_failed", told + "DIARY_DEVICE to `cpu`.")
    return None


def lose_gpu(error: BaseException) -> None:
    """Remember that this process's CUDA context is broken; from now on `choose` refuses all but the CPU."""
    _lost.append(_first_line(error))


def cores() -> int:
    """Count the cores that this process may use: its affinity and its container's quota, not the host's number."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CGROUP_QUOTA.read_text().split()
        limit = math.ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no cgroup, or `max`
        limit = allowed
    return max(1, min(allowed, limit))


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def _unsupported(compute_type: str, where: str, types: tuple[str, ...]) -> UsageError:
    return UsageError(
        "compute_type_unsupported",
        f"DIARY_COMPUTE_TYPE {compute_type} does not run on {where}; use `auto` or one of {', '.join(types)}.",
    )
