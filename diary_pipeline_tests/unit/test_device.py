"""Device, precision and batch size are chosen by name and by what is free, never left to a default."""

import os
import subprocess
import sys
from dataclasses import replace

import ctranslate2
import pytest

from diary_pipeline.core.errors import ServiceMissing, UsageError
from diary_pipeline.transcription.devices.cuda import Cuda
from diary_pipeline.transcription.devices.device import Asked, Machine, choose, cores, decide, gpu_failure, trouble
from diary_pipeline.transcription.devices.footprint import Shape
from diary_pipeline_tests.weights import weights

HAS_GPU = bool(ctranslate2.get_cuda_device_count())
MIB, GIB = 1 << 20, 1 << 30
BASE = Shape(width=512, heads=8, decoder_layers=6, parameters=71_504_384)
TURBO = Shape(width=1280, heads=20, decoder_layers=4, parameters=809_000_000)
LARGE = Shape(width=1280, heads=20, decoder_layers=32, parameters=1_543_000_000)
AMPERE = ("bfloat16", "float16", "float32", "int8", "int8_bfloat16", "int8_float16", "int8_float32")
TURING = ("float16", "float32", "int8", "int8_float16", "int8_float32")
PASCAL = ("float32", "int8", "int8_float32")
NONE = Cuda(missing="there is no NVIDIA driver")
LOST = "CUDA failed with error an illegal memory access was encountered"


def gpu(free: int | None, types: tuple[str, ...] = TURING, total: int | None = 80 * GIB) -> Cuda:
    return Cuda(types, free=free, total=total)


@pytest.mark.parametrize(
    ("asked", "shape", "cuda", "free", "expected"),
    [
        # A CPU: half of what is free, at most 8 windows.
        (Asked(), BASE, NONE, 16 * GIB, ("cpu", "int8", 8)),
        (Asked(), BASE, NONE, 1500 * MIB, ("cpu", "int8", 5)),
        (Asked(), BASE, NONE, 300 * MIB, ("cpu", "int8", 1)),
        (Asked(), TURBO, NONE, 6 * GIB, ("cpu", "int8", 5)),
        (Asked(compute_type="float32"), BASE, NONE, 1500 * MIB, ("cpu", "float32", 4)),
        (Asked(batch_size=32), BASE, NONE, 1500 * MIB, ("cpu", "int8", 32)),
        (Asked(), None, NONE, 16 * GIB, ("cpu", "int8", 1)),
        (Asked(), BASE, NONE, None, ("cpu", "int8", 1)),
        (Asked(batch_size=4), None, NONE, None, ("cpu", "int8", 4)),
        (Asked(device="cpu"), BASE, gpu(80 * GIB), 16 * GIB, ("cpu", "int8", 8)),
        # A GPU: most of what is free, at most 64 windows.
        (Asked(), TURBO, gpu(80 * GIB), 16 * GIB, ("cuda", "float16", 64)),
        (Asked(), TURBO, gpu(8 * GIB), 16 * GIB, ("cuda", "float16", 23)),
        (Asked(beam_size=1), LARGE, gpu(12 * GIB), 16 * GIB, ("cuda", "float16", 14)),
        (Asked(), LARGE, gpu(12 * GIB), 16 * GIB, ("cuda", "float16", 9)),
        (Asked(), TURBO, gpu(8 * GIB, AMPERE), 16 * GIB, ("cuda", "float16", 23)),
        (Asked(compute_type="bfloat16"), TURBO, gpu(8 * GIB, AMPERE), 16 * GIB, ("cuda", "bfloat16", 23)),
        (Asked(batch_size=16), TURBO, gpu(80 * GIB), 16 * GIB, ("cuda", "float16", 16)),
        (Asked(), TURBO, gpu(None), 16 * GIB, ("cuda", "float16", 8)),
        (Asked(), None, gpu(8 * GIB), 16 * GIB, ("cuda", "float16", 8)),
        (Asked(), TURBO, gpu(8 * GIB, PASCAL), 16 * GIB, ("cuda", "float32", 7)),
        # A GPU that is full keeps its precision; one that is too small when it is empty is left alone.
        (Asked(), TURBO, gpu(2600 * MIB), 16 * GIB, ("cuda", "float16", 1)),
        (Asked(), TURBO, gpu(0), 16 * GIB, ("cuda", "float16", 1)),
        (Asked(), TURBO, gpu(4 * GIB, PASCAL), 16 * GIB, ("cuda", "float32", 1)),
        (Asked(compute_type="int8_float16"), TURBO, gpu(2600 * MIB), 16 * GIB, ("cuda", "int8_float16", 1)),
        (Asked(compute_type="int8"), TURBO, gpu(GIB), 16 * GIB, ("cuda", "int8", 1)),
        (Asked(), TURBO, gpu(2 * GIB, total=2 * GIB), 16 * GIB, ("cpu", "int8", 8)),
        (Asked(), TURBO, gpu(GIB, total=3 * GIB), 16 * GIB, ("cuda", "float16", 1)),
        (Asked(), TURBO, gpu(GIB, total=None), 16 * GIB, ("cuda", "float16", 1)),
        (Asked(), BASE, gpu(GIB, total=2 * GIB), 16 * GIB, ("cuda", "float16", 1)),
        (Asked(compute_type="int8"), TURBO, gpu(2 * GIB, total=2 * GIB), 16 * GIB, ("cpu", "int8", 8)),
        (Asked(device="cuda"), TURBO, gpu(GIB, total=2 * GIB), 16 * GIB, ("cuda", "float16", 1)),
        (Asked(compute_type="float16"), TURBO, gpu(GIB, total=2 * GIB), 16 * GIB, ("cuda", "float16", 1)),
    ],
)
def test_what_is_asked_for_is_kept_and_the_rest_follows_from_what_is_free(
    asked: Asked, shape: Shape | None, cuda: Cuda, free: int | None, expected: tuple[str, str, int]
) -> None:
    cuda = replace(cuda, types=(), missing="asked for") if asked.device == "cpu" else cuda
    chosen = decide(asked, shape, Machine(cuda, free))
    assert (chosen.name, chosen.compute_type, chosen.batch_size) == expected


@pytest.mark.parametrize(
    ("beside", "cuda", "free", "expected"),
    [
        (None, NONE, 1500 * MIB, ("cpu", 5)),
        (BASE, NONE, 1500 * MIB, ("cpu", 3)),
        (None, gpu(8 * GIB), 16 * GIB, ("cuda", 23)),
        (LARGE, gpu(8 * GIB), 16 * GIB, ("cuda", 3)),
        (LARGE, gpu(2 * GIB), 16 * GIB, ("cuda", 1)),  # what is free never moves the device
    ],
)
def test_the_model_that_hears_again_takes_room_from_the_batch(
    beside: Shape | None, cuda: Cuda, free: int, expected: tuple[str, int]
) -> None:
    chosen = decide(Asked(), BASE if cuda is NONE else TURBO, Machine(cuda, free), beside)
    assert (chosen.name, chosen.batch_size) == expected
    assert ("for the models" in chosen.reason) == (beside is not None)


@pytest.mark.parametrize("types", [AMPERE, TURING, PASCAL])
def test_device_and_precision_never_follow_from_what_is_free(types: tuple[str, ...]) -> None:
    # They are part of a transcript's engine: a run that starts beside a dying one would make every transcript anew.
    for total in (2 * GIB, 8 * GIB, 80 * GIB):
        chosen = [
            decide(Asked(), TURBO, Machine(gpu(free, types, total), main))
            for free in range(0, total + 1, total // 8)
            for main in (0, 16 * GIB)
        ]
        assert len({(one.name, one.compute_type) for one in chosen}) == 1


@pytest.mark.parametrize(
    ("asked", "shape", "cuda", "free", "said"),
    [
        (Asked(), BASE, NONE, GIB, "there is no NVIDIA driver; 3 windows a call: 104 MiB each and 136 MiB for"),
        (Asked(), BASE, NONE, 300 * MIB, "1 window a call: 104 MiB each and 136 MiB for the model, of 300 MiB free,"),
        (Asked(), BASE, NONE, 300 * MIB, "which may not be enough"),
        (Asked(batch_size=32), BASE, NONE, GIB, "32 windows a call, as asked: 104 MiB each"),
        (Asked(), BASE, NONE, None, "because free memory is unknown"),
        (Asked(), None, NONE, GIB, "because the model's shape is unknown"),
        (Asked(), TURBO, gpu(8 * GIB), GIB, "a GPU answers; 23 windows a call"),
        (Asked(), TURBO, gpu(GIB), GIB, "which may not be enough (DIARY_COMPUTE_TYPE=int8_float16 nearly halves"),
        (Asked(), TURBO, gpu(GIB, total=2 * GIB), 16 * GIB, "the GPU is too small for float16; 8 windows a call"),
    ],
)
def test_the_reason_gives_the_sum(asked: Asked, shape: Shape | None, cuda: Cuda, free: int | None, said: str) -> None:
    assert said in decide(asked, shape, Machine(cuda, free)).reason


@pytest.mark.parametrize(
    ("asked", "cuda", "code", "said"),
    [
        (Asked(device="cuda"), NONE, "gpu_missing", "no NVIDIA driver"),
        (Asked(device="cuda"), Cuda(missing="libcublas.so.12 is missing"), "gpu_missing", "libcublas.so.12"),
        (Asked(compute_type="bfloat16"), gpu(8 * GIB), "compute_type_unsupported", "int8_float16"),
        (Asked(compute_type="float16"), gpu(8 * GIB, PASCAL), "compute_type_unsupported", "this GPU"),
        (Asked(compute_type="float16"), NONE, "compute_type_unsupported", "a CPU"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(asked: Asked, cuda: Cuda, code: str, said: str) -> None:
    with pytest.raises((ServiceMissing, UsageError), match=said) as refused:
        decide(asked, TURBO, Machine(cuda, 16 * GIB))
    assert refused.value.code == code


@pytest.mark.parametrize("wrong", ["float16", "int8_float16", "bfloat16", "default"])
def test_a_precision_that_a_cpu_has_not_is_refused_with_those_it_has(wrong: str) -> None:
    with pytest.raises(UsageError, match="int8_float32") as refused:
        choose("cpu", wrong)
    assert refused.value.code == "compute_type_unsupported"


@pytest.mark.skipif(HAS_GPU, reason="there is a GPU")
def test_without_a_gpu_auto_takes_the_cpu_and_says_why_each_time() -> None:
    first, second = choose(), choose()
    assert (first.name, first.compute_type) == ("cpu", "int8")
    assert "NVIDIA" in first.reason
    assert first == second


@pytest.mark.skipif(HAS_GPU, reason="there is a GPU")
def test_asking_for_a_gpu_that_is_not_there_names_the_setting() -> None:
    with pytest.raises(ServiceMissing, match="DIARY_DEVICE") as missing:
        choose("cuda")
    assert missing.value.code == "gpu_missing"


@pytest.mark.skipif(not HAS_GPU, reason="needs a GPU")
def test_a_gpu_is_taken_with_as_many_windows_as_fit() -> None:
    chosen = choose(model=weights("tiny.en"))
    assert (chosen.name, chosen.compute_type) == ("cuda", "float16")
    assert "MiB free" in chosen.reason


def test_there_is_at_least_one_core() -> None:
    assert cores() >= 1


@pytest.mark.parametrize(
    ("error", "expected", "code"),
    [
        # CTranslate2 on a GPU: "CUDA failed with error" and the runtime's text, "cuBLAS failed with status" and a name.
        (RuntimeError("CUDA failed with error out of memory"), "out_of_memory", "device_failed"),
        (RuntimeError("cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED"), "out_of_memory", "device_failed"),
        (RuntimeError(LOST), "device_lost", "device_failed"),
        (RuntimeError("CUDA failed with error unspecified launch failure"), "device_lost", "device_failed"),
        (
            RuntimeError("CUDA failed with error the launch timed out and was terminated"),
            "device_lost",
            "device_failed",
        ),
        (RuntimeError("CUDA failed with error uncorrectable ECC error encountered"), "device_lost", "device_failed"),
        (RuntimeError("CUDA failed with error device-side assert triggered"), "device_lost", "device_failed"),
        (
            RuntimeError("CUDA failed with error no kernel image is available for execution on the device"),
            "device_lost",
            "device_failed",
        ),
        (
            RuntimeError("CUDA failed with error CUDA driver version is insufficient for CUDA runtime version"),
            "device_lost",
            "device_failed",
        ),
        (RuntimeError("cuBLAS failed with status CUBLAS_STATUS_NOT_INITIALIZED"), "device_lost", "device_failed"),
        (RuntimeError("cuBLAS failed with status CUBLAS_STATUS_EXECUTION_FAILED"), "device_lost", "device_failed"),
        (RuntimeError("cuDNN failed with status CUDNN_STATUS_EXECUTION_FAILED"), "device_lost", "device_failed"),
        (RuntimeError("Library libcublas.so.12 is not found or cannot be loaded"), "device_lost", "device_failed"),
        # torch, which computes log-mel there.
        (
            RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 4.00 GiB"),
            "out_of_memory",
            "device_failed",
        ),
        (RuntimeError("CUDA error: an illegal memory access was encountered\nmore"), "device_lost", "device_failed"),
        # A CPU: CTranslate2's allocator, oneDNN, Python's and numpy's.
        (RuntimeError("mkl_malloc: failed to allocate memory"), "out_of_memory", "device_failed"),
        (RuntimeError("aligned_alloc: failed to allocate memory"), "out_of_memory", "device_failed"),
        (RuntimeError("could not create a memory object"), "out_of_memory", "device_failed"),
        (MemoryError(), "out_of_memory", "device_failed"),
        (MemoryError("Unable to allocate 7.32 MiB for an array"), "out_of_memory", "device_failed"),
        # The windows' own.
        (RuntimeError("Unable to open file 'model.bin'"), "other", None),
        (RuntimeError("Invalid input features shape: expected an input with shape (1, 80, 3000)"), "other", None),
        (RuntimeError(""), "other", None),
        (ValueError("bad shape"), "other", None),
        (OSError("/home/cuda-lab/store/x.json: out of memory"), "other", None),
        (KeyError("cublas"), "other", None),
    ],
)
def test_an_error_that_speaks_of_the_device_is_no_fault_of_a_recording(
    error: Exception, expected: str, code: str | None
) -> None:
    assert trouble(error) == expected
    found = gpu_failure(error)
    assert (found.code if found else None) == code
    assert found is None or (found.transient and "\n" not in found.message)


LOSE = """
from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.transcription.devices.device import choose, lose_gpu
lose_gpu(RuntimeError("CUDA failed with error an illegal memory access was encountered"))
for device in ("auto", "cuda"):
    try:
        choose(device)
    except ServiceMissing as refused:
        assert refused.code == "device_failed" and "illegal memory access" in refused.message, refused
    else:
        raise SystemExit(f"{device} used the broken context again")
assert choose("cpu").name == "cpu"
"""


def test_a_process_that_lost_its_gpu_never_uses_it_again() -> None:
    done = subprocess.run([sys.executable, "-c", LOSE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


STARVE = """
import pathlib, resource, sys
import numpy as np
from faster_whisper import WhisperModel
from diary_pipeline.transcription.devices.device import trouble
model = WhisperModel(sys.argv[1], device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)
batch = np.zeros((16, 80, 3000), np.float32)
size = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 300 * 2**20, resource.RLIM_INFINITY))
try:
    model.encode(batch)
except (RuntimeError, MemoryError) as error:
    print(trouble(error))
print(list(model.encode(batch[:1]).shape))
"""


@pytest.mark.speech
@pytest.mark.skipif(sys.platform != "linux", reason="limits its own memory as Linux does")
def test_a_model_that_ran_out_of_memory_says_so_and_takes_a_smaller_batch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARVE, str(weights("tiny.en"))],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout.split("\n")[:2] == ["out_of_memory", "[1, 1500, 384]"], done.stderr
