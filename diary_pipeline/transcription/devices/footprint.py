"""What a Whisper model needs: its shape, read off model.bin, and the bytes that follow from it.

Weights once, and so much for each window of a batch. What is free is memory.py's and cuda.py's business, what to make
of it device.py's.

What surprises: the shape is not guessed from the file's size, which says nothing about a file that is stored in int8.
CTranslate2's format names each tensor before its bytes, so it is read in milliseconds without the weights.
"""

import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

FRAMES = 1500
"""Positions that the encoder makes of one window of 30 s."""
TOKENS = 224
"""Half of Whisper's text context, its own limit for what one window says; 90 was the longest of 61 spoken windows."""
SPARE = {"cpu": 1.1, "cuda": 1.5}
"""Measured peaks a window: int8 on a CPU, 8 windows, 65 MiB (tiny.en), 89 (base), 102 (base, 16 windows), computed
without spare 71 and 95; float16 on an H100, between 8 and 64 windows, 60 MiB (base) and 173 (large-v3-turbo's shape),
computed 47 and 118."""

_VERSIONS = (4, 5, 6)
_FLOAT_BYTES = {"float16": 2, "int8_float16": 2, "bfloat16": 2}
_WEIGHT_BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0, "int8_float16": 1.2}
"""A parameter. A CPU's int8 takes 2: 1.8-2.0 were measured, because what is not a matrix stays float32. 1.2 on a GPU
is arithmetic: there it stays float16."""


@dataclass(frozen=True)
class Shape:
    """What memory depends on."""

    width: int
    heads: int
    decoder_layers: int
    parameters: int


def shape_of(model_bin: Path) -> Shape | None:
    """Read a Whisper model's shape; None when the file is no CTranslate2 model, or in a format we do not know."""
    try:
        with model_bin.open("rb") as file:
            return _shape(file)
    except (OSError, struct.error, UnicodeDecodeError, KeyError, ValueError):
        return None


def weights_bytes(shape: Shape, compute_type: str) -> int:
    """Estimate what the loaded weights take."""
    return round(shape.parameters * _WEIGHT_BYTES.get(compute_type, 2.0))


def window_bytes(shape: Shape, compute_type: str, beam_size: int, device: str) -> int:
    """Estimate what each window of a batch takes at the peak, which lies in the encoder for all but deep decoders."""
    size = _FLOAT_BYTES.get(compute_type, 4)
    # One layer at a time: attention scores (not fused), then queries, keys, values, input, output and a wide inner one.
    encoding = shape.heads * FRAMES * FRAMES + 9 * FRAMES * shape.width
    # Keys and values of all layers: the window's once, the text's for each beam.
    decoding = 2 * shape.decoder_layers * shape.width * (FRAMES + beam_size * TOKENS)
    return round(max(encoding, decoding) * size * SPARE[device])


def _shape(file: BinaryIO) -> Shape:
    if _number(file, "I") not in _VERSIONS or _name(file) != "WhisperSpec":
        raise ValueError
    _number(file, "I")  # the revision of the specification
    layers, parameters, heads, width = set(), 0, 0, 0
    for _ in range(_number(file, "I")):
        name = _name(file)
        dimensions = [_number(file, "I") for _ in range(_number(file, "B"))]
        _number(file, "B")  # the type in which it is stored
        length = _number(file, "I")
        if name == "encoder/num_heads":
            heads = int.from_bytes(file.read(length), "little")
        else:
            file.seek(length, 1)
        if name == "encoder/conv1/weight":
            width = dimensions[0]
        if layer := re.match(r"decoder/layer_\d+", name):
            layers.add(layer.group())
        if name.endswith("weight"):
            parameters += math.prod(dimensions)
    if not (layers and heads and width):
        raise ValueError
    return Shape(width, heads, len(layers), parameters)


def _number(file: BinaryIO, form: str) -> int:
    return int(struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))[0])


def _name(file: BinaryIO) -> str:
    return file.read(_number(file, "H")).rstrip(b"\0").decode()
