"""Mistral's chat completions, with a strict JSON schema.

Owns the `mistralai` SDK. The surprises: it checks what it is about to send and quotes the messages when it refuses, it
has no way to send fields that it does not know, and its exceptions print bodies of up to 10,000 characters.
"""

import inspect
import logging
from typing import Any

from pydantic import ValidationError

from diary_pipeline.core.errors import UsageError
from diary_pipeline.notes.providers.classification import UNREADABLE, explained
from diary_pipeline.notes.providers.completing import completed
from diary_pipeline.notes.providers.exchange import Completion, Failure, LLMError, Prompt, Usage
from diary_pipeline.notes.providers.opening import NO_KEY, given, http_client
from diary_pipeline.notes.routing.route import Route

MISTRAL = "https://api.mistral.ai"


def open_client(route: Route) -> "MistralChat":
    """Open a client; ModuleNotFoundError without the SDK, UsageError for `extra` that it cannot send."""
    return MistralChat(route)


class MistralChat:
    """A route over Mistral's protocol."""

    def __init__(self, route: Route) -> None:
        from mistralai.client import Mistral

        self._route = route
        self._http = http_client(route)
        self._client: Any = Mistral(
            api_key=route.api_key or NO_KEY,
            server_url=route.base_url or MISTRAL,
            async_client=self._http,
            timeout_ms=int(route.timeout_s * 1000),
            # Ours, at WARNING: MISTRAL_DEBUG would have requests logged.
            debug_logger=logging.getLogger("mistralai"),
        )
        known = inspect.signature(self._client.chat.complete_async).parameters
        if unknown := sorted(set(route.extra) - set(known)):
            raise UsageError(
                "llm_route_extra",
                f"The route {route.name} has `extra` that Mistral's SDK cannot send: {', '.join(unknown)}; remove it.",
            )

    async def __call__(self, prompt: Prompt) -> Completion:
        """Ask once."""
        route = self._route
        schema = {"name": prompt.shape, "schema": dict(prompt.schema), "strict": True}
        asked: dict[str, Any] = {
            "model": route.model,
            "messages": [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
            "max_tokens": prompt.max_output_tokens,
            "response_format": {"type": "json_schema", "json_schema": schema},
            **given(reasoning_effort=route.effort, service_tier=route.service_tier),
            **route.extra,
        }
        try:
            with explained():
                answer = await self._client.chat.complete_async(**asked)
        except ValidationError:
            raise UsageError(
                "llm_route_wrong",
                f"Mistral's SDK does not send what the route {route.name} asks for; check its effort, service_tier "
                "and extra.",
            ) from None
        return self._read(prompt, answer)

    def _read(self, prompt: Prompt, answer: Any) -> Completion:
        try:
            choice = answer.choices[0]
            text, ended = _text(choice.message.content), choice.finish_reason
            usage = _usage(answer.usage)
        except (AttributeError, IndexError, TypeError):
            raise LLMError(Failure.SERVER, provider_code=UNREADABLE) from None
        return completed(
            self._route, prompt, ended=ended, text=text, usage=usage, model=answer.model, request_id=answer.id
        )

    async def close(self) -> None:
        """Let go of the connections; leaving the client closes the one for blocking calls, which nobody used."""
        with self._client:
            await self._http.aclose()


def _text(content: Any) -> str:
    """Join the text of an answer in parts; reasoning models send their thoughts as parts of another kind."""
    if isinstance(content, list):
        return "".join(text for part in content if isinstance(text := getattr(part, "text", None), str))
    return content if isinstance(content, str) else ""


def _usage(usage: Any) -> Usage:
    details = getattr(usage, "prompt_tokens_details", None)
    cached = details.get("cached_tokens") if isinstance(details, dict) else getattr(details, "cached_tokens", None)
    return Usage(usage.prompt_tokens or 0, cached or 0, usage.completion_tokens or 0)
