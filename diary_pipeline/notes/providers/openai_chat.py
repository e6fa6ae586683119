"""OpenAI's chat completions, and so every server that speaks them: vLLM, Ollama, llama.cpp, LM Studio, OpenRouter.

Owns the `openai` SDK for notes. Chat completions and not responses, because compatible servers know nothing else; plain
`create` and not `parse`, because `parse` throws the bill away when an answer is cut or refused.

The surprise: some compatible servers answer 200 with an error inside.
"""

import json
from typing import Any
from urllib.parse import urlsplit

from diary_pipeline.notes.providers.classification import UNREADABLE, classify, explained
from diary_pipeline.notes.providers.completing import completed
from diary_pipeline.notes.providers.exchange import Completion, Failure, LLMError, Prompt, Usage
from diary_pipeline.notes.providers.opening import NO_KEY, given, http_client
from diary_pipeline.notes.routing.route import Route

OPENAI = "https://api.openai.com/v1"


def open_client(route: Route) -> "OpenAIChat":
    """Open a client; ModuleNotFoundError without the SDK."""
    return OpenAIChat(route)


class OpenAIChat:
    """A route over OpenAI's protocol."""

    def __init__(self, route: Route) -> None:
        from openai import AsyncOpenAI

        self._route = route
        base_url = route.base_url or OPENAI
        self._client: Any = AsyncOpenAI(
            base_url=base_url, api_key=route.api_key or NO_KEY, max_retries=0, http_client=http_client(route)
        )
        # OpenAI's reasoning models refuse the old name, older servers do not know the new one.
        host = urlsplit(base_url).hostname or ""
        self._limit = "max_completion_tokens" if host.endswith("api.openai.com") else "max_tokens"

    async def __call__(self, prompt: Prompt) -> Completion:
        """Ask once."""
        route = self._route
        schema = {"name": _name(prompt.shape), "schema": prompt.schema, "strict": True}
        with explained():
            answer = await self._client.chat.completions.create(
                model=route.model,
                messages=[{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
                response_format={"type": "json_schema", "json_schema": schema},
                **{self._limit: prompt.max_output_tokens},
                **given(reasoning_effort=route.effort, service_tier=route.service_tier, extra_body=dict(route.extra)),
            )
        return self._read(prompt, answer)

    def _read(self, prompt: Prompt, answer: Any) -> Completion:
        _raise_told(getattr(answer, "error", None))
        try:
            choice = answer.choices[0]
            text, refusal, ended = choice.message.content, choice.message.refusal, choice.finish_reason
            usage = _usage(answer.usage)
            model, request_id = answer.model, answer._request_id
        except (AttributeError, IndexError, TypeError):  # the SDK builds its objects from whatever it is sent
            raise LLMError(Failure.SERVER, provider_code=UNREADABLE) from None
        return completed(
            self._route,
            prompt,
            ended="refusal" if refusal else ended,
            text=text if isinstance(text, str) else "",
            usage=usage,
            model=model,
            request_id=request_id,
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.close()


def _raise_told(error: Any) -> None:
    """Find what LM Studio and OpenRouter tell inside a 200: an overflow, a limit, the status as `code`."""
    if isinstance(error, dict):
        code = error.get("code")
        status = code if isinstance(code, int) and 400 <= code < 600 else 400
        raise classify(status, json.dumps({"error": error}))
    if isinstance(error, str):
        raise classify(400, json.dumps({"error": {"message": error}}))


def _usage(usage: Any) -> Usage:
    if usage is None:
        return Usage()
    details = getattr(usage, "prompt_tokens_details", None)
    cached = getattr(details, "cached_tokens", None) or 0
    return Usage(usage.prompt_tokens or 0, cached, usage.completion_tokens or 0)


def _name(shape: str) -> str:
    """Name a schema with the characters that OpenAI allows."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in shape)[:64] or "answer"
