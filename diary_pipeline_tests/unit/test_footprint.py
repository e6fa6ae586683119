"""A model's shape is read off its file, and the memory that it needs follows."""

import struct
from pathlib import Path

import pytest

from diary_pipeline.transcription.devices.footprint import Shape, shape_of, weights_bytes, window_bytes
from diary_pipeline_tests.weights import weights

MIB = 1 << 20
TINY_EN = Shape(width=384, heads=6, decoder_layers=4, parameters=36_965_376)
BASE = Shape(width=512, heads=8, decoder_layers=6, parameters=71_504_384)
TURBO = Shape(width=1280, heads=20, decoder_layers=4, parameters=809_000_000)
LARGE = Shape(width=1280, heads=20, decoder_layers=32, parameters=1_543_000_000)


@pytest.mark.speech
@pytest.mark.parametrize(("name", "shape"), [("tiny.en", TINY_EN), ("base", BASE)])
def test_the_shape_of_real_weights_is_read_without_loading_them(name: str, shape: Shape) -> None:
    assert shape_of(weights(name) / "model.bin") == shape


def model_bin(version: int = 6, spec: str = "WhisperSpec", without: str = "", cut: int = 0) -> bytes:
    def text(said: str) -> bytes:
        return struct.pack("<H", len(said) + 1) + said.encode() + b"\0"

    def tensor(name: str, dimensions: tuple[int, ...], payload: bytes) -> bytes:
        head = struct.pack(f"<B{len(dimensions)}I", len(dimensions), *dimensions)
        return text(name) + head + struct.pack("<BI", 1, len(payload)) + payload

    tensors = {
        "encoder/num_heads": ((), b"\x02\x00"),
        "encoder/conv1/weight": ((4, 3, 3), bytes(36)),
        "decoder/layer_norm/beta": ((4,), bytes(4)),
        "decoder/layer_0/ffn/linear_0/weight": ((4, 4), bytes(16)),
        "decoder/layer_1/ffn/linear_0/weight": ((4, 4), bytes(16)),
    }
    kept = [tensor(name, *rest) for name, rest in tensors.items() if not without or without not in name]
    whole = struct.pack("<I", version) + text(spec) + struct.pack("<II", 3, len(kept)) + b"".join(kept)
    return whole[: len(whole) - cut]


def test_a_small_model_is_counted_right(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(model_bin())
    assert shape_of(tmp_path / "model.bin") == Shape(width=4, heads=2, decoder_layers=2, parameters=36 + 16 + 16)


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"weights",
        b"\xff" * 4096,
        model_bin(version=7),
        model_bin(spec="TransformerSpec"),
        model_bin(without="num_heads"),
        model_bin(without="conv1"),
        model_bin(without="decoder/layer_0/ffn/linear_0/weight", cut=30),
        model_bin(cut=60),
        None,
    ],
)
def test_a_file_that_is_no_model_of_ours_has_no_shape(tmp_path: Path, contents: bytes | None) -> None:
    if contents is not None:
        (tmp_path / "model.bin").write_bytes(contents)
    assert shape_of(tmp_path / "model.bin") is None


@pytest.mark.parametrize(
    ("shape", "compute_type", "beam_size", "device", "measured_mib", "expected_mib"),
    [
        # Peaks a window, measured: 8 windows of 30 s against 1, the last: 16 against 8.
        (TINY_EN, "int8", 5, "cpu", 65, 78),
        (BASE, "int8", 5, "cpu", 89, 104),
        (BASE, "float32", 5, "cpu", 86, 104),
        (BASE, "int8", 5, "cpu", 102, 104),
        # On an H100: 64 windows against 8 (base) and 16 (turbo's shape).
        (BASE, "float16", 5, "cuda", 60, 71),
        (TURBO, "float16", 5, "cuda", 173, 178),
        # Not measured: large's keys and values of 32 layers are 234 MiB.
        (LARGE, "float16", 5, "cuda", None, 614),
        (LARGE, "float16", 1, "cuda", None, 404),
        (LARGE, "float32", 5, "cuda", None, 1228),
    ],
)
def test_the_estimate_is_a_little_above_what_was_measured(  # noqa: PLR0917
    shape: Shape, compute_type: str, beam_size: int, device: str, measured_mib: int | None, expected_mib: int
) -> None:
    estimate = window_bytes(shape, compute_type, beam_size, device) // MIB
    assert estimate == expected_mib
    assert measured_mib is None or measured_mib <= estimate <= 1.25 * measured_mib


@pytest.mark.parametrize(
    ("compute_type", "expected_mib"),
    [("float32", 3086), ("float16", 1543), ("bfloat16", 1543), ("int8_float16", 925), ("int8", 1543)],
)
def test_the_weights_of_turbo_take(compute_type: str, expected_mib: int) -> None:
    assert weights_bytes(TURBO, compute_type) // MIB == expected_mib
