"""Where a model runs, in which precision and how many windows at once; and what an error says about the device.

Decides once, out of what was asked for and what the machine has. Loading models is the engines' business.

What surprises: the precision is always named. CTranslate2's own "default" turns float16 weights into float32 on a
CPU, which needs four times the memory of int8 and says so in a warning only. And it never follows from what is free,
for it is part of every transcript's engine: a run that starts beside a dying one would want them all anew.
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
MOST = {"cpu": 8, "cuda": 64}
"""Windows a call. On a CPU (base, int8) 8 take 60 % of the decoder's time of one by one and 16 take 51 %, for 0.8 GiB
more; the encoder gains nothing. On an H100 base was as fast with 32 as with 64. CTranslate2 numbers the elements of a
GPU tensor in 32 bits, which the attention scores of 96 windows of the largest model overflow."""
UNKNOWN = {"cpu": 1, "cuda": 8}
"""Windows where a size is not known. Too many kill a process on a CPU; on a GPU they raise, and are halved."""
SHARE = {"cpu": 0.5, "cuda": 0.8}
"""Of what is free. Half of main memory is left to the run that may start beside this one."""
CUDA_BYTES = 900 << 20
"""The contexts of CTranslate2 and torch with cuBLAS's workspace: 877 MiB beside base's weights on an H100."""
SMALLER = " (DIARY_COMPUTE_TYPE=int8_float16 nearly halves the weights)"
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
    beside: Path | None = None,
) -> Device:
    """Look at this machine and decide for the model in a folder; ServiceMissing when this process lost its GPU.

    `beside` holds the model that hears again, which wants room too.
    """
    if device != "cpu" and _lost:
        raise ServiceMissing(
            "device_failed",
            f"This process lost its GPU ({_lost[0]}) and cannot get it back: what is tried again must be tried in a "
            "new process.",
        )
    cuda = Cuda(missing="asked for") if device == "cpu" else ask_cuda()
    shape, other = (shape_of(folder / MODEL_FILE) if folder else None for folder in (model, beside))
    return decide(Asked(device, compute_type, batch_size, beam_size), shape, Machine(cuda, free_memory()), other)


def decide(asked: Asked, shape: Shape | None, machine: Machine, beside: Shape | None = None) -> Device:
    """Choose CUDA with float16 when a GPU answers, else the CPU with int8; what was asked for is kept or refused.

    Device and precision follow from what the machine can do: `auto` leaves a GPU alone that could not hold the model
    and one window even if it were empty, and one without float16 computes in float32. Only a batch size of 0 follows
    from what is free, and from the model that hears again `beside` it.
    """
    why_cpu = machine.cuda.missing
    if machine.cuda.types:
        precision = _precision(asked, machine.cuda)
        if asked.device == "cuda" or asked.compute_type not in ("auto", *CPU_TYPES):
            return _gpu(precision, asked, shape, machine.cuda, beside)
        if _holds(precision, asked, shape, machine.cuda.total):
            return _gpu(precision, asked, shape, machine.cuda, beside)
        why_cpu = f"the GPU is too small for {precision}"
    elif asked.device == "cuda":
        raise ServiceMissing(
            "gpu_missing", f"DIARY_DEVICE asks for CUDA, but {why_cpu}; mend that, or set it to `auto`."
        )
    precision = "int8" if asked.compute_type == "auto" else asked.compute_type
    if precision not in CPU_TYPES:
        raise _unsupported(precision, "a CPU", CPU_TYPES)
    windows, why = _room("cpu", precision, asked, shape, machine.free, beside=beside)
    return Device("cpu", precision, windows, f"{why_cpu}; {why}")


def _precision(asked: Asked, cuda: Cuda) -> str:
    by_itself = "float16" if "float16" in cuda.types else "float32"  # a GPU before Volta
    precision = by_itself if asked.compute_type == "auto" else asked.compute_type
    if precision not in cuda.types:
        raise _unsupported(precision, "this GPU", cuda.types)
    return precision


def _gpu(precision: str, asked: Asked, shape: Shape | None, cuda: Cuda, beside: Shape | None) -> Device:
    windows, why = _room("cuda", precision, asked, shape, cuda.free, beside=beside)
    return Device("cuda", precision, windows, f"a GPU answers; {why}")


def _holds(precision: str, asked: Asked, shape: Shape | None, total: int | None) -> bool:
    # Whether a GPU that nobody else uses has room for the model and a window; it has where we cannot tell.
    return shape is None or total is None or sum(_needs("cuda", precision, asked, shape)) <= total


def _needs(name: str, precision: str, asked: Asked, shape: Shape) -> tuple[int, int]:
    # Bytes of the model, and of each window.
    fixed = weights_bytes(shape, precision) + (CUDA_BYTES if name == "cuda" else 0)
    return fixed, window_bytes(shape, precision, asked.beam_size, name)


def _room(
    name: str, precision: str, asked: Asked, shape: Shape | None, free: int | None, *, beside: Shape | None
) -> tuple[int, str]:
    # How many windows, and why.
    as_asked = ", as asked" if asked.batch_size else ""
    if shape is None or free is None:
        windows = asked.batch_size or UNKNOWN[name]
        unknown = "the model's shape" if shape is None else "free memory"
        return windows, f"{_counted(windows)} a call{as_asked or f', because {unknown} is unknown'}"
    fixed, each = _needs(name, precision, asked, shape)
    if beside is not None:  # its weights stay loaded once it was needed, and it hears one window at a time
        fixed += weights_bytes(beside, precision) + window_bytes(beside, precision, asked.beam_size, name)
    models = "the model" if beside is None else "the models"
    fit = math.floor((free * SHARE[name] - fixed) / each)
    windows = asked.batch_size or max(1, min(MOST[name], fit))
    sums = f"{each >> 20} MiB each and {fixed >> 20} MiB for {models}, of {free >> 20} MiB free"
    short = "" if windows <= fit else f", which may not be enough{SMALLER if name == 'cuda' else ''}"
    return windows, f"{_counted(windows)} a call{as_asked}: {sums}{short}"


def _counted(windows: int) -> str:
    return f"{windows} window{'' if windows == 1 else 's'}"


def trouble(error: BaseException) -> Trouble:
    """Judge an error of a model call.

    After `out_of_memory` a smaller batch may do, over a model that is loaded anew: the next call of the old one fails
    with what reads like a lost device. After `device_lost` nothing may be computed on this device by this process: a
    call that wrote where it should not poisons its CUDA context, and each later call answers with the same error.
    `other` is the windows' own.

    Only what CTranslate2, torch and numpy raise speaks of a device; a path or a key may hold the same words.
    """
    if not isinstance(error, RuntimeError | MemoryError):
        return "other"
    said = str(error).lower()
    if isinstance(error, MemoryError) or any(sign in said for sign in NO_MEMORY):
        return "out_of_memory"
    return "device_lost" if any(word in said for word in ("cuda", "cublas", "cudnn")) else "other"


def gpu_failure(error: BaseException) -> ServiceMissing | None:
    """Return what to raise when an error speaks of the device and not of the recording; None when it does not."""
    match trouble(error):
        case "out_of_memory":
            return no_room(_first_line(error))
        case "device_lost":
            told = f"The GPU failed ({_first_line(error)}): look at `nvidia-smi` and the driver's log, or set "
            return ServiceMissing("device_failed", told + "DIARY_DEVICE to `cpu`.")
    return None


def no_room(told: str) -> ServiceMissing:
    """Return what to raise when no window of any recording fits; `told` are the device's words."""
    return ServiceMissing(
        "device_failed",
        f"Memory is too small even for one window ({told}): stop what else uses it, or choose a smaller model with "
        "DIARY_WHISPER_MODEL; on a GPU, DIARY_COMPUTE_TYPE=int8_float16 nearly halves the weights.",
    )


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
