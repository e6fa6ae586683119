"""Vectors from a server with OpenAI's embeddings API, as vLLM, Ollama, llama.cpp and OpenAI itself have it.

Owns the `openai` SDK for embeddings. Which diaries may be sent is not decided here.

What surprises: an error carries no word of what the server said, because servers quote what they were sent.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.notes.providers.classification import explained
from diary_pipeline.notes.providers.exchange import LLMError

TOGETHER = 64
"""Texts in one request; a passage is about 100 tokens, and servers take thousands."""
WAIT_S = 60.0
NO_KEY = "none"
"""Without a key the SDK would send the one that it finds in the environment."""

Array = npt.NDArray[np.float32]


class OpenAICompatibleEmbedder:
    """One model behind one server; opens no connection before it is asked."""

    least_similarity = 0.0
    """How close strangers lie differs by model, so all are ranked."""

    def __init__(
        self, base_url: str, model: str, api_key: str | None = None, *, is_remote: bool = True, retries: int = 2
    ) -> None:
        self.is_remote = is_remote
        self.made_with = f"openai-compatible/{model}"
        self._url, self._model, self._key, self._retries = base_url, model, api_key, retries

    def embed(self, texts: Sequence[str]) -> Array:
        """Give one vector of length 1 a text, in their order; ServiceMissing where the server gives none."""
        vectors = [self._asked(texts[start : start + TOGETHER]) for start in range(0, len(texts), TOGETHER)]
        return np.concatenate(vectors) if vectors else np.empty((0, 0), np.float32)

    def _asked(self, texts: Sequence[str]) -> Array:
        client = self._client
        try:
            with explained():
                answer = client.embeddings.create(model=self._model, input=list(texts), encoding_format="float")
        except LLMError as error:
            raise self._missing(f"{error.kind}{f', HTTP {error.status}' if error.status else ''}") from None
        try:
            rows = sorted(answer.data, key=lambda row: row.index)
            vectors = np.array([row.embedding for row in rows], np.float32)
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        except (AttributeError, TypeError, ValueError):  # the SDK builds its objects from whatever it is sent
            raise self._missing("an answer that holds no vectors") from None
        if vectors.shape[:1] != (len(texts),) or not (lengths > 0).all() or not np.isfinite(vectors).all():
            raise self._missing("an answer without one vector for each text")
        scaled: Array = vectors / lengths
        return scaled

    @cached_property
    def _client(self) -> Any:
        try:
            import httpx2
            from openai import OpenAI
        except ModuleNotFoundError as error:
            raise ServiceMissing(
                "extra_missing",
                "DIARY_EMBEDDER=openai-compatible needs the OpenAI SDK: run `pip install 'diary_pipeline[openai]'`.",
            ) from error
        connections = httpx2.Client(trust_env=False, timeout=WAIT_S)  # a proxy variable is not meant for this server
        key = self._key or NO_KEY
        return OpenAI(base_url=self._url, api_key=key, max_retries=self._retries, http_client=connections)

    def _missing(self, how: str) -> ServiceMissing:
        return ServiceMissing(
            "embedder_failed",
            f"The embedding server at {self._url} gave no vectors for model {self._model} ({how}): see "
            "DIARY_EMBEDDING_URL and DIARY_EMBEDDING_MODEL, or search without --meaning.",
        )
