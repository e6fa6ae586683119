"""all-MiniLM-L6-v2 in NumPy: six layers of BERT, the mean of the last, scaled to length 1.

No torch: 90 MB of weights want no 5 GB of libraries. Fetching them is weights.py's business. The vectors are those of
sentence-transformers to the fifth digit (the tests hold two of them).

What surprises: the model was trained on English. It finds German or French words that look alike and little more, which
docs/search.md shows; a multilingual model behind a server (openai_compatible.py) does better.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from diary_pipeline.notes.embedding.weights import MODEL_FILE, SHA256, TOKENIZER_FILE

LAYERS, HEADS, WIDTH = 6, 12, 384
MOST_TOKENS = 256
"""The longest text of its training; what follows is not read."""
TOGETHER = 16
"""Texts in one pass: longer ones make the others wait, and 16 of 256 tokens take 130 MB."""
EPSILON = 1e-12

Array = npt.NDArray[np.float32]


class MiniLM:
    """The model whose files lie in `folder`; loaded on first use."""

    made_with = f"all-MiniLM-L6-v2/{SHA256[:12]}"
    is_remote = False
    least_similarity = 0.25
    """Below it, two texts of diaries have no more in common than any two."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def embed(self, texts: Sequence[str]) -> Array:
        """Give one vector of length 1 a text, in their order."""
        vectors = np.empty((len(texts), WIDTH), np.float32)
        encoded = self._tokenizer.encode_batch(list(texts))
        by_length = sorted(range(len(texts)), key=lambda n: len(encoded[n].ids))  # little is padded then
        for start in range(0, len(texts), TOGETHER):
            some = by_length[start : start + TOGETHER]
            longest = max(len(encoded[n].ids) for n in some)
            ids = np.zeros((len(some), longest), np.int64)
            for row, n in enumerate(some):
                ids[row, : len(encoded[n].ids)] = encoded[n].ids
            vectors[some] = self._forward(ids)
        return vectors

    def _forward(self, ids: npt.NDArray[np.int64]) -> Array:
        w, (texts, tokens) = self._weights, ids.shape
        there = (ids != 0)[:, :, None]  # 0 is [PAD]
        away = np.where(there.transpose(0, 2, 1)[:, None], 0, -1e9).astype(np.float32)
        x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][:tokens]
        x = self._normed(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for n in range(LAYERS):
            layer = f"encoder.layer.{n}"
            query, key, value = (
                self._dense(x, f"{layer}.attention.self.{name}")
                .reshape(texts, tokens, HEADS, WIDTH // HEADS)
                .transpose(0, 2, 1, 3)
                for name in ("query", "key", "value")
            )
            attention = _softmax(query @ key.transpose(0, 1, 3, 2) / np.float32((WIDTH // HEADS) ** 0.5) + away)
            context = (attention @ value).transpose(0, 2, 1, 3).reshape(texts, tokens, WIDTH)
            attended = self._dense(context, f"{layer}.attention.output.dense")
            x = self._normed(x + attended, f"{layer}.attention.output.LayerNorm")
            between = _gelu(self._dense(x, f"{layer}.intermediate.dense"))
            x = self._normed(x + self._dense(between, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        pooled = (x * there).sum(1) / there.sum(1)
        scaled: Array = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return scaled

    def _dense(self, x: Array, name: str) -> Array:
        product: Array = x.reshape(-1, x.shape[-1]) @ self._weights[f"{name}.weight"].T  # one call, not one a text
        product += self._weights[f"{name}.bias"]
        return product.reshape(*x.shape[:-1], -1)

    def _normed(self, x: Array, name: str) -> Array:
        x = x - x.mean(-1, keepdims=True)
        x /= np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON)
        return x * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._folder / TOKENIZER_FILE))
        tokenizer.enable_truncation(MOST_TOKENS)
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _weights(self) -> dict[str, Array]:
        return _read_safetensors(self._folder / MODEL_FILE)


def _read_safetensors(file: Path) -> dict[str, Array]:
    """Map the tensors of a file: eight bytes of length, a JSON table of contents, then numbers."""
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        contents = json.loads(opened.read(length))
    numbers = np.memmap(file, np.uint8, "r", offset=8 + length)
    return {
        name: numbers[slice(*entry["data_offsets"])].view(np.float32).reshape(entry["shape"])
        for name, entry in contents.items()
        if entry.get("dtype") == "F32"
    }


def _softmax(x: Array) -> Array:
    x = np.exp(x - x.max(-1, keepdims=True))
    x /= x.sum(-1, keepdims=True)
    return x


def _gelu(x: Array) -> Array:
    """Give x times the chance of a normal variable below it; NumPy has no erf, so by Abramowitz and Stegun 7.1.26."""
    z = np.abs(x) * np.float32(0.5**0.5)
    t = 1 / (1 + np.float32(0.3275911) * z)
    terms = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
    polynomial = np.zeros_like(t)
    for term in reversed(terms):
        polynomial = (polynomial + np.float32(term)) * t
    erf = np.sign(x) * (1 - polynomial * np.exp(-z * z))
    result: Array = np.float32(0.5) * x * (1 + erf)
    return result
