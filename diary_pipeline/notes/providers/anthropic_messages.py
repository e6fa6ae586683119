"""Anthropic's messages, with a native JSON schema.

Owns the `anthropic` SDK. The surprises: it refuses to send large `max_tokens` without a timeout of its own, takes no
sampling parameters any more, and would put requests into OpenTelemetry spans if an environment variable said so.
"""

from typing import Any

from diary_pipeline.notes.providers.classification import UNREADABLE, explained
from diary_pipeline.notes.providers.completing import completed
from diary_pipeline.notes.providers.exchange import Completion, Failure, LLMError, Prompt, Usage
from diary_pipeline.notes.providers.opening import NO_KEY, given, http_client
from diary_pipeline.notes.routing.route import Route

ANTHROPIC = "https://api.anthropic.com"


def open_client(route: Route) -> "AnthropicMessages":
    """Open a client; ModuleNotFoundError without the SDK."""
    return AnthropicMessages(route)


class AnthropicMessages:
    """A route over Anthropic's protocol."""

    def __init__(self, route: Route) -> None:
        from anthropic import AsyncAnthropic

        self._route = route
        self._client: Any = AsyncAnthropic(
            base_url=route.base_url or ANTHROPIC,
            api_key=route.api_key or NO_KEY,
            max_retries=0,
            timeout=route.timeout_s,
            http_client=http_client(route),
            # Given at all, it keeps the SDK from reading the environment's word on it.
            open_telemetry={"traces": {"content_mode": "metadata_only"}},
        )

    async def __call__(self, prompt: Prompt) -> Completion:
        """Ask once."""
        route = self._route
        # The rules are not marked for caching: they are shorter than the least that is cached, and writing costs more.
        with explained():
            answer = await self._client.messages.create(
                model=route.model,
                max_tokens=prompt.max_output_tokens,
                system=prompt.system,
                messages=[{"role": "user", "content": prompt.user}],
                # One argument: `output_config` in extra_body would replace the schema.
                output_config={
                    "format": {"type": "json_schema", "schema": dict(prompt.schema)},
                    **given(effort=route.effort),
                },
                timeout=route.timeout_s,
                **given(service_tier=route.service_tier, extra_body=dict(route.extra)),
            )
        return self._read(prompt, answer)

    def _read(self, prompt: Prompt, answer: Any) -> Completion:
        try:
            text = "".join(block.text for block in answer.content if block.type == "text")
            usage = _usage(answer.usage)
            ended, model, request_id = answer.stop_reason, answer.model, answer._request_id
        except (AttributeError, TypeError):  # the SDK builds its objects from whatever it is sent
            raise LLMError(Failure.SERVER, provider_code=UNREADABLE) from None
        return completed(self._route, prompt, ended=ended, text=text, usage=usage, model=model, request_id=request_id)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.close()


def _usage(usage: Any) -> Usage:
    """Count what was read from a cache and written to one as input, as the other providers do."""
    cached = usage.cache_read_input_tokens or 0
    return Usage(usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0), cached, usage.output_tokens)
