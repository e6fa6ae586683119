"""A Whisper model in CTranslate2's format with random weights: the cost of a real one, and none of its sense.

For measuring speed where the weights cannot be fetched. What it writes means nothing, so that no error rate of it does
either. What surprises: it never ends by itself. Every token that is no text has a bias against it, so each window takes
as many decoder steps as `limited` allows, neither more nor fewer.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float16]
TOKENS = 120
"""Of a window of 30 s: the demo speech has 119."""
NEVER = -1e4
"""Added to the score of a token that shall not be said; float16 holds it."""
TEXT_TOKENS = 50_257
"""Ids below it are text."""


@dataclass(frozen=True)
class Shape:
    """How large a model is."""

    encoder_layers: int = 32
    decoder_layers: int = 4
    width: int = 1280
    heads: int = 20
    mels: int = 128
    vocabulary: int = 51_866


TURBO = Shape()
"""large-v3-turbo: 809 million parameters, as OpenAI's model card and configuration give it."""
ALIGNMENT_HEADS = 6


def write_random_model(folder: Path, shape: Shape, tokenizer: Path, *, seed: int = 0) -> Path:
    """Write a model of a shape; `tokenizer` is a multilingual Whisper's tokenizer.json without Cantonese."""
    from ctranslate2.specs import WhisperSpec

    vocabulary, known = _tokens(json.loads(tokenizer.read_text(encoding="utf-8")), shape.vocabulary)
    spec = WhisperSpec(shape.encoder_layers, shape.heads, shape.decoder_layers, shape.heads)
    _fill(spec, shape, np.random.default_rng(seed))
    ids = {token: number for number, token in enumerate(vocabulary)}
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [ids["<|endoftext|>"]]
    spec.config.lang_ids = list(range(ids["<|en|>"], ids["<|yue|>"] + 1))
    last = shape.decoder_layers - 1
    spec.config.alignment_heads = [[last, head] for head in range(min(ALIGNMENT_HEADS, shape.heads))]
    spec.register_vocabulary(vocabulary)
    spec.validate()
    spec.optimize(quantization="float16")
    folder.mkdir(parents=True)
    spec.save(str(folder))
    (folder / "tokenizer.json").write_text(json.dumps(known), encoding="utf-8")
    extractor = {"feature_size": shape.mels, "sampling_rate": 16_000, "hop_length": 160, "chunk_length": 30}
    (folder / "preprocessor_config.json").write_text(json.dumps({**extractor, "n_fft": 400}), encoding="utf-8")
    return folder


def limited(model: Any, tokens: int = TOKENS) -> Any:
    """Let a loaded faster-whisper model say so many tokens a window."""
    model.max_length = 2 * tokens  # CTranslate2 keeps half of it for what stands before
    return model


def _tokens(tokenizer: dict[str, Any], size: int) -> tuple[list[str], dict[str, Any]]:
    # large-v3 has one language more than the models before it: whatever stood behind the languages moves up by one.
    at = 1 + next(token["id"] for token in tokenizer["added_tokens"] if token["content"] == "<|su|>")
    for token in tokenizer["added_tokens"]:
        token["id"] += token["id"] >= at
    shifted = [token for token in tokenizer["added_tokens"] if token["id"] < at]
    cantonese = {**shifted[-1], "id": at, "content": "<|yue|>"}
    tokenizer["added_tokens"] = sorted([*tokenizer["added_tokens"], cantonese], key=lambda token: token["id"])
    tokenizer["post_processor"] = None  # it names ids that have moved, and nobody asks it to add special tokens
    known = {**tokenizer["model"]["vocab"], **{t["content"]: t["id"] for t in tokenizer["added_tokens"]}}
    named = [token for token, _ in sorted(known.items(), key=lambda pair: pair[1])]
    return named + [f"<|{0.02 * n:.2f}|>" for n in range(size - len(named))], tokenizer


def _fill(spec: Any, shape: Shape, draw: np.random.Generator) -> None:
    width, wide = shape.width, 4 * shape.width

    def weights(*size: int) -> Array:
        scale = np.float32(1 / np.sqrt(np.prod(size[1:])))
        return (draw.standard_normal(size, np.float32) * scale).astype(np.float16)

    def linear(layer: Any, out: int, into: int) -> None:
        layer.weight, layer.bias = weights(out, into), np.zeros(out, np.float16)

    def norm(layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(width, np.float16), np.zeros(width, np.float16)

    def attention(layer: Any, *outs: int) -> None:
        norm(layer.layer_norm)
        for part, out in zip(layer.linear, outs, strict=True):
            linear(part, out, width)

    def forward(layer: Any) -> None:
        norm(layer.layer_norm)
        linear(layer.linear_0, wide, width)
        linear(layer.linear_1, width, wide)

    spec.encoder.conv1.weight, spec.encoder.conv1.bias = weights(width, shape.mels, 3), np.zeros(width, np.float16)
    spec.encoder.conv2.weight, spec.encoder.conv2.bias = weights(width, width, 3), np.zeros(width, np.float16)
    spec.encoder.position_encodings.encodings = weights(1500, width)
    spec.decoder.position_encodings.encodings = weights(448, width)
    for side in (spec.encoder, spec.decoder):
        norm(side.layer_norm)
        for layer in side.layer:
            attention(layer.self_attention, 3 * width, width)
            forward(layer.ffn)
    for layer in spec.decoder.layer:
        attention(layer.attention, width, 2 * width, width)
    spec.decoder.embeddings.weight = weights(shape.vocabulary, width)
    spec.decoder.projection.weight = spec.decoder.embeddings.weight
    spec.decoder.projection.bias = np.zeros(shape.vocabulary, np.float16)
    spec.decoder.projection.bias[TEXT_TOKENS:] = NEVER
