"""Asking a transcription server: one window out, decoded JSON back.

Owns the `openai` SDK, which retries with growing pauses and as the server's Retry-After says. What an answer means is
answers.py's business, what a failure means trouble.py's.

What surprises: how much a server can tell is found out by asking. It is asked for times of words first, and for less
where it answers 400; what it took is remembered, and from then on a 400 is about the audio.
"""

import json
import threading
from typing import Any

from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.observability.logs import log
from diary_pipeline.transcription.server.answers import Answer
from diary_pipeline.transcription.server.trouble import Trouble, Unreadable

SHAPES: tuple[dict[str, Any], ...] = (
    {"response_format": "verbose_json", "timestamp_granularities": ["word", "segment"]},
    {"response_format": "verbose_json"},
    {"response_format": "json"},
)
"""What an answer may hold, the most first; OpenAI's newest models and Voxtral take only the last."""
WAIT_S = 300.0
"""Seconds for one answer: a small machine hears 30 s of speech in less, and a busy one makes its clients queue."""
RETRIES = 4
"""After the first try; with the SDK's pauses that is about 8 s, or what Retry-After says, 120 s at most each."""

logger = log(__name__)


class TranscriptionServer:
    """A server with an OpenAI-compatible API, and the one model that it is asked for."""

    def __init__(
        self, base_url: str, model: str, api_key: str | None = None, *, wait_s: float = WAIT_S, retries: int = RETRIES
    ) -> None:
        """`base_url` usually ends in /v1. Opens no connection."""
        self.url = base_url.rstrip("/")
        self.model = model
        # Without a key the SDK would send the one it finds in the environment; servers that want none ignore this word.
        self._api_key = api_key or "none"
        self._wait_s = wait_s
        self._retries = retries
        self._lock = threading.Lock()
        self._shape: int | None = None
        self.answered = 0
        """Windows that it has answered for, by which it is known to work."""
        self._trouble = Trouble(self.url, model)

    def client(self) -> Any:
        """Make the SDK's client, for use in a `with` statement and by many threads; ServiceMissing without the SDK."""
        try:
            from openai import OpenAI
        except ModuleNotFoundError as error:
            raise ServiceMissing(
                "extra_missing",
                "DIARY_TRANSCRIBER=openai needs the OpenAI SDK: run `pip install 'diary_pipeline[openai]'`.",
            ) from error
        return OpenAI(base_url=self.url, api_key=self._api_key, timeout=self._wait_s, max_retries=self._retries)

    def transcription(self, client: Any, wav: bytes, key: str, language: str | None, prompt: str | None) -> Answer:
        """Ask about one window of the recording `key`; what it answers has a `text`.

        TransientError: the server, its key or its model is at fault. PermanentError: this audio is. Unclear: nobody
        else was answered meanwhile.
        """
        told = {name: said for name, said in {"language": language, "prompt": prompt}.items() if said}
        before = self.answered
        first = self._shape or 0
        for number, shape in enumerate(SHAPES[first:], start=first):
            try:
                raw = client.audio.transcriptions.with_raw_response.create(
                    model=self.model, file=("window.wav", wav, "audio/wav"), **told, **shape
                )
                answer = _decoded(raw.http_response.content)
            except Exception as error:
                if getattr(error, "status_code", None) in (400, 422) and self._may_ask_for_less(number):
                    continue
                raise self._trouble.of(error, key, answered=self.answered, before=before) from error
            self._settle(number)
            return answer
        raise AssertionError("the last shape either answers or raises")

    def models(self) -> tuple[str, ...] | None:
        """Ask which models it offers, once and without patience; None when it answers but does not list them."""
        with self.client() as client:
            from openai import APIError

            try:
                found = client.with_options(timeout=3.0, max_retries=0).models.list()
                return tuple(str(one.id) for one in found.data)
            except APIError as error:
                if getattr(error, "status_code", None) in (404, 405, 501):
                    return None  # whisper.cpp's server has no such page
                raise self._trouble.of(error, "") from error
            except (AttributeError, TypeError, ValueError):
                return None

    def _may_ask_for_less(self, number: int) -> bool:
        with self._lock:
            settled = self._shape is not None and self._shape <= number
        return not settled and number + 1 < len(SHAPES)

    def _settle(self, number: int) -> None:
        with self._lock:
            self.answered += 1
            if self._shape is not None and self._shape <= number:
                return
            self._shape = number
        logger.info("server_answers", model=self.model, **{k: str(v) for k, v in SHAPES[number].items()})


def _decoded(content: bytes) -> Answer:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        raise Unreadable from None  # the original quotes what it read
    if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
        raise Unreadable
    return answer
